//! Events as AWS delivers them, over a real database and a Stripe that fails when told to.

mod customer;
mod decline;
mod door;
mod faults;
mod late;
mod staff;

use anyhow::Result;
use serde_json::{Value, json};
use test_support::{HttpCall, Reply, Shop};
use uuid::Uuid;

use super::handle;

const PATH: &str = "/confirm_reservation";

/// What the function answers.
async fn answer(shop: &Shop, call: &HttpCall) -> Result<Reply> {
    Reply::read(handle(&shop.app, call.request()?).await)
}

/// The customer says that it is paid.
fn customer_call(shop: &Shop, reservation_id: Uuid) -> Result<HttpCall> {
    HttpCall::post(PATH, &json!({"reservation_id": reservation_id})).by(shop.customer_id)
}

/// Staff confirms or declines.
fn staff_call(shop: &Shop, reservation_id: Uuid, action: &str) -> Result<HttpCall> {
    HttpCall::post(PATH, &json!({"reservation_id": reservation_id, "action": action})).by(shop.staff_id)
}

/// A hold that the customer has authorised the money for, and the intent.
async fn authorized(shop: &Shop) -> Result<(Uuid, String)> {
    let (reservation_id, intent_id) = shop.hold_paid_at_stripe().await?;
    let reply = answer(shop, &customer_call(shop, reservation_id)?).await?;
    assert_stands(&reply, reservation_id, "authorized", false);
    Ok((reservation_id, intent_id))
}

/// Fails unless the answer says that the reservation is in this state, and whether it is paid.
fn assert_stands(reply: &Reply, reservation_id: Uuid, status: &str, is_paid: bool) {
    assert_eq!(reply.status, 200, "{}", reply.body);
    let paid_at = reply.at("/paid_at");
    assert_eq!(reply.body, json!({"reservation_id": reservation_id, "status": status, "paid_at": paid_at}));
    assert_eq!(paid_at.is_string(), is_paid, "{paid_at}");
}

/// What is stored of a reservation and its one payment: (status, cancel_reason, whether paid, payment's status).
async fn stored(shop: &Shop, reservation_id: Uuid) -> Result<Value> {
    let sql = "select jsonb_build_array(r.status, r.cancel_reason, r.paid_at is not null, p.status)
        from public.reservations r
        left join public.payments p on p.reservation_id = r.id and not p.superseded
        where r.id = $1";
    shop.database.value(sql, &[&reservation_id]).await
}

/// A job of this kind in this status, as [`Shop::jobs`] tells it.
fn job(kind: &str, status: &str) -> (String, String) {
    (kind.to_owned(), status.to_owned())
}
