//! Single steps at random, the likely ones more often.

use kitloop_tests::{Pick, failure, interruption, pick};
use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop_oneof};
use stripe_stand_in::{DisputeStatus, RefundStatus};

use super::steps::{Act, Card, Deed, Passing, Request, Starts, Step, Who};

pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => reserve(),
        20 => interrupted(act()),
        1 => Just(Step::Thaw),
        10 => at_stripe(deed()),
        3 => passing().prop_map(Step::Time),
    ]
}

pub(super) fn reserve() -> impl Strategy<Value = Step> {
    let starts = prop_oneof![
        3 => Just(Starts::FarAhead),
        2 => Just(Starts::WithinADay),
        1 => Just(Starts::WithinTwoHours),
    ];
    (0..2_u8, starts).prop_map(|(customer, starts)| Step::Reserve { customer, starts })
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => pick().prop_map(Act::StartPayment),
        3 => (pick(), who()).prop_map(|(of, who)| Act::Confirm(of, who)),
        1 => pick().prop_map(Act::Decline),
        1 => (pick(), who()).prop_map(|(of, who)| Act::Cancel(of, who)),
        2 => pick().prop_flat_map(refund),
        1 => Just(Act::Sweep),
        5 => (1..=3_u8).prop_map(Act::Work),
        1 => Just(Act::Reconcile),
        3 => Just(Act::DeliverNext),
        3 => any::<Pick>().prop_map(Act::Deliver),
        2 => Just(Act::DeliverRest),
    ]
}

pub(super) fn refund(of: Pick) -> impl Strategy<Value = Act> {
    let quarters = prop_oneof![1 => Just(None), 2 => (1..=4_i64).prop_map(Some)];
    let is_offline = prop_oneof![6 => Just(false), 1 => Just(true)];
    (quarters, is_offline).prop_map(move |(quarters, is_offline)| Act::Refund { of, quarters, is_offline })
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
pub(super) fn hear(of: Pick) -> impl Strategy<Value = Step> {
    interrupted(prop_oneof![
        3 => Just(Act::DeliverRest),
        2 => Just(Act::DeliverNext),
        1 => any::<Pick>().prop_map(Act::Deliver),
        1 => Just(Act::Confirm(of, Who::Customer)),
    ])
}

pub(super) fn at_stripe(deed: impl Strategy<Value = Deed> + 'static) -> BoxedStrategy<Step> {
    deed.prop_map(Step::AtStripe).boxed()
}

pub(super) fn pay(of: Pick) -> BoxedStrategy<Step> {
    let card = prop_oneof![
        9 => Just(Card::Good), 1 => Just(Card::Declined), 1 => Just(Card::Authenticated),
        1 => Just(Card::NotAuthenticated), 1 => Just(Card::Slow),
    ];
    at_stripe((pick(), card).prop_map(move |(intent, card)| Deed::Pay { of, intent, card }))
}

fn deed() -> impl Strategy<Value = Deed> {
    use DisputeStatus::{NeedsResponse, UnderReview, WarningUnderReview};
    let dispute_status = prop_oneof![Just(NeedsResponse), Just(UnderReview), Just(WarningUnderReview)];
    prop_oneof![
        4 => (pick(), pick()).prop_map(|(of, intent)| Deed::Pay { of, intent, card: Card::Good }),
        3 => (pick(), prop_oneof![3 => Just(false), 1 => Just(true)])
            .prop_map(|(of, is_wrong)| Deed::PayBeside { of, is_wrong }),
        2 => (pick(), any::<bool>()).prop_map(|(intent, succeeds)| Deed::Settle { intent, succeeds }),
        1 => pick().prop_map(|intent| Deed::ExpireAuthorisation { intent }),
        2 => refund_beside(),
        1 => any::<bool>().prop_map(Deed::RefundsPend),
        2 => move_refund(),
        2 => open_dispute(),
        1 => (pick(), dispute_status).prop_map(|(dispute, to)| Deed::MoveDispute { dispute, to }),
        1 => close_dispute(),
        4 => (request(), failure()).prop_map(|(request, failure)| Deed::Fail { request, failure }),
        3 => any::<Pick>().prop_map(Deed::Lose),
    ]
}

pub(super) fn refund_beside() -> impl Strategy<Value = Deed> {
    (pick(), any::<bool>()).prop_map(|(intent, is_half)| Deed::RefundBeside { intent, is_half })
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

fn request() -> impl Strategy<Value = Request> {
    use Request::{Cancel, Capture, CreateIntent, Read, Refund};
    prop_oneof![
        1 => Just(CreateIntent), 2 => Just(Cancel), 3 => Just(Capture), 4 => Just(Refund), 1 => Just(Read)
    ]
}

fn passing() -> impl Strategy<Value = Passing> {
    prop_oneof![
        1 => pick().prop_map(Passing::Lapse),
        1 => pick().prop_map(Passing::Unanswered),
        2 => Just(Passing::Pauses),
    ]
}

pub(super) fn who() -> impl Strategy<Value = Who> {
    prop_oneof![Just(Who::Customer), Just(Who::Staff)]
}
