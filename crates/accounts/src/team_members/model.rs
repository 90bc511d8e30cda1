//! What is known of a team member, and how their name and address are sealed.

use kernel::{OrganizationId, Personal, TeamMemberId, UserId};
use kit::{
    Problem,
    vault::{self, Context, DataKey, Kind, Scope},
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::store::TeamMemberRow;
use crate::sessions::model::is_address;

const NAME: Kind = Kind::new("team_member_name");
const EMAIL: Kind = Kind::new("team_member_email");
const NAME_CHARACTERS_MAX: usize = 200;
const EXTERNAL_ID_BYTES_MAX: usize = 64;

/// The part of a team member that is about the person.
pub struct Person {
    pub full_name: Personal<String>,
    pub email: Option<Personal<String>>,
}

/// The rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    pub user_id: Option<UserId>,
    pub member_type: String,
    pub commission: Option<Commission>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commission {
    pub kind: String,
    pub rate: Decimal,
}

impl Commission {
    /// # Errors
    /// [`kit::Code::InvalidRequest`] for half a commission, or a rate that is none.
    pub fn new(kind: Option<String>, rate: Option<Decimal>) -> Result<Option<Self>, Problem> {
        let (kind, rate) = match (kind, rate) {
            (None, None) => return Ok(None),
            (Some(kind), Some(rate)) => (kind, rate),
            (None, Some(_)) => return Err(Problem::invalid("/commission_type", "must come with commission_rate")),
            (Some(_), None) => return Err(Problem::invalid("/commission_rate", "must come with commission_type")),
        };
        if !["percentage", "flat", "tiered"].contains(&kind.as_str()) {
            return Err(Problem::invalid("/commission_type", "must be percentage, flat or tiered"));
        }
        let most = Decimal::from(if kind == "percentage" { 100 } else { 1_000_000_000 });
        if rate.is_sign_negative() || rate > most || rate.normalize().scale() > 4 {
            return Err(Problem::invalid(
                "/commission_rate",
                format!("must be 0 to {most}, with four decimals at most"),
            ));
        }
        Ok(Some(Self { kind, rate }))
    }
}

/// # Errors
/// [`kit::Code::InvalidRequest`].
pub(super) fn member_type(text: String) -> Result<String, Problem> {
    match text.as_str() {
        "sales" | "support" | "operations" => Ok(text),
        _ => Err(Problem::invalid("/member_type", "must be sales, support or operations")),
    }
}

/// # Errors
/// [`kit::Code::InvalidRequest`] for what people could not read to one another, or a database not keep.
pub(super) fn external_id(text: &str) -> Result<(), Problem> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    let is_id = (1..=EXTERNAL_ID_BYTES_MAX).contains(&text.len())
        && text.bytes().all(is_plain)
        && text.as_bytes()[0].is_ascii_alphanumeric();
    if is_id {
        return Ok(());
    }
    Err(Problem::invalid(
        "/external_id",
        "must have 1 to 64 of A-Z, a-z, 0-9 and . _ : -, and begin with a letter or digit",
    ))
}

/// The largest number of ours. Ids with more digits are of others, and no number follows from them.
pub(super) const NUMBER_MAX: i64 = 999_999;

/// The so-manieth team member, for people to read.
pub(super) fn numbered(number: i64) -> String {
    format!("TM-{number:04}")
}

/// # Errors
/// [`kit::Code::InvalidRequest`]; the name is not repeated.
pub(super) fn full_name(given: Personal<String>) -> Result<Personal<String>, Problem> {
    let name = given.map(|name: String| name.trim().to_owned());
    let is_name = name.satisfies(|name| {
        (1..=NAME_CHARACTERS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control)
    });
    if is_name {
        return Ok(name);
    }
    Err(Problem::invalid("/full_name", "must have 1 to 200 characters, none of them a control character"))
}

/// # Errors
/// [`kit::Code::InvalidRequest`]; the address is not repeated.
pub(super) fn email(given: Personal<String>) -> Result<Personal<String>, Problem> {
    let email = given.map(|email: String| email.trim().to_lowercase());
    if email.satisfies(|email| is_address(email)) {
        return Ok(email);
    }
    Err(Problem::invalid("/email", "is not an e-mail address"))
}

fn context(organization: OrganizationId, id: TeamMemberId, kind: Kind) -> Context {
    Context { organization, scope: Scope::Organization, kind, record: id.uuid() }
}

/// A person, as they are stored.
pub(super) struct SealedPerson {
    pub(super) name: Vec<u8>,
    pub(super) email: Option<Vec<u8>>,
}

pub(super) fn seal(
    key: &DataKey,
    organization: OrganizationId,
    id: TeamMemberId,
    person: &Person,
) -> Result<SealedPerson, Problem> {
    let seal = |kind, value: &Personal<String>| {
        vault::seal_personal(key, &context(organization, id, kind), value).map_err(|error| Problem::internal(&error))
    };
    Ok(SealedPerson {
        name: seal(NAME, &person.full_name)?,
        email: person.email.as_ref().map(|email| seal(EMAIL, email)).transpose()?,
    })
}

pub(super) fn open(key: &DataKey, organization: OrganizationId, row: &TeamMemberRow) -> Result<Person, Problem> {
    let open = |kind, sealed: &[u8]| {
        let opened = vault::open_personal(key, &context(organization, row.id, kind), sealed);
        // What was sealed was text; the buffer is taken over, so that no copy of it is left behind.
        let text =
            |bytes| String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into());
        opened.map(|opened| opened.map(text)).map_err(|error| Problem::internal(&error))
    };
    Ok(Person {
        full_name: open(NAME, &row.sealed_name)?,
        email: row.sealed_email.as_deref().map(|sealed| open(EMAIL, sealed)).transpose()?,
    })
}

/// What stands in the audit log for a value about a person: that there is one.
const MASKED: &str = "•••";

/// A team member for the audit log.
pub(super) fn description(external_id: &str, work: &Work, has_email: bool) -> Value {
    json!({
        "external_id": external_id,
        "full_name": MASKED,
        "email": has_email.then_some(MASKED),
        "user_id": work.user_id,
        "member_type": work.member_type,
        "commission_type": work.commission.as_ref().map(|commission| &commission.kind),
        "commission_rate": work.commission.as_ref().map(|commission| commission.rate),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commission(kind: &str, rate: &str) -> Result<Option<Commission>, Problem> {
        Commission::new(Some(kind.to_owned()), Some(rate.parse().unwrap()))
    }

    #[test]
    fn a_commission_is_whole_and_within_its_bounds() {
        for (kind, rate) in [("percentage", "0"), ("percentage", "100"), ("flat", "12.3456"), ("tiered", "1000000000")]
        {
            assert!(commission(kind, rate).unwrap().is_some(), "{kind} {rate}");
        }
        for (kind, rate) in [("percentage", "100.1"), ("flat", "-1"), ("flat", "1.23456"), ("king", "1")] {
            assert!(commission(kind, rate).is_err(), "{kind} {rate}");
        }
        assert!(Commission::new(None, None).unwrap().is_none());
        assert!(
            Commission::new(Some("flat".into()), None).is_err() && Commission::new(None, Some(Decimal::ONE)).is_err()
        );
    }

    #[test]
    fn an_external_id_can_be_read_out() {
        for good in ["TM-0007", "a", "ghl:user.9_x", &"9".repeat(64)] {
            assert!(external_id(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a b", "é", "a/b", &"9".repeat(65)] {
            assert!(external_id(bad).is_err(), "{bad}");
        }
        assert_eq!((numbered(7), numbered(12_345)), ("TM-0007".into(), "TM-12345".into()));
    }
}
