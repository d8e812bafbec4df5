//! What there is under /ops, by its path.

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resource {
    Metrics,
    WebhookEvents,
    WebhookEventReplay(String),
    DeadLetters,
    DeadLetterReplay(String),
    CreditAdjustment,
    ReservationStats,
    Counts,
    Consistency,
    Audit,
    Unknown,
}

impl Resource {
    /// Of the path's segments below /ops.
    pub(crate) fn at(segments: &[&str]) -> Self {
        match segments {
            ["metrics"] => Self::Metrics,
            ["webhook-events"] => Self::WebhookEvents,
            ["webhook-events", event_id, "replay"] => Self::WebhookEventReplay((*event_id).to_owned()),
            ["dead-letters"] => Self::DeadLetters,
            ["dead-letters", id, "replay"] => Self::DeadLetterReplay((*id).to_owned()),
            ["credits", "adjust"] => Self::CreditAdjustment,
            ["reservation-stats"] => Self::ReservationStats,
            ["counts"] => Self::Counts,
            ["consistency"] => Self::Consistency,
            ["audit"] => Self::Audit,
            _ => Self::Unknown,
        }
    }

    /// The methods it knows.
    pub(crate) const fn methods(&self) -> &'static [&'static str] {
        match self {
            Self::WebhookEventReplay(_) | Self::DeadLetterReplay(_) | Self::CreditAdjustment => &["POST"],
            Self::Consistency | Self::Unknown => &["GET", "POST"],
            _ => &["GET"],
        }
    }
}
