//! Stripe's events, which come late, twice, in any order, or never.

use std::collections::BTreeSet;

use serde_json::Value;
use stripe_stand_in::StandIn;

use crate::picks::{Pick, picked};

/// The events that Stripe has to tell of, oldest first, and what became of them.
#[derive(Debug, Default)]
pub struct Inbox {
    events: Vec<Value>,
    /// Those that came, or never will.
    settled: BTreeSet<usize>,
}

impl Inbox {
    /// Notes what Stripe has to tell since it was last asked. Unless it lists those that nobody took, it believes from now
    /// on that all of them were taken.
    pub fn hear(&mut self, stripe: &StandIn, lists_lost_events: bool) {
        let news = stripe.events_after(self.events.len());
        if !lists_lost_events {
            let ids = news.iter().filter_map(|event| event.get("id").and_then(Value::as_str));
            ids.for_each(|id| stripe.mark_delivered(id));
        }
        self.events.extend(news);
    }

    /// Those that have not come yet, oldest first.
    #[must_use]
    pub fn undelivered(&self) -> Vec<usize> {
        (0..self.events.len()).filter(|place| !self.settled.contains(place)).collect()
    }

    /// Any of them, whether it came before or not.
    #[must_use]
    pub fn any(&self, pick: Pick) -> Option<usize> {
        let all: Vec<usize> = (0..self.events.len()).collect();
        picked(&all, pick).copied()
    }

    /// The events in these places, which have come with that, or never will.
    pub fn settle(&mut self, places: impl IntoIterator<Item = usize>) -> Vec<Value> {
        let taken = places.into_iter().filter_map(|place| {
            self.settled.insert(place);
            self.events.get(place).cloned()
        });
        taken.collect()
    }
}
