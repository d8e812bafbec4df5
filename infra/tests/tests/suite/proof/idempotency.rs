//! What was done once is not done again.

use anyhow::Result;
use kitloop_tests::{Mistake, Promise};
use serde_json::{Value, json};
use test_support::{Gear, TestDatabase};
use uuid::Uuid;

use super::scenario::Scenario;

/// The same request, sent again under its key, gets the first answer.
struct OneKeyOneReservation;

impl Promise for OneKeyOneReservation {
    async fn is_kept(&self, database: TestDatabase) -> Result<bool> {
        let scenario = Scenario::open_with(database, &Gear::of(2)).await?;
        let request = scenario.reserve_by(Uuid::new_v4(), "one-key", 30, 31);
        let (first, second) = (scenario.ask(&request).await?, scenario.ask(&request).await?);
        let made: i64 = scenario.database.value("select count(*) from public.reservations", &[]).await?;
        let id = "/answer/reservation_id";
        Ok(first.text(id) == second.text(id) && made == 1)
    }
}

/// An event that comes again is a replay, and what was decided stays.
struct OneEventOneDecision;

impl Promise for OneEventOneDecision {
    async fn is_kept(&self, database: TestDatabase) -> Result<bool> {
        let scenario = Scenario::open(database).await?;
        let event = scenario.hold().await?.paid("evt_once");
        scenario.ask(&event).await?;
        let again = scenario.ask(&event).await?;
        let logged = "select jsonb_build_array(decision, replay_count) from public.stripe_webhook_events";
        Ok(again.text("/decision") == "replay"
            && scenario.database.value::<Value>(logged, &[]).await? == json!(["confirmed", 1]))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_whose_result_is_ignored_reserves_twice() -> Result<()> {
    let mistake = Mistake::of("reserve_gear").writing("if false then", "if replayed then");
    mistake.breaks(OneKeyOneReservation).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_known_and_runs_again_is_decided_twice() -> Result<()> {
    let mistake = Mistake::of("claim_stripe_event").writing("return true;", "return false;");
    mistake.breaks(OneEventOneDecision).await
}
