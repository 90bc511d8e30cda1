//! Customers.

use super::super::values::{CustomerState, EmailMarketing, OptInLevel, PhoneMarketing};
use super::{Address, Id};
use chrono::{DateTime, Utc};

/// `Customer`.
#[derive(Debug, Clone)]
pub struct Customer {
    /// Of the customer.
    pub id: Id,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Unique in the shop.
    pub email: Option<EmailAddress>,
    /// Unique in the shop.
    pub phone: Option<PhoneNumber>,
    /// ISO 639-1.
    pub locale: String,
    /// State of the account.
    pub state: CustomerState,
    /// The merchant's.
    pub note: Option<String>,
    /// The merchant's.
    pub tags: Vec<String>,
    /// Pays no tax.
    pub tax_exempt: bool,
    /// Whether the email was confirmed.
    pub verified_email: bool,
    /// The first is the default one.
    pub addresses: Vec<Address>,
    /// `createdAt`.
    pub created_at: DateTime<Utc>,
    /// `updatedAt`.
    pub updated_at: DateTime<Utc>,
}

/// `CustomerEmailAddress`.
#[derive(Debug, Clone)]
pub struct EmailAddress {
    /// The address.
    pub address: String,
    /// Whether it may be written to.
    pub marketing: EmailMarketing,
    /// How that was agreed.
    pub opt_in: Option<OptInLevel>,
    /// When.
    pub consent_at: Option<DateTime<Utc>>,
}

/// `CustomerPhoneNumber`.
#[derive(Debug, Clone)]
pub struct PhoneNumber {
    /// E.164.
    pub number: String,
    /// Whether text messages may be sent.
    pub sms: PhoneMarketing,
    /// Whether WhatsApp messages may be sent.
    pub whats_app: PhoneMarketing,
    /// How that was agreed.
    pub opt_in: Option<OptInLevel>,
    /// When.
    pub consent_at: Option<DateTime<Utc>>,
}
