//! Scenes: each the beginning of some story, told by its steps in their order. Most of them happen, and any of them may
//! be interrupted.

use kitloop_tests::{Failure, Interruption, Pick, failure, waits};
use proptest::option;
use proptest::prelude::{BoxedStrategy, Just, Strategy, prop_oneof};

use super::chances::{
    at_stripe, close_dispute, hear, interrupted, move_refund, open_dispute, ours, pay, refund, refund_beside,
    reserve, who, work,
};
use super::steps::{Act, Deed, Passing, Request, Step, Who};

/// Steps of which each happens nine times out of ten.
fn scene(steps: Vec<BoxedStrategy<Step>>) -> impl Strategy<Value = Vec<Step>> {
    let steps: Vec<_> = steps.into_iter().map(|step| option::weighted(0.9, step)).collect();
    steps.prop_map(|steps| steps.into_iter().flatten().collect())
}

/// Somebody books and pays, and we hear of it, or not.
pub(super) fn booking(of: Pick) -> impl Strategy<Value = Vec<Step>> {
    scene(vec![
        reserve().boxed(),
        ours(Act::StartPayment(of)),
        pay(of),
        option::weighted(0.8, hear(of)).prop_map(|step| step.unwrap_or(Step::Time(Passing::Pauses))).boxed(),
    ])
}

/// Whoever begins a payment dies, and it is begun again later.
pub(super) fn second_start(of: Pick) -> impl Strategy<Value = Vec<Step>> {
    let crash = waits().prop_map(move |waits| Step::Ours(Act::StartPayment(of), Interruption::Crash(waits)));
    scene(vec![
        reserve().boxed(),
        crash.boxed(),
        Just(Step::Time(Passing::Pauses)).boxed(),
        ours(Act::StartPayment(of)),
        pay(of),
    ])
}

/// The shop answers an authorised payment, perhaps twice.
pub(super) fn answer(of: Pick) -> impl Strategy<Value = Vec<Step>> {
    let answer = || {
        prop_oneof![
            4 => Just(Act::Confirm(of, Who::Staff)),
            1 => Just(Act::Decline(of)),
            1 => Just(Act::Cancel(of, Who::Customer)),
        ]
    };
    scene(vec![interrupted(answer()), interrupted(answer()), work()])
}

/// The money goes back, for a reason or another.
pub(super) fn money_back(of: Pick) -> impl Strategy<Value = Vec<Step>> {
    let reason = prop_oneof![
        3 => (Just(of), who()).prop_map(|(of, who)| Act::Cancel(of, who)),
        3 => refund(of),
        1 => Just(Act::Decline(of)),
    ];
    let more = prop_oneof![2 => interrupted(refund(of)), 1 => at_stripe(refund_beside()), 1 => work()];
    scene(vec![interrupted(reason), more.boxed(), work()])
}

/// A refund fails at the bank, perhaps after it had succeeded, and we hear of it.
pub(super) fn failing_refund(of: Pick) -> impl Strategy<Value = Vec<Step>> {
    scene(vec![
        interrupted(refund(of)),
        work(),
        at_stripe(move_refund()),
        at_stripe(move_refund()),
        ours(Act::DeliverRest),
        work(),
        at_stripe(move_refund()),
    ])
}

/// A refund is asked for in vain, and before it is asked for again somebody makes a part of it elsewhere.
pub(super) fn smaller_refund(of: Pick) -> impl Strategy<Value = Vec<Step>> {
    let failure = prop_oneof![2 => Just(Failure::Passing), 1 => failure()];
    let failure = failure.prop_map(|failure| Deed::Fail { request: Request::Refund, failure });
    scene(vec![
        ours(Act::Refund { of, quarters: Some(3), is_offline: false }),
        at_stripe(failure),
        work(),
        at_stripe(refund_beside()),
        ours(Act::DeliverRest),
        Just(Step::Time(Passing::Pauses)).boxed(),
        work(),
    ])
}

/// The cardholder disputes a payment while its money goes back.
pub(super) fn dispute(of: Pick) -> impl Strategy<Value = Vec<Step>> {
    scene(vec![
        at_stripe(open_dispute()),
        hear(of).boxed(),
        interrupted(refund(of)),
        work(),
        at_stripe(close_dispute()),
        hear(of).boxed(),
        work(),
    ])
}

/// A hold lapses, somebody else may take the piece, and the first pays nevertheless.
pub(super) fn late_payment(of: Pick) -> impl Strategy<Value = Vec<Step>> {
    scene(vec![
        ours(Act::StartPayment(of)),
        Just(Step::Time(Passing::Lapse(of))).boxed(),
        prop_oneof![reserve().boxed(), ours(Act::Sweep)].boxed(),
        pay(of),
        hear(of).boxed(),
        work(),
    ])
}

/// A worker is frozen until another has its job, and goes on then.
pub(super) fn lost_lease() -> impl Strategy<Value = Vec<Step>> {
    let frozen = waits().prop_map(|waits| Step::Ours(Act::Work(1), Interruption::Freeze(waits)));
    let pauses = Just(Step::Time(Passing::Pauses));
    scene(vec![frozen.boxed(), pauses.boxed(), work(), Just(Step::Thaw).boxed()])
}
