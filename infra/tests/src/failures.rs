//! Requests to Stripe that fail.

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use stripe_stand_in::{FaultKind, StatusFault};

/// How a request fails.
#[derive(Debug, Clone, Copy)]
pub enum Failure {
    /// Stripe stores it for the key.
    Stored {
        /// Whether the work is done nevertheless.
        with_work: bool,
    },
    /// The same request works a moment later.
    Passing,
    /// The work is done, but the answer is lost.
    AnswerLost,
}

/// Any of them.
pub fn failure() -> impl Strategy<Value = Failure> {
    prop_oneof![
        any::<bool>().prop_map(|with_work| Failure::Stored { with_work }),
        Just(Failure::Passing),
        Just(Failure::AnswerLost),
    ]
}

impl Failure {
    /// In the stand-in's words.
    #[must_use]
    pub fn kind(self) -> FaultKind {
        let status = |stored, with_work| {
            // Who may not try again at once need not wait either.
            let should_retry = Some(false);
            FaultKind::Status(StatusFault {
                status: 500,
                with_work,
                stored: Some(stored),
                should_retry,
                retry_after: None,
            })
        };
        match self {
            Self::Stored { with_work } => status(true, with_work),
            Self::Passing => status(false, false),
            Self::AnswerLost => FaultKind::Html { with_work: true },
        }
    }
}
