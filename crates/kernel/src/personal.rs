//! Personal data passes through Entrepot and is not kept (product decision 1).
//!
//! [`Personal`] makes that a matter of types: it can be read from the wire and mapped, and it can leave through three
//! exits only. Everything else, a log line, a column, a cache that is written to disk, does not compile.

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use zeroize::Zeroize;

/// A value about a person. No `Debug`, no `Display`, no `Serialize`, no SQL type; wiped on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct Personal<T: Wipe>(T);

impl<T: Wipe> Personal<T> {
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// Reads the value on its way out. The [`Exit`] is the proof that this is one of the three ways.
    pub fn reveal<'a>(&'a self, _exit: &Exit) -> &'a T {
        &self.0
    }

    /// Changes the value without letting it out.
    pub fn map<U: Wipe>(mut self, change: impl FnOnce(T) -> U) -> Personal<U>
    where
        T: Default,
    {
        Personal(change(std::mem::take(&mut self.0)))
    }

    /// Asks a question about the value, for filters that are checked again on our side.
    pub fn satisfies(&self, question: impl FnOnce(&T) -> bool) -> bool {
        question(&self.0)
    }
}

impl<T: Wipe> Drop for Personal<T> {
    fn drop(&mut self) {
        self.0.wipe();
    }
}

impl<'de, T: Wipe + Deserialize<'de>> Deserialize<'de> for Personal<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

impl<T: Wipe> From<T> for Personal<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

/// The right to read personal values, for the length of one borrow. There are three doors; clippy refuses
/// [`Exit::open`] everywhere else, and a test counts the places.
pub struct Exit(());

impl Exit {
    pub fn open(_door: Door) -> Self {
        Self(())
    }
}

/// Where personal data may go.
pub enum Door {
    /// Into the answer to an authorised caller, written by `kit::answer`.
    Answer,
    /// Into a sealed column, by `kit::vault`.
    Vault,
    /// Into a request to the provider that the data belongs to (a filter by e-mail), by the connector.
    ProviderRequest,
}

/// What [`Personal`] can hold: a value that can be overwritten in memory when it is no longer needed.
pub trait Wipe {
    fn wipe(&mut self);
}

impl Wipe for String {
    fn wipe(&mut self) {
        self.zeroize();
    }
}

impl Wipe for Vec<u8> {
    fn wipe(&mut self) {
        self.zeroize();
    }
}

impl<T: Wipe> Wipe for Option<T> {
    fn wipe(&mut self) {
        if let Some(value) = self {
            value.wipe();
        }
    }
}

impl Wipe for Value {
    fn wipe(&mut self) {
        match self {
            Value::String(text) => text.zeroize(),
            Value::Array(items) => items.iter_mut().for_each(Wipe::wipe),
            // Keys of a map cannot be overwritten in place; providers' field names are not personal.
            Value::Object(fields) => fields.values_mut().for_each(Wipe::wipe),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}
