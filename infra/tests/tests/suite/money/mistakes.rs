//! Proof that the property can fail: somebody makes a mistake in an SQL function, and some sequence shows it. That none
//! does without the mistake, the property itself says.

use anyhow::Result;
use kitloop_tests::{Mistake, Search};

use super::shop::Market;

fn shows(mistake: Mistake) -> Result<()> {
    Search::shows::<Market>(mistake)
}

#[test]
fn money_that_comes_too_late_is_kept() -> Result<()> {
    shows(Mistake::of("settle_money").writing("", "perform kitloop.send_back(p_payment, 'late_payment');"))
}

#[test]
fn the_second_payment_of_a_reservation_is_kept() -> Result<()> {
    shows(
        Mistake::of("settle_money").writing("", "perform kitloop.send_back(p_payment, 'duplicate_payment');"),
    )
}

#[test]
fn whoever_cancels_gets_nothing_back() -> Result<()> {
    let refund = "perform kitloop.refund_payment(p_payment.id, p_refund_minor, 'cancellation');";
    shows(Mistake::of("carry_out_cancellation").writing("", refund))
}

#[test]
fn our_own_refund_is_taken_for_somebody_elses() -> Result<()> {
    shows(
        Mistake::of("write_refund_fact")
            .writing("where false", "where r.id = (p_fact ->> 'refund_id')::uuid"),
    )
}

#[test]
fn a_job_is_done_whether_its_reason_holds_or_not() -> Result<()> {
    shows(
        Mistake::of("claim_job").writing("elsif false then", "elsif not kitloop.job_still_holds(v_job) then"),
    )
}

#[test]
fn old_news_counts_like_new_ones() -> Result<()> {
    let comparison =
        "else kitloop.payment_rank(p_fact ->> 'status') < kitloop.payment_rank(p_payment.status)";
    shows(Mistake::of("is_stale").writing("else false", comparison))
}

#[test]
fn a_lost_dispute_is_not_booked() -> Result<()> {
    shows(Mistake::of("book_disputes").writing("and false", "and d.status = 'lost'"))
}

#[test]
fn refunds_that_are_under_way_are_not_counted() -> Result<()> {
    shows(Mistake::of("refundable_minor").writing("", "- kitloop.refunded_minor(p_payment.id)"))
}

#[test]
fn a_key_that_is_spent_is_used_again() -> Result<()> {
    shows(Mistake::of("retry_job").writing("j.generation", "j.generation + p_new_generation::integer"))
}

#[test]
fn a_refund_of_another_amount_is_asked_for_under_the_same_key() -> Result<()> {
    shows(
        Mistake::of("shrink_unsent_refunds")
            .writing("generation = j.generation", "generation = j.generation + 1"),
    )
}

#[test]
fn whoever_goes_on_after_a_crash_makes_another_intent() -> Result<()> {
    shows(Mistake::of("start_payment").writing(
        "update public.payments p set generation = p.generation + 1, claimed_until = v_claimed_until where",
        "update public.payments p set claimed_until = v_claimed_until where",
    ))
}

#[test]
fn the_reconciliation_does_not_compare() -> Result<()> {
    shows(Mistake::of("differences").writing("where false", "where f.difference is not null"))
}

#[test]
fn what_is_stuck_is_left_so() -> Result<()> {
    shows(Mistake::of("stuck_payments").writing("limit 0", "limit p_limit"))
}
