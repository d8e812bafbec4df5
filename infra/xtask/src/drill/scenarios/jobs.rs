//! The worker, and jobs that it cannot do.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use stack::wait_for;
use stripe_stand_in::{Fault, FaultKind, RequestMatch, StatusFault};

use crate::demo::scene::{Booking, Wish};
use crate::drill::stage::{PATIENCE, Stage};

const REFUND_STATUS: &str =
    "select f.status from public.refunds f join public.payments p on p.id = f.payment_id
    where p.reservation_id = $1::uuid";

const WORKER_SCHEDULE: &str =
    "aws scheduler get-schedule --name \"kitloop-$ENVIRONMENT-run-jobs\" --query State --output text";

pub(super) async fn the_worker_is_dead(stage: &mut Stage<'_>) -> Result<()> {
    kill_the_worker(stage).await?;
    let booking = money_comes_too_late(stage).await?;
    stage.part_is("worker", "down").await?;
    let metrics = stage.ops("metrics").await?;
    ensure!(metrics.get("worker_ok") == Some(&Value::Bool(false)), "the worker is said to live: {metrics}");
    let printed = stage.operator("worker-state").await?;
    for text in [r#""worker_ok": false"#, r#""DISABLED""#, r#""ReservedConcurrentExecutions": 0"#] {
        stage.must_print(&printed, text)?;
    }
    ensure!(!printed.contains(r#""due": 0"#), "nothing waits for the worker: {printed}");

    stage.operator("worker-revive").await?;
    worker_beats(stage).await?;
    stage.operator("worker-lives").await?;
    stage.part_is("worker", "ok").await?;
    let state = stage.fate("keeps its hands off the schedule", WORKER_SCHEDULE).await?;
    ensure!(state.trim() == "ENABLED", "the worker's schedule is {state}");
    stage.comes("the refund is made", REFUND_STATUS, &booking, "succeeded").await?;

    stage.know("RESERVATION_ID", &booking.id)?;
    let decided = "select e.decision from public.stripe_webhook_events e
        where e.reservation_id = $1::uuid and e.type = 'charge.refunded'";
    stage.comes("Stripe says so", decided, &booking, "refunded").await?;
    let printed = stage.operator("late-payment").await?;
    stage.must_print(&printed, "cancelled_conflict")?;
    stage.operator("money-went-back").await.map(drop)
}

/// Nobody starts it any more, and when the last run has ended, that was ten minutes ago.
async fn kill_the_worker(stage: &mut Stage<'_>) -> Result<()> {
    let script = "set_schedule run-jobs DISABLED\nlimit_runs \"kitloop-$ENVIRONMENT-run-jobs\" 0";
    stage.fate("stops the worker and its schedule", script).await?;
    stage.fate("waits for the end of the last run", "all_ended").await?;
    let silence = "update public.worker_heartbeats set beat_at = beat_at - interval '10 minutes'";
    stage.database("time", "ten minutes pass", silence).await.map(drop)
}

/// The gear is gone when the money comes: it has to go back.
async fn money_comes_too_late(stage: &mut Stage<'_>) -> Result<Booking> {
    let scene = &mut *stage.scene;
    let (jana, tomas) = (scene.jana.clone(), scene.tomas.clone());
    let (booking, intent, window) = scene.begin_paying(&jana, "drill: late", "Airbag backpack", 4).await?;
    scene.let_hold_lapse(&booking).await?;
    let gear = scene.gear("Airbag backpack")?;
    let provider = scene.file.provider_id.to_string();
    let wish = Wish { provider: &provider, lines: &[(&gear, 4)], window: &window };
    scene.reserve("drill: took the stock", &tomas, "reserves the same 4 backpacks", &wish).await?;
    scene.pay(&jana, &intent, "pm_card_visa").await?.expect(200, "succeeded")?;
    scene.webhook(&booking, "payment_intent.succeeded", &["cancelled_conflict"]).await?;
    scene.must_be(&booking, "cancelled").await?;
    Ok(booking)
}

async fn worker_beats(stage: &Stage<'_>) -> Result<()> {
    let started = Instant::now();
    let beats = async || {
        let metrics = stage.ops("metrics").await?;
        ensure!(metrics.get("worker_ok") == Some(&Value::Bool(true)), "it is silent");
        Ok(())
    };
    wait_for("the worker", PATIENCE, beats, || Ok(())).await?;
    stage.scene.story.line("worker", "says that it lives", None, "", started.elapsed());
    Ok(())
}

pub(super) async fn one_is_given_up(stage: &mut Stage<'_>) -> Result<()> {
    let booking = authorise(stage).await?;
    let request = RequestMatch { path_suffix: Some("/capture".to_owned()), ..RequestMatch::default() };
    let refusal = FaultKind::Status(StatusFault { status: 400, ..StatusFault::default() });
    stage.scene.stripe.add_fault(&Fault { request, times: 1, kind: refusal }).await?;
    let eva = stage.scene.eva.clone();
    let confirm = json!({ "reservation_id": booking.id, "action": "confirm" });
    let answer = stage.scene.call(&eva, "confirms; Stripe refuses", "confirm_reservation", &confirm).await?;
    answer.expect(502, "stripe_refused")?;
    stage.scene.must_be(&booking, "authorized").await?;

    let printed = stage.operator("dead-letters").await?;
    let letter = printed.split_whitespace().next().context("there is no dead letter")?.to_owned();
    stage.must_print(&printed, "capture_payment_intent")?;
    stage.know("DEAD_LETTER_ID", &letter)?;
    stage.operator("replay-dead-letter").await?;
    stage.becomes(&booking, "confirmed").await?;
    let open = stage.ops("dead-letters?status=open").await?;
    ensure!(open.get("items") == Some(&json!([])), "there are dead letters: {open}");
    Ok(())
}

/// A reservation whose money is authorised, and waits for the provider's answer.
async fn authorise(stage: &mut Stage<'_>) -> Result<Booking> {
    let scene = &mut *stage.scene;
    let (jana, window, gear) = (scene.jana.clone(), scene.window()?, scene.gear("Glacier set")?);
    let provider = scene.file.manual_provider_id.to_string();
    let wish = Wish { provider: &provider, lines: &[(&gear, 1)], window: &window };
    let booking = scene.reserve("drill: refused capture", &jana, "reserves a glacier set", &wish).await?;
    let intent = scene.start_payment(&jana, &booking).await?;
    scene.pay(&jana, &intent, "pm_card_visa").await?.expect(200, "requires_capture")?;
    scene.webhook(&booking, "payment_intent.amount_capturable_updated", &["authorized"]).await?;
    Ok(booking)
}
