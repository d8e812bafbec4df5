//! Credits: bought at Stripe's Checkout, and what became of them.

use std::time::Instant;

use anyhow::{Result, ensure};
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use serde_json::{Value, json};

use super::scene::{Person, Scene};
use super::story::money;

/// The page of the frontend that Stripe leads back to.
const CREDITS_PAGE: &str = "http://localhost:5173/credits";

pub(super) async fn credits_are_bought(scene: &mut Scene) -> Result<()> {
    scene.story.chapter("Credits are bought at Stripe's Checkout");
    let jana = scene.jana.clone();
    scene.balance_must_be(&jana, 0).await?;
    let request = json!({ "credits": 3, "success_url": CREDITS_PAGE, "cancel_url": CREDITS_PAGE });
    let checkout = scene.call(&jana, "buys 3 credits", "create_checkout_session", &request).await?;
    let session = checkout.text("session_id")?;
    let amount = money(checkout.minor("amount_minor")?, &checkout.text("currency")?);
    scene.story.note(&format!("at Stripe's page for {amount}"));

    let started = Instant::now();
    let paid = scene.stripe.complete_checkout(&session, "pm_card_visa").await?;
    let status = paid.get("payment_status").and_then(Value::as_str).unwrap_or_default();
    scene.story.line(jana.name, "pays there with pm_card_visa", None, status, started.elapsed());
    ensure!(status == "paid", "the session is {status}");
    scene.webhook_about(&session, "checkout.session.completed", "credits_granted").await?;
    scene.balance_must_be(&jana, 3).await
}

impl Scene {
    /// Somebody looks at their credits; fails unless there are so many.
    pub(super) async fn balance_must_be(&self, who: &Person, credits: i64) -> Result<()> {
        let answer = self.look(who, "looks at the credits", "credits").await?;
        answer.expect(200, &format!("credits: {credits}")).map(drop)
    }
}

/// One row per entry of the ledger.
pub(super) async fn table(scene: &mut Scene) -> Result<Table> {
    let mut table = Table::new();
    let header = ["credits of", "entry", "what for", "amount", "balance"];
    table.load_style(UTF8_BORDERS_ONLY).set_header(header);
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let query = "
        select l.entry_type, coalesce(j.kind, l.reason, ''), l.amount,
            (sum(l.amount) over (order by l.id))::bigint
        from public.credit_ledger l
        join public.customers c on c.id = l.customer_id
        left join public.jobs j on j.id = l.job_id
        where c.user_id = $1::uuid
        order by l.id";
    let users = &scene.file.users;
    let people =
        [(scene.jana.name, users.customer.id.to_string()), (scene.eva.name, users.owner.id.to_string())];
    for (name, user) in people {
        let entries: Vec<(String, String, i64, i64)> =
            sqlx::query_as(query).bind(user).fetch_all(&mut scene.database).await?;
        for (entry, reason, amount, balance) in entries {
            table.add_row([name, &entry, &reason, &amount.to_string(), &balance.to_string()]);
        }
    }
    Ok(table)
}
