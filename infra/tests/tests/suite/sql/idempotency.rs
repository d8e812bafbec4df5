//! One key, one reservation, one answer.

use anyhow::Result;
use kitloop::db::{Db, ReserveRequest, Reserved, reserve_gear};
use kitloop::domain::{Booking, Contact};
use kitloop::error::{Code, Error};
use test_support::{actor, booking};
use uuid::Uuid;

use super::shop::{Shop, refused};

/// Asks under the key `key` with a body that hashes to `hash`.
async fn ask(db: &Db, user: Uuid, hash: &str, booking: &Booking) -> Result<Reserved, Error> {
    let request = ReserveRequest {
        caller: &caller(user),
        idempotency_key: "key",
        request_hash: hash,
        actor: actor(user),
        profile: &Contact::default(),
        booking,
    };
    reserve_gear(db, &request).await
}

fn caller(user: Uuid) -> String {
    format!("user:{user}")
}

async fn reservations(shop: &Shop) -> Result<i64> {
    shop.database.value("select count(*) from public.reservations", &[]).await
}

#[tokio::test]
async fn the_same_request_gets_the_stored_answer() -> Result<()> {
    let shop = Shop::open().await?;
    let (user, booking) = (Uuid::new_v4(), booking(shop.provider, shop.gear, 1)?);
    let first = ask(&shop.db, user, "hash", &booking).await?;
    shop.database.lapse(first.reservation_id.0).await?;
    let again = ask(&shop.db, user, "hash", &booking).await?;
    assert_eq!((first.replayed, again.replayed), (false, true));
    assert_eq!(
        (again.reservation_id, again.reserved_until, again.amount_total_minor),
        (first.reservation_id, first.reserved_until, first.amount_total_minor),
        "the answer is the one given then, whatever has happened since"
    );
    assert_eq!(reservations(&shop).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_key_with_another_body_is_refused() -> Result<()> {
    let shop = Shop::open().await?;
    let (user, booking) = (Uuid::new_v4(), booking(shop.provider, shop.gear, 1)?);
    ask(&shop.db, user, "hash", &booking).await?;
    assert_eq!(refused(ask(&shop.db, user, "other hash", &booking).await)?, Code::IdempotencyKeyReused);
    assert_eq!(reservations(&shop).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_refusal_is_stored_like_any_answer() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    let (user, booking) = (Uuid::new_v4(), booking(shop.provider, shop.gear, 1)?);
    let Err(Error::Refused(first)) = ask(&shop.db, user, "hash", &booking).await else {
        anyhow::bail!("one piece was held twice");
    };
    assert_eq!(first.code, Code::InsufficientAvailability);
    shop.database.lapse(hold.id.0).await?;
    let Err(Error::Refused(again)) = ask(&shop.db, user, "hash", &booking).await else {
        anyhow::bail!("the stored refusal was forgotten");
    };
    assert_eq!(again, first, "with its details");
    Ok(())
}

#[tokio::test]
async fn keys_of_different_callers_are_different_keys() -> Result<()> {
    let shop = Shop::open().await?;
    let booking = booking(shop.provider, shop.gear, 1)?;
    let first = ask(&shop.db, Uuid::new_v4(), "hash", &booking).await?;
    shop.database.lapse(first.reservation_id.0).await?;
    let other = ask(&shop.db, Uuid::new_v4(), "hash", &booking).await?;
    assert!(!other.replayed);
    assert_ne!(other.reservation_id, first.reservation_id);
    Ok(())
}

/// A first request with the key, not yet committed, in the superuser's transaction; with its answer if it has one.
async fn begin_first(shop: &Shop, user: Uuid, response: &str) -> Result<()> {
    shop.database.admin.batch_execute("begin").await?;
    let sql = "insert into public.idempotency_keys (caller, operation, key, request_hash, response)
        values ($1, 'reserve_gear', 'key', 'hash', nullif($2, '')::jsonb)";
    shop.database.execute(sql, &[&caller(user), &response]).await?;
    Ok(())
}

#[tokio::test]
async fn a_second_request_waits_for_the_first_and_gets_its_answer() -> Result<()> {
    let shop = Shop::open().await?;
    let (user, wanted) = (Uuid::new_v4(), booking(shop.provider, shop.gear, 1)?);
    begin_first(&shop, user, r#"{"outcome": "gear_not_found", "answer": null}"#).await?;
    let db = shop.db.clone();
    let second = tokio::spawn(async move { ask(&db, user, "hash", &wanted).await });
    shop.until_somebody_waits().await?;
    shop.database.admin.batch_execute("commit").await?;
    assert_eq!(refused(second.await?)?, Code::GearNotFound);
    Ok(())
}

#[tokio::test]
async fn a_second_request_does_the_work_when_the_first_comes_to_nothing() -> Result<()> {
    let shop = Shop::open().await?;
    let (user, wanted) = (Uuid::new_v4(), booking(shop.provider, shop.gear, 1)?);
    begin_first(&shop, user, "").await?;
    let db = shop.db.clone();
    let second = tokio::spawn(async move { ask(&db, user, "hash", &wanted).await });
    shop.until_somebody_waits().await?;
    shop.database.admin.batch_execute("rollback").await?;
    assert!(!second.await??.replayed);
    Ok(())
}

#[tokio::test]
async fn a_second_request_does_not_wait_longer_than_the_lock_timeout() -> Result<()> {
    let shop = Shop::open().await?;
    let (user, booking) = (Uuid::new_v4(), booking(shop.provider, shop.gear, 1)?);
    begin_first(&shop, user, "").await?;
    let Err(Error::Refused(refusal)) = ask(&shop.db, user, "hash", &booking).await else {
        anyhow::bail!("two requests with one key at once");
    };
    assert_eq!(refusal.code, Code::RequestInFlight);
    assert!(refusal.retry_after.is_some());
    shop.database.admin.batch_execute("rollback").await?;
    ask(&shop.db, user, "hash", &booking).await?;
    Ok(())
}
