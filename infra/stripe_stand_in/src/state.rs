//! All that the stand-in remembers.

use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

use rand::distr::{Alphanumeric, SampleString};
use tokio::sync::mpsc::UnboundedSender;

use crate::charges::Charge;
use crate::checkout_sessions::CheckoutSession;
use crate::delivery::{DeliveryLog, Dispatch};
use crate::disputes::Dispute;
use crate::events::Event;
use crate::faults::{EventFaults, Faults};
use crate::idempotency::Keys;
use crate::payment_intents::PaymentIntent;
use crate::payment_methods::PaymentMethod;
use crate::protocol::{Switches, WebhookEndpoint};
use crate::refunds::Refund;
use crate::request_log::RequestLog;
use crate::table::Table;

/// The state of one stand-in; it stands behind one mutex, which is never held across an await.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) payment_intents: Table<PaymentIntent>,
    pub(crate) payment_methods: Table<PaymentMethod>,
    pub(crate) charges: Table<Charge>,
    pub(crate) checkout_sessions: Table<CheckoutSession>,
    pub(crate) refunds: Table<Refund>,
    pub(crate) disputes: Table<Dispute>,
    pub(crate) events: Table<Event>,
    pub(crate) keys: Keys,
    /// API keys that count no more.
    pub(crate) revoked_keys: HashSet<String>,
    pub(crate) faults: Faults,
    pub(crate) event_faults: EventFaults,
    pub(crate) switches: Switches,
    pub(crate) webhook_endpoint: Option<WebhookEndpoint>,
    pub(crate) requests: RequestLog,
    pub(crate) deliveries: DeliveryLog,
    /// The request that is being executed: events name their cause.
    pub(crate) cause: Option<Cause>,
    /// Events to be delivered, in the order in which they happened.
    pub(crate) outbox: UnboundedSender<Dispatch>,
}

/// The request that causes events.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    pub(crate) request_id: String,
    pub(crate) idempotency_key: Option<String>,
}

impl State {
    pub(crate) fn new(outbox: UnboundedSender<Dispatch>) -> Self {
        Self {
            payment_intents: Table::default(),
            payment_methods: Table::default(),
            charges: Table::default(),
            checkout_sessions: Table::default(),
            refunds: Table::default(),
            disputes: Table::default(),
            events: Table::default(),
            keys: Keys::default(),
            revoked_keys: HashSet::new(),
            faults: Faults::default(),
            event_faults: EventFaults::default(),
            switches: Switches::default(),
            webhook_endpoint: None,
            requests: RequestLog::default(),
            deliveries: DeliveryLog::default(),
            cause: None,
            outbox,
        }
    }

    /// Forgets what was requested and delivered so far, so that the log of a long run does not grow for ever. Objects,
    /// events and stored answers stay.
    pub(crate) fn reset_log(&mut self) {
        self.requests = RequestLog::default();
        self.deliveries.forget();
    }
}

/// A new id, such as `pi_3f…`.
pub(crate) fn new_id(prefix: &str) -> String {
    format!("{prefix}_{}", random_text(24))
}

pub(crate) fn random_text(length: usize) -> String {
    Alphanumeric.sample_string(&mut rand::rng(), length)
}

/// Seconds since 1970, as Stripe counts time.
pub(crate) fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}
