//! Sequences at random: scenes, and single steps that get in between.

use kitloop_tests::pick;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};

use super::chances::step;
use super::scenes::{
    answer, booking, dispute, failing_refund, late_payment, lost_lease, money_back, second_start,
    smaller_refund,
};
use super::steps::{Life, Rules};

pub(super) fn lives() -> impl Strategy<Value = Life> {
    let parts = prop_oneof![
        4 => pick().prop_flat_map(booking),
        1 => pick().prop_flat_map(second_start),
        2 => pick().prop_flat_map(answer),
        4 => pick().prop_flat_map(money_back),
        1 => pick().prop_flat_map(failing_refund),
        1 => pick().prop_flat_map(smaller_refund),
        2 => pick().prop_flat_map(dispute),
        2 => pick().prop_flat_map(late_payment),
        1 => lost_lease(),
        8 => step().prop_map(|step| vec![step]),
    ];
    (rules(), booking(0), vec(parts, 2..=9)).prop_map(|(rules, mut steps, parts)| {
        steps.extend(parts.into_iter().flatten());
        Life { rules, steps }
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    (any::<bool>(), 1..=2, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(is_manual, stock, lists_lost_events, holds_lapse, bank_says_yes)| Rules {
            is_manual,
            stock,
            lists_lost_events,
            holds_lapse,
            bank_says_yes,
        },
    )
}
