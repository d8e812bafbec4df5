//! Proof that the property can fail: somebody makes a mistake in an SQL function, and some sequence shows it.

use anyhow::Result;
use kitloop_tests::{Mistake, Search};

use super::shop::Market;

fn shows(mistake: Mistake) -> Result<()> {
    Search::shows::<Market>(mistake)
}

#[test]
fn a_worker_that_lost_its_job_finishes_it() -> Result<()> {
    let fence = "and j.fencing_token = p_fencing_token and j.status = 'running'";
    shows(Mistake::of("finish_paid_job").writing("", fence))
}

#[test]
fn a_worker_that_lost_its_job_gives_it_back() -> Result<()> {
    let fence = "and j.fencing_token = p_fencing_token and j.status = 'running'";
    shows(Mistake::of("retry_job").writing("", fence))
}

#[test]
fn a_job_that_failed_costs_its_credits() -> Result<()> {
    shows(Mistake::of("fail_job").writing("null;", "perform kitloop.enter_job_credits(v_job, 'release');"))
}

#[test]
fn a_job_that_runs_again_costs_nothing() -> Result<()> {
    shows(Mistake::of("revive_job").writing("null;", "perform kitloop.enter_job_credits(v_job, 'hold');"))
}

#[test]
fn a_job_that_runs_again_is_paid_for_under_the_key_that_is_used_up() -> Result<()> {
    shows(Mistake::of("enter_job_credits").writing("> 1000 then", "> 1 then"))
}

#[test]
fn a_job_runs_again_for_who_cannot_pay() -> Result<()> {
    shows(Mistake::of("can_pay_again").writing("true", "v_account.balance >= p_job.credits"))
}

#[test]
fn a_job_is_made_for_who_cannot_pay() -> Result<()> {
    shows(Mistake::of("take_job").writing("if false then", "if v_account.balance < p_credits then"))
}

#[test]
fn a_request_that_comes_again_makes_another_job() -> Result<()> {
    shows(Mistake::of("create_job").writing("if true then", "if not replayed then"))
}

#[test]
fn a_job_whose_workers_die_is_tried_for_ever() -> Result<()> {
    shows(Mistake::of("claim_job").writing(
        "elsif false then",
        "elsif v_job.status = 'running' and v_job.attempts >= v_job.max_attempts then",
    ))
}

#[test]
fn a_job_that_cannot_be_done_is_tried_for_ever() -> Result<()> {
    shows(Mistake::of("retry_job").writing("", "or v_job.customer_id is not null"))
}

#[test]
fn what_is_paid_once_is_granted_whenever_stripe_says_so() -> Result<()> {
    let already = "v_topup.status = 'paid' or v_topup.status = 'mismatched' and not v_is_paid";
    shows(Mistake::of("apply_checkout_session").writing("false", already))
}

#[test]
fn what_is_not_paid_yet_is_granted() -> Result<()> {
    let paid = "p_fact ->> 'payment_status' is not distinct from 'paid'\n        and ";
    shows(Mistake::of("is_topup_as_asked").writing("", paid))
}

#[test]
fn credits_that_were_spent_before_their_money_went_back_are_a_gift() -> Result<()> {
    shows(Mistake::of("settle_topup").writing("0", "greatest(-v_change - v_account.balance, 0)"))
}

#[test]
fn whoever_owes_credits_spends_new_ones() -> Result<()> {
    shows(Mistake::of("enter_credits").writing("0", "least(v_account.owed, greatest(p_amount, 0))"))
}

#[test]
fn a_refund_that_failed_takes_credits_all_the_same() -> Result<()> {
    let is_gone = "coalesce(p_object ->> 'status' not in ('failed', 'canceled'), true)";
    shows(Mistake::of("note_topup_object").writing("true", is_gone))
}

#[test]
fn a_correction_that_comes_again_counts_again() -> Result<()> {
    let key = "'admin:adjust:' || p_key;";
    shows(Mistake::of("adjust_credits").writing("'admin:adjust:' || p_key || clock_timestamp();", key))
}
