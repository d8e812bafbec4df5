//! Idempotency keys: <https://docs.stripe.com/api/idempotent_requests>.
//!
//! The first answer that came from execution is stored, failures included; what failed Stripe's checks, was throttled
//! or met a lock is not.

use std::collections::HashMap;

use crate::answer::Answer;
use crate::api_error::ApiError;
use crate::call::Call;

/// Longer keys are refused.
const LONGEST_KEY: usize = 255;

/// Every key that was used.
#[derive(Debug, Default)]
pub(crate) struct Keys(HashMap<String, Entry>);

#[derive(Debug)]
struct Entry {
    fingerprint: String,
    /// Nothing while the first request is being executed.
    answer: Option<Answer>,
}

/// What a key says about a request.
pub(crate) enum Claim {
    /// Go on; [`Keys::finish`] must follow.
    Execute,
    /// Answer with this.
    Answer(Answer),
}

impl Keys {
    /// Takes the request's key, if it has one.
    pub(crate) fn claim(&mut self, call: &Call) -> Claim {
        let Some(key) = call.effective_key() else {
            return Claim::Execute;
        };
        if key.chars().count() > LONGEST_KEY {
            let message = format!("Idempotency keys can be up to {LONGEST_KEY} characters long.");
            return Claim::Answer(Answer::error(&ApiError::malformed("idempotency_key", message)));
        }
        match self.0.get(key) {
            None => {
                self.0.insert(key.to_owned(), Entry { fingerprint: call.fingerprint(), answer: None });
                Claim::Execute
            }
            Some(entry) if entry.fingerprint != call.fingerprint() => {
                Claim::Answer(Answer::error(&ApiError::key_reused(key)))
            }
            Some(Entry { answer: None, .. }) => Claim::Answer(Answer {
                should_retry: Some(true),
                ..Answer::error(&ApiError::key_in_use(key))
            }),
            Some(Entry { answer: Some(stored), .. }) => Claim::Answer(stored.replayed()),
        }
    }

    /// Stores the answer, or frees the key.
    pub(crate) fn finish(&mut self, call: &Call, answer: &Answer) {
        let Some(key) = call.effective_key() else {
            return;
        };
        if !answer.stored {
            self.0.remove(key);
        } else if let Some(entry) = self.0.get_mut(key) {
            entry.answer = Some(answer.clone());
        }
    }

    /// Forgets every key, as Stripe does after a day or more.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }
}
