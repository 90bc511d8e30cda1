//! A mail server that keeps what it is given: real SMTP over loopback ([`smtp`]), the mails as their readers see them
//! ([`message`]), and a page that shows them ([`page`]). Nothing leaves it.

mod message;
pub(crate) mod page;
mod smtp;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use smtp::Smtp;

/// Mails kept; the oldest leave first.
const KEPT: usize = 500;

/// A mail that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Counted from 1, in the order of arrival.
    pub number: u64,
    /// The sender of the envelope.
    pub from: String,
    /// The recipients of the envelope.
    pub to: Vec<String>,
    /// The message as it arrived, its dots unstuffed.
    pub raw: String,
    /// The subject, decoded.
    pub subject: String,
    /// The plain text part, decoded; empty where there is none.
    pub text: String,
    /// The HTML part, decoded; empty where there is none.
    pub html: String,
}

impl Mail {
    /// A header as it stands in the message, unfolded. The name in any letter case.
    pub fn header(&self, name: &str) -> Option<String> {
        message::Part::parse(&self.raw).header(name).map(str::to_owned)
    }

    /// The first web address in the text that has a fragment: what a person would press.
    pub fn link(&self) -> Option<&str> {
        self.text.split_whitespace().find(|word| word.starts_with("http") && word.contains('#'))
    }
}

/// How the mail server behaves, until it is told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Behavior {
    /// Takes everything.
    #[default]
    Accepts,
    /// Knows no recipient: 550.
    RefusesRecipients,
    /// Asks to come back later: 451.
    IsBusy,
    /// Closes each connection at once.
    HangsUp,
}

/// The mails, and how the server behaves. Clones are of the same box.
#[derive(Debug, Clone, Default)]
pub struct Mailbox {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    mails: VecDeque<Mail>,
    arrived: u64,
    refused: u64,
    behavior: Behavior,
}

impl Mailbox {
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The mails, oldest first: at most 500.
    pub fn all(&self) -> Vec<Mail> {
        self.inner().mails.iter().cloned().collect()
    }

    /// The mails to one address, oldest first.
    pub fn to(&self, address: &str) -> Vec<Mail> {
        let is_to = |mail: &&Mail| mail.to.iter().any(|to| to.eq_ignore_ascii_case(address));
        self.inner().mails.iter().filter(is_to).cloned().collect()
    }

    /// One of them, by its number.
    pub fn find(&self, number: u64) -> Option<Mail> {
        self.inner().mails.iter().find(|mail| mail.number == number).cloned()
    }

    /// How many recipients, messages or connections were refused.
    pub fn refused(&self) -> u64 {
        self.inner().refused
    }

    /// Changes how the server behaves from the next command on.
    pub fn behave(&self, behavior: Behavior) {
        self.inner().behavior = behavior;
    }

    /// Forgets all mails.
    pub fn clear(&self) {
        self.inner().mails.clear();
    }

    fn behavior(&self) -> Behavior {
        self.inner().behavior
    }

    fn note_refusal(&self) {
        self.inner().refused += 1;
    }

    fn deliver(&self, from: String, to: Vec<String>, raw: String) -> u64 {
        let message = message::Message::parse(&raw);
        let mut inner = self.inner();
        inner.arrived += 1;
        let number = inner.arrived;
        if inner.mails.len() == KEPT {
            inner.mails.pop_front();
        }
        let message::Message { subject, text, html } = message;
        inner.mails.push_back(Mail { number, from, to, raw, subject, text, html });
        number
    }
}
