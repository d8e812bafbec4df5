//! Numbers of receipts have no gaps and are given once.

use anyhow::Result;
use kitloop_tests::{Mistake, Promise};
use test_support::{Gear, TestDatabase};

use super::scenario::{Scenario, ask};

/// Two reservations are paid, both at once or one of them in vain at first: their receipts are 1 and 2.
struct NumbersFollowOneAnother {
    is_first_rolled_back: bool,
}

impl Promise for NumbersFollowOneAnother {
    async fn is_kept(&self, database: TestDatabase) -> Result<bool> {
        let mut scenario = Scenario::open(database).await?;
        let one = scenario.hold().await?;
        // Of another item, so that it is not the item's lock that puts the two in a row.
        let provider = scenario.database.value("select id from public.providers", &[]).await?;
        scenario.gear = Gear::default().insert(&scenario.database, provider).await?;
        let other = scenario.hold().await?;
        let first = scenario.begin().await?;
        ask(&first, &one.paid_by("pi_1", "evt_1")).await?;
        first.batch_execute("set constraints all immediate").await?;
        let second = scenario.start(&other.paid_by("pi_2", "evt_2")).await?;
        first.batch_execute(if self.is_first_rolled_back { "rollback" } else { "commit" }).await?;
        if second.answer().await.is_err() {
            return Ok(false);
        }
        if self.is_first_rolled_back {
            scenario.ask(&one.paid_by("pi_1", "evt_1")).await?;
        }
        let sql = "select coalesce(array_agg(number order by number), '{}') = '{1, 2}' from public.orders";
        Ok(scenario.database.value(sql, &[]).await? && scenario.is_consistent().await?)
    }
}

/// What goes back is on a credit note, to the unit.
struct CreditNotesAddUp;

impl Promise for CreditNotesAddUp {
    async fn is_kept(&self, database: TestDatabase) -> Result<bool> {
        let scenario = Scenario::open(database).await?;
        let hold = scenario.hold().await?;
        scenario.ask(&hold.paid("evt_1")).await?;
        for amount_minor in [20_000, 10_000] {
            scenario.ask(&hold.refund(amount_minor)).await?;
        }
        scenario.is_consistent().await
    }
}

/// The statement that gives a number, as far as its name and the number.
const COUNTER: &str = "insert into public.document_counters as c (provider_id, kind, last_number)
    values (p_provider_id, p_kind, 1)
    on conflict (provider_id, kind) do update set last_number = c.last_number + 1
    returning c.last_number";

#[tokio::test(flavor = "multi_thread")]
async fn the_highest_number_and_one_is_given_twice() -> Result<()> {
    let mistake = Mistake::of("next_number").writing(
        "select coalesce(max(o.number), 0) + 1 from public.orders o where o.provider_id = p_provider_id",
        COUNTER,
    );
    mistake.breaks(NumbersFollowOneAnother { is_first_rolled_back: false }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequence_leaves_a_gap_where_a_confirmation_is_rolled_back() -> Result<()> {
    let mistake = Mistake::of("next_number").writing("select nextval('public.audit_logs_id_seq')", COUNTER);
    mistake.breaks(NumbersFollowOneAnother { is_first_rolled_back: true }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn credit_notes_that_forget_the_ones_before_credit_too_much() -> Result<()> {
    let mistake = Mistake::of("issue_credit_note").writing("where false", "where n.order_id = v_order.id");
    mistake.breaks(CreditNotesAddUp).await
}
