//! What was asked of our code, and what it answered: what it has said once it must keep.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use uuid::Uuid;

use super::steps::Errand;

/// Everything asked for, oldest first.
#[derive(Default)]
pub(super) struct Requests {
    pub(super) purchases: Vec<Purchase>,
    pub(super) errands: Vec<ErrandRequest>,
    pub(super) corrections: Vec<Correction>,
    pub(super) answers: Answers,
}

/// Somebody wants to buy credits.
#[derive(Debug, Clone)]
pub(super) struct Purchase {
    pub(super) key: String,
    pub(super) user: Uuid,
    pub(super) credits: i64,
}

/// Somebody wants a job done.
#[derive(Debug, Clone)]
pub(super) struct ErrandRequest {
    pub(super) key: String,
    pub(super) user: Uuid,
    pub(super) errand: Errand,
}

/// An operator corrects a balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Correction {
    pub(super) key: String,
    pub(super) user: Uuid,
    pub(super) amount: i64,
}

/// What was made of the requests that were answered: by their keys, the ids of sessions and jobs.
#[derive(Debug, Clone, Default)]
pub(super) struct Answers(Rc<RefCell<BTreeSet<(String, String)>>>);

impl Answers {
    pub(super) fn note(&self, key: &str, id: &str) {
        self.0.borrow_mut().insert((key.to_owned(), id.to_owned()));
    }

    /// Those that are not among what there is.
    pub(super) fn missing_in(&self, there: &BTreeSet<(String, String)>) -> Vec<String> {
        self.0.borrow().difference(there).map(|(key, id)| format!("answered and gone: {key} {id}")).collect()
    }
}

impl Requests {
    pub(super) fn buy(&mut self, user: Uuid, credits: i64) -> Purchase {
        let purchase = Purchase { key: format!("buy-{}", self.purchases.len()), user, credits };
        self.purchases.push(purchase.clone());
        purchase
    }

    pub(super) fn ask(&mut self, user: Uuid, errand: Errand) -> ErrandRequest {
        let request = ErrandRequest { key: format!("ask-{}", self.errands.len()), user, errand };
        self.errands.push(request.clone());
        request
    }

    pub(super) fn correct(&mut self, user: Uuid, amount: i64) -> Correction {
        let correction = Correction { key: format!("correct-{}", self.corrections.len()), user, amount };
        self.corrections.push(correction.clone());
        correction
    }
}
