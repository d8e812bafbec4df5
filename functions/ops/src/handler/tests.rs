//! What operators ask for and do, over a real database.

mod consistency;
mod credits;
mod dead_letters;
mod door;
mod figures;
mod lists;
mod replays;

use anyhow::{Context, Result};
use kitloop::app::webhook;
use kitloop::stripe::Event;
use serde_json::Value;
use test_support::{ADMIN_TOKEN, HttpCall, Reply, Shop, StripeEvent};

use super::handle;

/// What the function answers.
async fn answer(shop: &Shop, call: &HttpCall) -> Result<Reply> {
    Reply::read(handle(&shop.app, call.request()?).await)
}

/// An operator asks for a path, with its query.
fn get(path: &str) -> HttpCall {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    HttpCall::new("GET", path).set("/rawQueryString", query.into()).bearer(ADMIN_TOKEN)
}

/// An operator of this name does something.
fn post(path: &str, operator: &str) -> HttpCall {
    HttpCall::new("POST", path).bearer(ADMIN_TOKEN).header("x-operator", operator)
}

/// What an operator sees there.
async fn see(shop: &Shop, path: &str) -> Result<Value> {
    let reply = answer(shop, &get(path)).await?;
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    Ok(reply.body)
}

/// Something that should be impossible keeps a reservation from being confirmed.
async fn put_up_obstacle(shop: &Shop) -> Result<()> {
    let sql =
        "alter table public.reservations add constraint obstacle check (status <> 'confirmed') not valid";
    shop.database.execute(sql, &[]).await.map(drop)
}

async fn take_obstacle_away(shop: &Shop) -> Result<()> {
    shop.database.execute("alter table public.reservations drop constraint obstacle", &[]).await.map(drop)
}

/// An event as the webhook applies it; whether that worked.
async fn deliver(shop: &Shop, event: &StripeEvent) -> Result<bool> {
    Ok(webhook::apply(&shop.app.db, &Event::from_log(event.payload.clone())?).await.is_ok())
}

/// A payment that Stripe told of, which failed here.
async fn failed_event(shop: &Shop) -> Result<StripeEvent> {
    put_up_obstacle(shop).await?;
    let (reservation_id, intent_id) = shop.hold_with_intent().await?;
    let event =
        StripeEvent::sample("payment_intent_succeeded", &intent_id, reservation_id, shop.provider_id)?;
    assert!(!deliver(shop, &event).await?);
    take_obstacle_away(shop).await?;
    Ok(event)
}

/// One member of each item of a list, in its order.
fn each(list: &Value, member: &str) -> Result<Vec<Value>> {
    let items = list.get("items").and_then(Value::as_array).with_context(|| format!("no items in {list}"))?;
    Ok(items.iter().map(|item| item.get(member).cloned().unwrap_or(Value::Null)).collect())
}

/// Every page of a list with this query, by one member of its items.
async fn pages(shop: &Shop, path: &str, member: &str) -> Result<Vec<Vec<Value>>> {
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = see(shop, &format!("{path}&cursor={cursor}")).await?;
        pages.push(each(&page, member)?);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return Ok(pages),
        }
    }
}

/// The audit log, oldest first, as (actor, action, details).
async fn audited(shop: &Shop) -> Result<Value> {
    let sql = "select coalesce(jsonb_agg(jsonb_build_array(actor, action, details) order by id), '[]')
        from public.audit_logs";
    shop.database.value(sql, &[]).await
}
