//! What a simulated service was asked, so that tests can assert that it was asked, or was not.

use http::Method;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Calls remembered one by one; older ones are only counted.
const REMEMBERED: usize = 1000;

/// One request, as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The endpoint, for example `orders/{id}`: the same for every id.
    pub endpoint: String,
    /// The path without the query string.
    pub path: String,
    /// The raw query string; empty if there was none.
    pub query: String,
}

/// The calls to one simulated service.
#[derive(Debug, Default)]
pub struct CallLog {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_endpoint: BTreeMap<String, u64>,
    last: VecDeque<Call>,
}

impl CallLog {
    /// Notes a call.
    pub fn record(&self, call: Call) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match inner.by_endpoint.get_mut(&call.endpoint) {
            Some(count) => *count += 1,
            None => {
                inner.by_endpoint.insert(call.endpoint.clone(), 1);
            }
        }
        if inner.last.len() == REMEMBERED {
            inner.last.pop_front();
        }
        inner.last.push_back(call);
    }

    /// How many calls there were, to any endpoint.
    pub fn count(&self) -> u64 {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).by_endpoint.values().sum()
    }

    /// How many calls one endpoint had, whatever the method.
    pub fn count_of(&self, endpoint: &str) -> u64 {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).by_endpoint.get(endpoint).copied().unwrap_or(0)
    }

    /// The number of calls by endpoint.
    pub fn by_endpoint(&self) -> BTreeMap<String, u64> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).by_endpoint.clone()
    }

    /// The last calls, oldest first: at most 1000.
    pub fn last(&self) -> Vec<Call> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).last.iter().cloned().collect()
    }

    /// The query strings of the last calls to `endpoint`, oldest first.
    pub fn queries(&self, endpoint: &str) -> Vec<String> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.last.iter().filter(|call| call.endpoint == endpoint).map(|call| call.query.clone()).collect()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.inner.lock().unwrap_or_else(PoisonError::into_inner) = Inner::default();
    }
}
