//! What can go wrong, without HTTP: the mapping to statuses is in `http::response` alone.

use std::time::Duration;

/// Every failure of a use case.
///
/// A [`Refusal`] is an answer ("no, because …") that the caller may read; everything else is ours to mend, and the
/// caller learns no more than that it failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request was understood and refused.
    #[error("refused: {}", .0.code.as_str())]
    Refused(Box<Refusal>),
    /// The database could not be reached, was too slow, or closed the connection. Worth another try.
    #[error("database unavailable: {0}")]
    DatabaseUnavailable(String),
    /// The database answered with something that should be impossible.
    #[error("database: {0}")]
    Database(String),
    /// Stripe could not be reached, hung, throttled us or failed on its side. Worth another try.
    #[error("stripe unavailable: {0}")]
    StripeUnavailable(String),
    /// Stripe understood the request and refused it.
    #[error("stripe refused: {0}")]
    StripeRefused(String),
    /// An alarm was not taken by whom it was to be told. Worth another try.
    #[error("alert undelivered: {0}")]
    AlertUndelivered(String),
    /// The keys that tokens are verified with could not be fetched. Worth another try.
    #[error("token keys unavailable: {0}")]
    TokenKeysUnavailable(String),
    /// The invocation is about to end, and whatever the use case waits for has not come. Worth another try.
    #[error("out of time")]
    OutOfTime,
    /// A mistake of ours that stopped the work. The panic itself is in the log.
    #[error("internal: panic")]
    Panicked,
    /// Anything else that should be impossible.
    #[error("internal: {0}")]
    Internal(String),
}

impl Error {
    /// The stable code that clients read, whatever else the log tells.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code.as_str(),
            Self::DatabaseUnavailable(_) => "database_unavailable",
            Self::StripeUnavailable(_) => "stripe_unavailable",
            Self::AlertUndelivered(_) => "alert_undelivered",
            Self::TokenKeysUnavailable(_) => "token_keys_unavailable",
            Self::OutOfTime => "out_of_time",
            Self::StripeRefused(_) => "stripe_refused",
            Self::Database(_) | Self::Panicked | Self::Internal(_) => "internal_error",
        }
    }
}

/// An expected "no", with all that the caller may know about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The stable code that a client can branch on.
    pub code: Code,
    /// One sentence for a person.
    pub detail: String,
    /// Every wrong field of the request, not only the first.
    pub invalid_fields: Vec<InvalidField>,
    /// When another try makes sense.
    pub retry_after: Option<Duration>,
    /// Members added to the problem document, such as what is still available.
    pub details: serde_json::Map<String, serde_json::Value>,
}

/// One wrong field of a request.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct InvalidField {
    /// The path of the field, such as `lines[1].quantity`.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Refusal {
    /// A refusal with the code's own sentence.
    #[must_use]
    pub fn of(code: Code) -> Self {
        Self::new(code, code.sentence())
    }

    /// A refusal with a sentence for a person.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            invalid_fields: Vec::new(),
            retry_after: code.retry_after(),
            details: serde_json::Map::new(),
        }
    }

    /// The same refusal, naming the fields that are wrong.
    #[must_use]
    pub fn with_fields(mut self, invalid_fields: Vec<InvalidField>) -> Self {
        self.invalid_fields = invalid_fields;
        self
    }

    /// The same refusal, saying when another try makes sense.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.retry_after = Some(retry_after);
        self
    }
}

/// What a document lacks. serde's messages quote what they found; only the part that names the expectation may go to a log.
#[must_use]
pub fn without_values(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None if error.is_data() => message,
        None => format!("malformed JSON at line {} column {}", error.line(), error.column()),
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

/// Declares [`Code`] with the text that SQL functions return and clients read: one word for one thing.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The stable code of a refusal.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as clients and SQL functions spell it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The code that an SQL function returned as its outcome.
            #[must_use]
            pub fn from_outcome(outcome: &str) -> Option<Self> {
                match outcome { $($text => Some(Self::$name),)* _ => None }
            }
        }
    };
}

