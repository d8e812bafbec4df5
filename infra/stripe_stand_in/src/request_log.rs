//! The log of requests, for tests that ask what was called.

use std::collections::hash_map::{DefaultHasher, Entry};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{Hash, Hasher};

use serde_json::Value;

use crate::call::Call;
use crate::protocol::LoggedRequest;

/// Older requests are forgotten.
const MOST: usize = 20_000;

/// The latest requests, oldest first, and what was sent under which idempotency key.
#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    latest: VecDeque<LoggedRequest>,
    /// A hash of the first request under each key.
    first_under: HashMap<String, u64>,
    conflicting: BTreeSet<String>,
}

impl RequestLog {
    pub(crate) fn begin(&mut self, call: &Call) {
        self.compare(call);
        if self.latest.len() == MOST {
            self.latest.pop_front();
        }
        self.latest.push_back(LoggedRequest {
            id: call.request_id.clone(),
            method: call.method.to_string(),
            path: call.path.clone(),
            params: Value::Object(call.params.0.clone()),
            stripe_version: call.stripe_version.clone(),
            idempotency_key: call.idempotency_key.clone(),
            status: None,
            replayed: false,
        });
    }

    pub(crate) fn end(&mut self, id: &str, status: u16, replayed: bool) {
        if let Some(request) = self.latest.iter_mut().rev().find(|request| request.id == id) {
            request.status = Some(status);
            request.replayed = replayed;
        }
    }

    /// Notes whether another request was sent under the same key before. Unlike the store of answers this counts
    /// requests that were never executed, and keys that Stripe has forgotten.
    fn compare(&mut self, call: &Call) {
        let Some(key) = call.effective_key() else {
            return;
        };
        let mut hasher = DefaultHasher::new();
        call.fingerprint().hash(&mut hasher);
        let hash = hasher.finish();
        match self.first_under.entry(key.to_owned()) {
            Entry::Vacant(first) => {
                first.insert(hash);
            }
            Entry::Occupied(first) if *first.get() != hash => {
                self.conflicting.insert(key.to_owned());
            }
            Entry::Occupied(_) => {}
        }
    }

    pub(crate) fn all(&self) -> Vec<LoggedRequest> {
        self.latest.iter().cloned().collect()
    }

    /// The keys under which different requests were sent.
    pub(crate) fn conflicting_keys(&self) -> Vec<String> {
        self.conflicting.iter().cloned().collect()
    }
}
