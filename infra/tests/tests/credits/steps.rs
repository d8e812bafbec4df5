//! A sequence as a value: what happens, to which top-up or job, and how it is interrupted.

use kitloop_tests::{Failure, Interruption, Pick};
use stripe_stand_in::{DisputeStatus, RefundStatus};

/// A whole sequence.
#[derive(Debug, Clone)]
pub(super) struct Life {
    pub(super) rules: Rules,
    pub(super) steps: Vec<Step>,
}

/// What a sequence takes place under.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// What each customer has to begin with.
    pub(super) credits: i64,
    /// Whether Stripe lists the events that we did not take; else it believes that we took them, or has forgotten them,
    /// and only the objects themselves tell.
    pub(super) lists_lost_events: bool,
    /// How the bank ends at last what is still open there.
    pub(super) bank_says_yes: bool,
}

/// One step.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Our code does something.
    Ours(Act, Interruption),
    /// It does two things at once, each over a connection of its own.
    AtOnce(Act, Act),
    /// Who was frozen longest goes on.
    Thaw,
    /// Somebody does something at Stripe.
    AtStripe(Deed),
    /// Pauses and leases end, whoever is still at work.
    Pauses,
    /// Who works at the shop leaves it, or comes back.
    Staff { is_there: bool },
}

/// What our code is asked to do.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    /// A customer wants to buy credits.
    Buy {
        customer: Pick,
        credits: i64,
    },
    /// The same request once more.
    BuyAgain(Pick),
    /// A customer wants a job done.
    Ask {
        customer: Pick,
        errand: Errand,
    },
    /// The same request once more, or another one under its key.
    AskAgain {
        of: Pick,
        is_same: bool,
    },
    /// An operator corrects a balance.
    Adjust {
        customer: Pick,
        amount: i64,
    },
    /// The same correction once more.
    AdjustAgain(Pick),
    /// An operator has a job run again that was given up.
    Revive(Pick),
    /// The worker does so many jobs.
    Work(u8),
    Reconcile,
    /// The oldest event that has not come yet comes.
    DeliverNext,
    /// Any event comes, whether it came before or not.
    Deliver(Pick),
    /// All events that have not come yet come, newest first.
    DeliverRest,
}

/// A job that is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Errand {
    pub(super) task: Task,
    pub(super) credits: i64,
    pub(super) max_attempts: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// An export of one's own reservations, which succeeds.
    OwnReservations,
    /// An export of the shop's, which succeeds for who works there.
    ShopReservations,
    /// Something that the worker has never heard of.
    Unknown,
    /// An export in no format.
    Nonsense,
}

/// What customers, banks and networks do.
#[derive(Debug, Clone, Copy)]
pub(super) enum Deed {
    /// The customer pays for a top-up.
    Pay {
        session: Pick,
        how: Payment,
    },
    /// A payment that takes its time arrives, or does not.
    Settle {
        intent: Pick,
        succeeds: bool,
    },
    /// A page on which nobody paid is closed.
    Expire {
        session: Pick,
    },
    /// Somebody refunds what is left of a payment in Stripe's dashboard, or a part of it: one of so many.
    Refund {
        intent: Pick,
        parts: i64,
    },
    /// Whether refunds stay pending from now on.
    RefundsPend(bool),
    MoveRefund {
        refund: Pick,
        to: RefundStatus,
    },
    OpenDispute {
        intent: Pick,
        is_inquiry: bool,
        is_half: bool,
    },
    MoveDispute {
        dispute: Pick,
        to: DisputeStatus,
    },
    CloseDispute {
        dispute: Pick,
        is_won: bool,
    },
    /// The next request of a kind fails.
    Fail {
        request: Request,
        failure: Failure,
    },
    /// An event never comes, and nobody tries again.
    Lose(Pick),
}

/// How somebody pays.
#[derive(Debug, Clone, Copy)]
pub(super) enum Payment {
    Card,
    Declined,
    /// The money takes its time.
    Debit,
    /// By card, but the event tells of another amount.
    Misreported,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Request {
    CreateSession,
    Read,
}
