//! A provider's own subscription, as Stripe tells of it.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::json;
use test_support::{StripeEvent, sign};
use uuid::Uuid;

use super::scene::{Answer, Scene, Wish};
use super::story::decision;

pub(super) async fn a_lapsed_plan_takes_no_holds(scene: &mut Scene) -> Result<()> {
    scene.story.chapter("The guides' office does not pay for its plan: no new holds, and all else goes on");
    let (jana, tomas, eva) = (scene.jana.clone(), scene.tomas.clone(), scene.eva.clone());
    let (gear, window) = (scene.gear("Glacier set")?, scene.window()?);
    let provider = scene.file.manual_provider_id.to_string();
    let wish = Wish { provider: &provider, lines: &[(&gear, 1)], window: &window };
    tell(scene, "created", "sub_demo_first", "active").await?;
    tell(scene, "updated", "sub_demo_first", "past_due").await?;
    let what = "reserves a glacier set in the days of grace";
    let booking = scene.reserve("before the plan lapsed", &jana, what, &wish).await?;

    let before = reservations(scene).await?;
    tell(scene, "deleted", "sub_demo_first", "canceled").await?;
    ensure!(reservations(scene).await? == before, "the end of the plan changed a reservation");
    let refusal = scene.ask(&tomas, "asks for one, too", &wish).await?;
    refusal.expect(403, "plan_inactive")?;
    let intent = scene.start_payment(&jana, &booking).await?;
    scene.pay(&jana, &intent, "pm_card_visa").await?.expect(200, "requires_capture")?;
    scene.webhook(&booking, "payment_intent.amount_capturable_updated", &["authorized"]).await?;
    let request = json!({ "reservation_id": booking.id, "action": "confirm" });
    scene.call(&eva, "confirms", "confirm_reservation", &request).await?.expect(200, "confirmed")?;

    tell(scene, "created", "sub_demo_second", "active").await?;
    scene.reserve("with a plan again", &tomas, "asks again", &wish).await?;
    Ok(())
}

/// Stripe delivers an event about a subscription of the guides' office, signed.
async fn tell(scene: &Scene, change: &str, subscription: &str, status: &str) -> Result<()> {
    let (provider, now) = (scene.file.manual_provider_id, Timestamp::now());
    let event = StripeEvent::sample(&format!("customer_subscription_{change}"), "", Uuid::nil(), provider)?
        .renamed(&format!("evt_{subscription}_{change}"))
        .with("id", subscription.into())
        .with("status", status.into())
        .at(now.as_second());
    let body = event.payload.to_string();
    let url = scene.file.functions.get("stripe_webhook").context("no webhook")?;
    let started = Instant::now();
    let request = scene
        .http
        .post(url)
        .header("content-type", "application/json; charset=utf-8")
        .header("stripe-signature", sign(&body, &scene.file.stripe_webhook_secret, now)?)
        .body(body);
    let answer = Answer::to(request).await?;
    let what = format!("delivers customer.subscription.{change}: {status}");
    scene.story.line("Stripe", &what, Some(answer.status), &decision(&answer.body), started.elapsed());
    answer.expect(200, "plan_updated").map(drop)
}

/// Everything that is booked at the guides' office.
async fn reservations(scene: &mut Scene) -> Result<String> {
    let query = "select jsonb_agg(to_jsonb(r) || jsonb_build_object('lines', (
                select jsonb_agg(to_jsonb(l) order by l.gear_id) from public.reservation_lines l
                where l.reservation_id = r.id
            )) order by r.id)::text
        from public.reservations r
        where r.provider_id = $1::uuid";
    let provider = scene.file.manual_provider_id.to_string();
    Ok(sqlx::query_scalar(query).bind(provider).fetch_one(&mut scene.database).await?)
}