codes! {
    /// The body is not what the content type says.
    MalformedBody = "malformed_body",
    /// One or more fields are missing or wrong; `invalid_fields` names them all.
    InvalidRequest = "invalid_request",
    /// The webhook's signature is missing, wrong or outside the tolerance.
    InvalidSignature = "invalid_signature",
    /// The period starts before now plus the provider's lead time.
    LeadTimeTooShort = "lead_time_too_short",
    /// The period starts later than the provider takes reservations for.
    BeyondHorizon = "beyond_horizon",
    /// The period is shorter than the provider allows.
    DurationTooShort = "duration_too_short",
    /// The period is longer than the provider allows.
    DurationTooLong = "duration_too_long",
    /// No token, or one that does not hold.
    Unauthenticated = "unauthenticated",
    /// The customer's payment is not there yet.
    PaymentRequired = "payment_required",
    /// There are not so many credits.
    InsufficientCredits = "insufficient_credits",
    /// The caller is known and may not do this.
    Forbidden = "forbidden",
    /// The shop's plan has lapsed: it takes no new holds.
    PlanInactive = "plan_inactive",
    /// The browser's origin is not on the allow-list.
    OriginNotAllowed = "origin_not_allowed",
    /// No such function.
    NotFound = "not_found",
    /// No such provider.
    ProviderNotFound = "provider_not_found",
    /// No such item at this provider, or it is archived.
    GearNotFound = "gear_not_found",
    /// No such reservation for this caller.
    ReservationNotFound = "reservation_not_found",
    /// No such event of Stripe's in the log.
    EventNotFound = "event_not_found",
    /// Nobody here has this user id.
    CustomerNotFound = "customer_not_found",
    /// No such dead letter.
    DeadLetterNotFound = "dead_letter_not_found",
    /// No such paid job of this caller.
    JobNotFound = "job_not_found",
    /// The function does not know the method.
    MethodNotAllowed = "method_not_allowed",
    /// The stock does not suffice over the whole period.
    InsufficientAvailability = "insufficient_availability",
    /// The customer has as many open holds as the provider allows.
    TooManyOpenHolds = "too_many_open_holds",
    /// The same request is being worked on right now.
    RequestInFlight = "request_in_flight",
    /// Somebody else is starting this payment right now.
    PaymentStarting = "payment_starting",
    /// The reservation is paid or authorised already.
    AlreadyPaid = "already_paid",
    /// The reservation costs nothing.
    NothingToPay = "nothing_to_pay",
    /// The intent named is not this reservation's.
    PaymentIntentMismatch = "payment_intent_mismatch",
    /// The money is being captured right now.
    CaptureInProgress = "capture_in_progress",
    /// The paid stock was gone, the money goes back.
    CancelledConflict = "cancelled_conflict",
    /// The reservation is cancelled or over.
    ReservationOver = "reservation_over",
    /// The reservation was cancelled before.
    AlreadyCancelled = "already_cancelled",
    /// The gear is with the customer.
    RentalStarted = "rental_started",
    /// No money of the reservation has come in.
    NotPaid = "not_paid",
    /// All money of the reservation went back, or is on its way.
    AlreadyRefunded = "already_refunded",
    /// More was asked back than is left; `refundable_minor` says how much is.
    RefundExceedsPayment = "refund_exceeds_payment",
    /// The currency has no such amounts; `step_minor` says which it has.
    InvalidRefundAmount = "invalid_refund_amount",
    /// It was paid at the counter, so the money cannot go back to a card.
    PaidOffline = "paid_offline",
    /// The bank has the money until the dispute is decided.
    PaymentDisputed = "payment_disputed",
    /// Another invocation is at the same work.
    AlreadyRunning = "already_running",
    /// An operator has had the job run again before.
    AlreadyReplayed = "already_replayed",
    /// What a job was for is not wanted any more, or is under way another way.
    JobObsolete = "job_obsolete",
    /// An export would be larger than one may be; a shorter time has less.
    ExportTooLarge = "export_too_large",
    /// The hold has lapsed.
    HoldExpired = "hold_expired",
    /// The session to pay by has lapsed.
    CheckoutExpired = "checkout_expired",
    /// The body is over the limit.
    BodyTooLarge = "body_too_large",
    /// The content type is not JSON.
    UnsupportedMediaType = "unsupported_media_type",
    /// The idempotency key was used with another body.
    IdempotencyKeyReused = "idempotency_key_reused",
    /// Too many requests.
    RateLimited = "rate_limited",
    /// A setting that this function needs is missing.
    NotConfigured = "not_configured",
}

