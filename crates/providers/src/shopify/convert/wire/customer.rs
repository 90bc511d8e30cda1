use kernel::{Personal, Time};
use serde::Deserialize;

use super::{Connection, Gid, MailingAddress, MoneyV2, Rest, Whole};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Customer {
    pub(crate) id: Gid,
    pub(crate) legacy_resource_id: Whole,
    pub(crate) first_name: Option<Personal<String>>,
    pub(crate) last_name: Option<Personal<String>>,
    pub(crate) locale: Option<String>,
    #[serde(default)]
    pub(crate) tags: Vec<Personal<String>>,
    pub(crate) created_at: Option<Time>,
    pub(crate) updated_at: Option<Time>,
    pub(crate) number_of_orders: Option<Whole>,
    pub(crate) amount_spent: Option<MoneyV2>,
    pub(crate) default_email_address: Option<EmailAddress>,
    pub(crate) default_phone_number: Option<PhoneNumber>,
    pub(crate) default_address: Option<MailingAddress>,
    #[serde(rename = "addressesV2")]
    pub(crate) addresses: Option<Connection<MailingAddress>>,
    #[serde(flatten)]
    pub(crate) rest: Rest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EmailAddress {
    pub(crate) email_address: Option<Personal<String>>,
    pub(crate) marketing_state: Option<String>,
    pub(crate) marketing_updated_at: Option<Time>,
    #[serde(flatten)]
    pub(crate) rest: Rest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PhoneNumber {
    pub(crate) phone_number: Option<Personal<String>>,
    pub(crate) sms_marketing_consent: Option<Consent>,
    #[serde(flatten)]
    pub(crate) rest: Rest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Consent {
    pub(crate) state: Option<String>,
    pub(crate) updated_at: Option<Time>,
    #[serde(flatten)]
    pub(crate) rest: Rest,
}
