//! Events as AWS delivers them, over a real database, Stripe and worker.

mod customer;
mod door;
mod preview;
mod provider;
mod refusals;
mod unpaid;

use anyhow::Result;
use serde_json::{Value, json};
use test_support::{HttpCall, Reply, Shop};
use uuid::Uuid;

use super::handle;

const PATH: &str = "/cancel_reservation";
/// In minutes.
const HOUR: i32 = 60;

/// What the function answers.
async fn answer(shop: &Shop, call: &HttpCall) -> Result<Reply> {
    Reply::read(handle(&shop.app, call.request()?).await)
}

/// A user calls a reservation off.
fn cancel_call(reservation_id: Uuid, user_id: Uuid) -> Result<HttpCall> {
    HttpCall::post(PATH, &json!({"reservation_id": reservation_id})).by(user_id)
}

/// The customer calls a reservation off; what goes back of the money, and which share that is.
async fn cancelled_by_customer(shop: &Shop, reservation_id: Uuid) -> Result<(i64, i64)> {
    let reply = answer(shop, &cancel_call(reservation_id, shop.customer_id)?).await?;
    let [refund_minor, refund_percent] = ["/refund_minor", "/refund_percent"].map(|at| reply.at(at).as_i64());
    let (refund_minor, refund_percent) =
        (refund_minor.unwrap_or_default(), refund_percent.unwrap_or_default());
    assert_cancelled(&reply, reservation_id, refund_minor, refund_percent);
    Ok((refund_minor, refund_percent))
}

/// Fails unless the answer says that the reservation is cancelled and this goes back.
fn assert_cancelled(reply: &Reply, reservation_id: Uuid, refund_minor: i64, refund_percent: i64) {
    assert_eq!(reply.status, 200, "{}", reply.body);
    let expected = json!({
        "reservation_id": reservation_id, "status": "cancelled", "refund_minor": refund_minor,
        "refund_percent": refund_percent, "currency": "CZK",
    });
    assert_eq!(reply.body, expected);
}

/// What is stored of a reservation and its one payment: (status, cancel_reason, payment's status, captured, credited,
/// kept).
async fn stored(shop: &Shop, reservation_id: Uuid) -> Result<Value> {
    let sql = "select jsonb_build_array(
            r.status, r.cancel_reason, p.status, p.captured_minor, p.credited_minor, p.kept_minor
        )
        from public.reservations r
        left join public.payments p on p.reservation_id = r.id and not p.superseded
        where r.id = $1";
    shop.database.value(sql, &[&reservation_id]).await
}

/// A job of this kind in this status, as [`Shop::jobs`] tells it.
fn job(kind: &str, status: &str) -> (String, String) {
    (kind.to_owned(), status.to_owned())
}