impl Code {
    /// The sentence for a person where there is nothing more particular to say.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::ProviderNotFound => "There is no such provider.",
            Self::GearNotFound => "The provider has no such gear, or does not rent it out any more.",
            Self::ReservationNotFound => "There is no such reservation.",
            Self::EventNotFound => "There is no such event.",
            Self::InsufficientCredits => "There are not enough credits.",
            Self::CustomerNotFound => "There is no such customer.",
            Self::DeadLetterNotFound => "There is no such dead letter.",
            Self::JobNotFound => "There is no such job.",
            Self::Forbidden => "Only staff of the provider may do this.",
            Self::PlanInactive => "The shop takes no new reservations at the moment.",
            Self::LeadTimeTooShort => "The period starts too soon, or in the past.",
            Self::BeyondHorizon => "The period starts later than the provider takes reservations for.",
            Self::DurationTooShort => "The period is shorter than the provider allows.",
            Self::DurationTooLong => "The period is longer than the provider allows.",
            Self::TooManyOpenHolds => "There are as many open holds as the provider allows one customer.",
            Self::InsufficientAvailability => "Some of the gear is not available over the whole period.",
            Self::IdempotencyKeyReused => "This idempotency key was used with another request.",
            Self::RequestInFlight => "The same request is being worked on.",
            Self::AlreadyPaid => "The reservation is paid or authorised already.",
            Self::NothingToPay => "The reservation costs nothing.",
            Self::PaymentStarting => "This payment is being started by another request.",
            Self::PaymentRequired => "The payment has not been made yet.",
            Self::PaymentIntentMismatch => "The payment intent is not the one of this reservation.",
            Self::CaptureInProgress => "The payment is being captured.",
            Self::CancelledConflict => {
                "The payment came after the hold had lapsed and the gear was gone; it is refunded."
            }
            Self::ReservationOver => "The reservation is over.",
            Self::AlreadyCancelled => "The reservation is cancelled already.",
            Self::RentalStarted => "The gear has been handed out.",
            Self::NotPaid => "The reservation has not been paid.",
            Self::AlreadyRefunded => "All of the money has been sent back already.",
            Self::RefundExceedsPayment => "That is more than is left to be refunded.",
            Self::InvalidRefundAmount => "The currency has no such amount.",
            Self::PaidOffline => {
                "It was paid at the counter: hand the money back there, and say so with offline."
            }
            Self::PaymentDisputed => {
                "The payment is disputed: nothing can be refunded until the bank decides."
            }
            Self::AlreadyRunning => "Another invocation is at it.",
            Self::AlreadyReplayed => "The job has been run again already.",
            Self::JobObsolete => "What the job was for is not wanted any more, or is under way another way.",
            Self::ExportTooLarge => "The export would be too large: ask for a shorter time.",
            Self::HoldExpired => "The hold has lapsed.",
            Self::CheckoutExpired => "The time to pay for these credits is over.",
            Self::MalformedBody => "The body cannot be read.",
            Self::InvalidRequest => "One or more fields are missing or wrong.",
            Self::InvalidSignature => "The signature does not hold.",
            Self::Unauthenticated => "A token is required.",
            Self::OriginNotAllowed => "The origin is not on the allow-list.",
            Self::NotFound => "There is nothing here.",
            Self::MethodNotAllowed => "The method is not allowed here.",
            Self::BodyTooLarge => "The body is too large.",
            Self::UnsupportedMediaType => "The content type must be application/json.",
            Self::RateLimited => "Too many requests; try again later.",
            Self::NotConfigured => "This is not set up yet.",
        }
    }

    /// When another try makes sense, where one does.
    #[must_use]
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::RequestInFlight | Self::PaymentStarting | Self::CaptureInProgress => {
                Some(Duration::from_secs(1))
            }
            Self::NotConfigured => Some(Duration::from_secs(60)),
            _ => None,
        }
    }
}
