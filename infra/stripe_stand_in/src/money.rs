//! Where the money is: what a test asks when it has done its worst.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::state::State;

/// A payment intent and its money, in minor units.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntentMoney {
    /// `pi_…`
    pub id: String,
    /// The intent's metadata of that name.
    pub reservation_id: Option<String>,
    /// The intent's status in Stripe's words.
    pub status: String,
    /// How many of its charges were captured.
    pub captures: u32,
    /// What was taken from the cardholder.
    pub captured_minor: i64,
    /// What was sent back, or is on its way back, by refunds that did not fail.
    pub refunded_minor: i64,
    /// What open and lost disputes have taken from us.
    pub withdrawn_minor: i64,
    /// Whether the cardholder has ever disputed it, an inquiry included, whatever came of it.
    pub disputed: bool,
}

impl IntentMoney {
    /// What we have of the cardholder's money; below 0 if it went back twice, by refund and by dispute.
    #[must_use]
    pub const fn kept_minor(&self) -> i64 {
        self.captured_minor - self.refunded_minor - self.withdrawn_minor
    }
}

/// What was charged twice: intents of which more than one charge was captured, and reservations of which we keep money
/// of more than one intent. Nothing, if the product is right and has come to rest.
#[must_use]
pub fn charged_twice(money: &[IntentMoney]) -> Vec<String> {
    let mut kept: BTreeMap<&str, u32> = BTreeMap::new();
    for intent in money.iter().filter(|intent| intent.kept_minor() > 0) {
        if let Some(reservation_id) = &intent.reservation_id {
            *kept.entry(reservation_id).or_default() += 1;
        }
    }
    let intents = money.iter().filter(|intent| intent.captures > 1).map(|intent| intent.id.as_str());
    let reservations = kept.into_iter().filter(|(_, intents)| *intents > 1).map(|(id, _)| id);
    intents.chain(reservations).map(str::to_owned).collect()
}

/// The money of every intent, oldest first.
pub(crate) fn of_all_intents(state: &State) -> Vec<IntentMoney> {
    let mut money: HashMap<&str, IntentMoney> = HashMap::new();
    for charge in state.charges.newest_first().filter(|charge| charge.captured) {
        let sums = money.entry(&charge.payment_intent).or_default();
        sums.captures += 1;
        sums.captured_minor += charge.amount_captured;
        sums.refunded_minor += charge.amount_refunded;
        sums.disputed |= charge.disputed;
    }
    for dispute in state.disputes.newest_first().filter(|dispute| dispute.status.holds_money()) {
        money.entry(&dispute.payment_intent).or_default().withdrawn_minor += dispute.amount;
    }
    let intents = state.payment_intents.newest_first().rev();
    let described = intents.map(|intent| IntentMoney {
        id: intent.id.clone(),
        reservation_id: intent.metadata.get("reservation_id").cloned(),
        status: intent.status.as_str().to_owned(),
        ..money.remove(intent.id.as_str()).unwrap_or_default()
    });
    described.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paid(id: &str, reservation_id: &str) -> IntentMoney {
        let reservation_id = Some(reservation_id.to_owned());
        IntentMoney {
            id: id.to_owned(),
            reservation_id,
            captures: 1,
            captured_minor: 1500,
            ..IntentMoney::default()
        }
    }

    #[test]
    fn what_goes_back_is_not_charged_twice() {
        let (first, second) = (paid("pi_1", "r1"), paid("pi_2", "r1"));
        assert_eq!(charged_twice(&[first.clone(), second.clone(), paid("pi_3", "r2")]), ["r1"]);
        let returned = IntentMoney { refunded_minor: 1500, ..second.clone() };
        assert_eq!(charged_twice(&[first.clone(), returned]), [""; 0]);
        let withdrawn = IntentMoney { withdrawn_minor: 1500, ..second.clone() };
        assert_eq!(charged_twice(&[first.clone(), withdrawn]), [""; 0]);
        let in_part = IntentMoney { refunded_minor: 1499, ..second };
        assert_eq!(charged_twice(&[first.clone(), in_part]), ["r1"]);
        assert_eq!(charged_twice(&[IntentMoney { captures: 2, ..first }]), ["pi_1"]);
    }
}
