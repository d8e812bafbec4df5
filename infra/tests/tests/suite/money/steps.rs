//! A sequence as a value: what happens, to which reservation, and how it is interrupted.

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
    /// Whether the shop authorises first and captures when it confirms.
    pub(super) is_manual: bool,
    /// How many pieces there are.
    pub(super) stock: i32,
    /// Whether Stripe lists the events that we did not take; else it believes that we took them, or has forgotten them,
    /// and only the objects themselves tell.
    pub(super) lists_lost_events: bool,
    /// Whether holds that are left lapse before the end.
    pub(super) holds_lapse: bool,
    /// How the bank ends at last what is still open there.
    pub(super) bank_says_yes: bool,
}

/// One step.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// A customer wants a piece for a day.
    Reserve { customer: Pick, starts: Starts },
    /// Our code does something.
    Ours(Act, Interruption),
    /// Who was frozen longest goes on.
    Thaw,
    /// Somebody does something at Stripe.
    AtStripe(Deed),
    /// Time passes.
    Time(Passing),
}

/// When a rental starts, which decides what a customer who cancels gets back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Starts {
    /// All of it.
    FarAhead,
    /// Half of it.
    WithinADay,
    /// Nothing.
    WithinTwoHours,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Customer,
    Staff,
}

/// What our code is asked to do.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    StartPayment(Pick),
    /// By the customer: "I have paid".
    Confirm(Pick, Who),
    Decline(Pick),
    Cancel(Pick, Who),
    /// By staff: so many quarters of the price; `None` is all that is left.
    Refund {
        of: Pick,
        quarters: Option<i64>,
        is_offline: bool,
    },
    Sweep,
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

/// What customers, banks and networks do.
#[derive(Debug, Clone, Copy)]
pub(super) enum Deed {
    /// The customer pays one of the intents of a reservation.
    Pay {
        of: Pick,
        intent: Pick,
        card: Card,
    },
    /// The customer pays with an intent that is not ours, but has our metadata, and perhaps the wrong amount.
    PayBeside {
        of: Pick,
        is_wrong: bool,
    },
    /// A payment that is being processed arrives, or does not.
    Settle {
        intent: Pick,
        succeeds: bool,
    },
    /// The bank releases an authorisation.
    ExpireAuthorisation {
        intent: Pick,
    },
    /// Somebody refunds half of what is left, or all of it, in Stripe's dashboard.
    RefundBeside {
        intent: Pick,
        is_half: bool,
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

#[derive(Debug, Clone, Copy)]
pub(super) enum Card {
    Good,
    Declined,
    Authenticated,
    NotAuthenticated,
    /// The payment is processed for a while.
    Slow,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Request {
    CreateIntent,
    Cancel,
    Capture,
    Refund,
    Read,
}

/// How time passes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Passing {
    /// A hold lapses.
    Lapse(Pick),
    /// An authorisation was left unanswered for a day.
    Unanswered(Pick),
    /// Pauses, leases and claims end.
    Pauses,
}
