//! Single steps at random, the likely ones more often.

use kitloop_tests::{Pick, failure, interruption, pick};
use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop_oneof};
use stripe_stand_in::{DisputeStatus, RefundStatus};

use super::steps::{Act, Deed, Errand, Payment, Request, Step, Task};

pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => interrupted(act()),
        4 => (act(), act()).prop_map(|(first, second)| Step::AtOnce(first, second)),
        1 => Just(Step::Thaw),
        5 => at_stripe(deed()),
        2 => Just(Step::Pauses),
        1 => any::<bool>().prop_map(|is_there| Step::Staff { is_there }),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => buy(),
        2 => pick().prop_map(Act::BuyAgain),
        5 => ask(),
        3 => (pick(), prop_oneof![4 => Just(true), 1 => Just(false)])
            .prop_map(|(of, is_same)| Act::AskAgain { of, is_same }),
        2 => (pick(), prop_oneof![-3..=-1_i64, 1..=3_i64])
            .prop_map(|(customer, amount)| Act::Adjust { customer, amount }),
        2 => pick().prop_map(Act::AdjustAgain),
        2 => pick().prop_map(Act::Revive),
        6 => (1..=3_u8).prop_map(Act::Work),
        1 => Just(Act::Reconcile),
        2 => Just(Act::DeliverNext),
        2 => any::<Pick>().prop_map(Act::Deliver),
        1 => Just(Act::DeliverRest),
    ]
}

pub(super) fn buy() -> impl Strategy<Value = Act> {
    (pick(), 1..=7_i64).prop_map(|(customer, credits)| Act::Buy { customer, credits })
}

pub(super) fn ask() -> impl Strategy<Value = Act> {
    let task = prop_oneof![
        3 => Just(Task::OwnReservations),
        2 => Just(Task::ShopReservations),
        2 => Just(Task::Unknown),
        1 => Just(Task::Nonsense),
    ];
    (pick(), task).prop_flat_map(|(customer, task)| ask_for(customer, task))
}

/// This customer wants it done, at some price and in so many attempts.
pub(super) fn ask_for(customer: Pick, task: Task) -> impl Strategy<Value = Act> {
    (1..=3_i64, 1..=3_i32).prop_map(move |(credits, max_attempts)| Act::Ask {
        customer,
        errand: Errand { task, credits, max_attempts },
    })
}

pub(super) fn ours(act: Act) -> BoxedStrategy<Step> {
    interrupted(Just(act))
}

pub(super) fn interrupted(act: impl Strategy<Value = Act> + 'static) -> BoxedStrategy<Step> {
    (act, interruption()).prop_map(|(act, interruption)| Step::Ours(act, interruption)).boxed()
}

pub(super) fn work() -> BoxedStrategy<Step> {
    interrupted((1..=3_u8).prop_map(Act::Work))
}

/// How we hear of what happened at Stripe.
pub(super) fn hear() -> BoxedStrategy<Step> {
    interrupted(prop_oneof![
        3 => Just(Act::DeliverRest),
        2 => Just(Act::DeliverNext),
        2 => any::<Pick>().prop_map(Act::Deliver),
        1 => Just(Act::Reconcile),
    ])
}

pub(super) fn at_stripe(deed: impl Strategy<Value = Deed> + 'static) -> BoxedStrategy<Step> {
    deed.prop_map(Step::AtStripe).boxed()
}

pub(super) fn pay() -> impl Strategy<Value = Deed> {
    let how = prop_oneof![
        6 => Just(Payment::Card), 1 => Just(Payment::Declined), 2 => Just(Payment::Debit),
        1 => Just(Payment::Misreported),
    ];
    // The newest session is the first.
    (prop_oneof![3 => Just(0), 1 => pick()], how).prop_map(|(session, how)| Deed::Pay { session, how })
}

pub(super) fn settle() -> impl Strategy<Value = Deed> {
    (pick(), any::<bool>()).prop_map(|(intent, succeeds)| Deed::Settle { intent, succeeds })
}

fn deed() -> impl Strategy<Value = Deed> {
    use DisputeStatus::{NeedsResponse, UnderReview, WarningUnderReview};
    let dispute_status = prop_oneof![Just(NeedsResponse), Just(UnderReview), Just(WarningUnderReview)];
    prop_oneof![
        4 => pay(),
        2 => settle(),
        1 => pick().prop_map(|session| Deed::Expire { session }),
        3 => refund(),
        1 => any::<bool>().prop_map(Deed::RefundsPend),
        2 => move_refund(),
        2 => open_dispute(),
        1 => (pick(), dispute_status).prop_map(|(dispute, to)| Deed::MoveDispute { dispute, to }),
        1 => close_dispute(),
        3 => fail(),
        2 => any::<Pick>().prop_map(Deed::Lose),
    ]
}

pub(super) fn refund() -> impl Strategy<Value = Deed> {
    (pick(), 1..=3_i64).prop_map(|(intent, parts)| Deed::Refund { intent, parts })
}

pub(super) fn move_refund() -> impl Strategy<Value = Deed> {
    use RefundStatus::{Canceled, Failed, RequiresAction, Succeeded};
    let to =
        prop_oneof![6 => Just(Failed), 1 => Just(Canceled), 1 => Just(RequiresAction), 1 => Just(Succeeded)];
    (pick(), to).prop_map(|(refund, to)| Deed::MoveRefund { refund, to })
}

pub(super) fn open_dispute() -> impl Strategy<Value = Deed> {
    (pick(), any::<bool>(), any::<bool>()).prop_map(|(intent, is_inquiry, is_half)| Deed::OpenDispute {
        intent,
        is_inquiry,
        is_half,
    })
}

pub(super) fn close_dispute() -> impl Strategy<Value = Deed> {
    (pick(), any::<bool>()).prop_map(|(dispute, is_won)| Deed::CloseDispute { dispute, is_won })
}

pub(super) fn fail() -> impl Strategy<Value = Deed> {
    let request = prop_oneof![3 => Just(Request::CreateSession), 1 => Just(Request::Read)];
    (request, failure()).prop_map(|(request, failure)| Deed::Fail { request, failure })
}
