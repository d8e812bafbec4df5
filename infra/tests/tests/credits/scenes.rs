//! Sequences at random: scenes, each the beginning of some story, told by its steps in their order, and single steps that
//! get in between. Most steps of a scene happen, and any of them may be interrupted.

use kitloop_tests::{Interruption, Pick, pick, waits};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop_oneof};

use super::chances::{
    ask, ask_for, at_stripe, buy, close_dispute, fail, hear, interrupted, move_refund, open_dispute, ours,
    pay, refund, settle, step, work,
};
use super::steps::{Act, Life, Rules, Step, Task};

/// Which of the users works at the shop.
const STAFF: Pick = 2;

pub(super) fn lives() -> impl Strategy<Value = Life> {
    let parts = prop_oneof![
        3 => purchase(),
        1 => second_purchase(),
        2 => money_back(),
        1 => dispute(),
        3 => errand(),
        2 => (pick(), prop_oneof![Just(Task::Unknown), Just(Task::Nonsense)])
            .prop_flat_map(|(customer, task)| poison(customer, task)),
        1 => dismissal(),
        3 => lost_lease(),
        2 => dead_workers(),
        1 => meeting(),
        8 => step().prop_map(|step| vec![step]),
    ];
    (rules(), vec(parts, 3..=10)).prop_map(|(rules, parts)| Life { rules, steps: parts.concat() })
}

fn rules() -> impl Strategy<Value = Rules> {
    (1..=4_i64, any::<bool>(), any::<bool>()).prop_map(|(credits, lists_lost_events, bank_says_yes)| Rules {
        credits,
        lists_lost_events,
        bank_says_yes,
    })
}

/// Steps of which each happens nine times out of ten.
fn scene(steps: Vec<BoxedStrategy<Step>>) -> BoxedStrategy<Vec<Step>> {
    let steps: Vec<_> = steps.into_iter().map(|step| option::weighted(0.9, step)).collect();
    steps.prop_map(|steps| steps.into_iter().flatten().collect()).boxed()
}

fn pauses() -> BoxedStrategy<Step> {
    Just(Step::Pauses).boxed()
}

/// Somebody buys credits, and we hear of it, or not; perhaps the money takes its time.
fn purchase() -> BoxedStrategy<Vec<Step>> {
    scene(vec![interrupted(buy()), at_stripe(pay()), hear(), at_stripe(settle()), hear()])
}

/// Whoever makes a session dies, or Stripe fails, and it is asked for again.
fn second_purchase() -> BoxedStrategy<Vec<Step>> {
    let crash = (buy(), waits()).prop_map(|(buy, waits)| Step::Ours(buy, Interruption::Crash(waits)));
    let again = || pick().prop_map(Act::BuyAgain);
    let twice = (again(), again()).prop_map(|(first, second)| Step::AtOnce(first, second));
    scene(vec![
        at_stripe(fail()),
        crash.boxed(),
        twice.boxed(),
        interrupted(again()),
        at_stripe(pay()),
        hear(),
    ])
}

/// The money of a top-up goes back, or does not after all.
fn money_back() -> BoxedStrategy<Vec<Step>> {
    scene(vec![at_stripe(refund()), hear(), at_stripe(move_refund()), hear(), at_stripe(refund()), hear()])
}

/// The cardholder disputes a top-up.
fn dispute() -> BoxedStrategy<Vec<Step>> {
    scene(vec![at_stripe(open_dispute()), hear(), work(), at_stripe(close_dispute()), hear()])
}

/// A job is asked for, perhaps twice, and done.
fn errand() -> BoxedStrategy<Vec<Step>> {
    let again = pick().prop_map(|of| Act::AskAgain { of, is_same: true });
    scene(vec![interrupted(ask()), interrupted(again), work()])
}

/// A job fails whenever it is tried, and an operator has it run again, when its customer has spent what came back or not.
fn poison(customer: Pick, task: Task) -> BoxedStrategy<Vec<Step>> {
    let spend = || option::of(interrupted(ask_for(customer, Task::OwnReservations)));
    let spend = (spend(), spend(), spend()).prop_map(|(first, second, third)| [first, second, third]);
    let failure =
        scene(vec![interrupted(ask_for(customer, task)), work(), pauses(), work(), pauses(), work()]);
    let revival = scene(vec![interrupted(pick().prop_map(Act::Revive)), work()]);
    (failure, spend, revival)
        .prop_map(|(failure, spend, revival)| {
            failure.into_iter().chain(spend.into_iter().flatten()).chain(revival).collect()
        })
        .boxed()
}

/// Who works at the shop leaves it while a job for it waits, and comes back.
fn dismissal() -> BoxedStrategy<Vec<Step>> {
    let staff = |is_there| Just(Step::Staff { is_there }).boxed();
    scene(vec![
        interrupted(ask_for(STAFF, Task::ShopReservations)),
        staff(false),
        work(),
        staff(true),
        interrupted(pick().prop_map(Act::Revive)),
        work(),
    ])
}

/// A worker is frozen until another has its job, and goes on then.
fn lost_lease() -> BoxedStrategy<Vec<Step>> {
    let task = prop_oneof![Just(Task::OwnReservations), Just(Task::Unknown)];
    let errand = (pick(), task).prop_flat_map(|(customer, task)| ask_for(customer, task));
    let frozen = (0..=4_u8).prop_map(|waits| Step::Ours(Act::Work(1), Interruption::Freeze(waits)));
    scene(vec![interrupted(errand), frozen.boxed(), pauses(), work(), Just(Step::Thaw).boxed()])
}

/// One worker after another dies with a job.
fn dead_workers() -> BoxedStrategy<Vec<Step>> {
    let dead = || (1..=3_u8).prop_map(|waits| Step::Ours(Act::Work(1), Interruption::Crash(waits))).boxed();
    scene(vec![interrupted(ask()), dead(), pauses(), dead(), pauses(), dead(), pauses(), work()])
}

/// Two workers, and two who spend what one of them had.
fn meeting() -> BoxedStrategy<Vec<Step>> {
    let asking = (ask(), ask()).prop_map(|(first, second)| Step::AtOnce(first, second));
    let working = Just(Step::AtOnce(Act::Work(2), Act::Work(2)));
    scene(vec![asking.boxed(), working.boxed(), ours(Act::DeliverRest)])
}
