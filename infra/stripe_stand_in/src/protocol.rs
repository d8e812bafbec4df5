//! What goes over the admin API, for both ends of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where webhooks go, and the secret that signs them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WebhookEndpoint {
    /// The receiver's full address.
    pub url: String,
    /// `whsec_…`
    pub secret: String,
}

/// What later payments and refunds do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Switches {
    /// New refunds stay `pending` until an admin call settles them.
    pub refunds_pending: bool,
    /// Confirmed payments stay `processing` until an admin call settles them.
    pub payments_processing: bool,
}

/// A failure made to order, for the next requests that match.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Fault {
    /// Which requests fail; all of them by default.
    #[serde(default, rename = "match")]
    pub request: RequestMatch,
    /// How many of them.
    #[serde(default = "once")]
    pub times: u32,
    /// What happens to them.
    #[serde(flatten)]
    pub kind: FaultKind,
}

/// Which requests a fault is for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestMatch {
    /// The HTTP method, in capitals.
    pub method: Option<String>,
    /// The beginning of the path.
    pub path_prefix: Option<String>,
    /// The end of the path, such as `/capture`.
    pub path_suffix: Option<String>,
}

/// How a request fails.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultKind {
    /// Nothing is done and nothing is answered.
    #[default]
    Hang,
    /// The work is done, but nothing is answered.
    HangAfter,
    /// The idempotency key is taken, and only then, after the delay, the work is done and answered.
    Slow {
        /// In milliseconds.
        delay_ms: u64,
    },
    /// An error in Stripe's words.
    Status(StatusFault),
    /// A gateway's page with status 502.
    Html {
        /// Whether the work is done behind it.
        #[serde(default)]
        with_work: bool,
    },
    /// Half an object with status 200.
    Nonsense {
        /// Whether the work is done behind it.
        #[serde(default)]
        with_work: bool,
    },
}

/// The details of an error made to order.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct StatusFault {
    /// Such as 429 or 500.
    pub status: u16,
    /// Whether the work is done nevertheless.
    #[serde(default)]
    pub with_work: bool,
    /// Whether the answer is stored for the idempotency key. Stripe stores failures of its own (500 and above) that
    /// happened during execution, and nothing else: that is the default.
    #[serde(default)]
    pub stored: Option<bool>,
    /// The header `Stripe-Should-Retry`.
    #[serde(default)]
    pub should_retry: Option<bool>,
    /// The header `Retry-After`, in seconds.
    #[serde(default)]
    pub retry_after: Option<u64>,
}

/// Something that happens to the delivery of the next event of a type.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EventFault {
    /// Such as `payment_intent.succeeded`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// What happens.
    pub action: EventAction,
    /// To how many events.
    #[serde(default = "once")]
    pub times: u32,
}

/// What happens to the delivery of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventAction {
    /// It is never delivered (until somebody resends it).
    Lose,
    /// It is delivered twice at the same time.
    Duplicate,
    /// It is delivered later, in milliseconds.
    DelayMs(u64),
    /// It is delivered after the event that follows it.
    Reorder,
}

/// How the customer pays on the page of a Checkout Session.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CheckoutPayment {
    /// One of Stripe's test cards.
    pub card: String,
    /// Whether the money takes its time, as with a bank debit: the session is complete, but not yet paid.
    pub unpaid: bool,
    /// What the event of a card that pays at once says instead of the amount, in minor units; the session itself keeps
    /// what was asked for.
    pub told_amount_minor: Option<i64>,
    /// What that event says instead of the currency, lower case.
    pub told_currency: Option<String>,
}

/// A dispute that a cardholder opens.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct NewDispute {
    /// `ch_…`, a captured charge.
    pub charge: String,
    /// In minor units, at most what is captured; what is captured and not refunded if nothing is given.
    #[serde(default)]
    pub amount_minor: Option<i64>,
    /// One of Stripe's reasons; `fraudulent` if nothing is given.
    #[serde(default)]
    pub reason: Option<String>,
    /// Whether the bank only inquires, and leaves the money where it is.
    #[serde(default)]
    pub inquiry: bool,
}

/// How far a dispute got: <https://docs.stripe.com/api/disputes/object#dispute_object-status>. `Warning…` are those of
/// an inquiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words are Stripe's")]
pub enum DisputeStatus {
    WarningNeedsResponse,
    WarningUnderReview,
    WarningClosed,
    NeedsResponse,
    UnderReview,
    Won,
    Lost,
}

/// How far a refund got: <https://docs.stripe.com/api/refunds/object#refund_object-status>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words are Stripe's")]
pub enum RefundStatus {
    Pending,
    RequiresAction,
    Succeeded,
    Failed,
    Canceled,
}

/// One request that the stand-in received.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoggedRequest {
    /// `req_…`
    pub id: String,
    /// The HTTP method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The parameters as a tree of strings.
    pub params: Value,
    /// The header `Stripe-Version`.
    pub stripe_version: Option<String>,
    /// The header `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// What was answered; nothing while it hangs.
    pub status: Option<u16>,
    /// Whether the answer came from an earlier request with the same key.
    pub replayed: bool,
}

/// One attempt to deliver an event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Delivery {
    /// `evt_…`
    pub event_id: String,
    /// The event's type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The id of the object that the event is about.
    pub object_id: Option<String>,
    /// From 1.
    pub attempt: u32,
    /// The receiver's status; nothing if it did not answer.
    pub status: Option<u16>,
    /// The receiver's answer, as JSON if it is that, cut if it is long.
    pub answer: Value,
    /// Whether that ends the matter.
    pub delivered: bool,
}

const fn once() -> u32 {
    1
}
