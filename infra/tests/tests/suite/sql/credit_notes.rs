//! Credit notes for what goes back, and that no document ever changes.

use anyhow::{Context, Result};
use kitloop::domain::{Fact, PaymentStatus, RefundStatus};
use serde_json::{Value, json};
use test_support::{Gear, Provider};
use tokio_postgres::error::SqlState;

use super::money::disputed;
use super::receipts::orders;
use super::shop::{Shop, refund};

/// The numbers and amounts of all credit notes, in order.
pub(super) async fn credit_notes(shop: &Shop) -> Result<Value> {
    let sql =
        "select coalesce(jsonb_agg(jsonb_build_array(number, amount_minor, tax_minor) order by number), '[]')
        from public.credit_notes";
    shop.database.value(sql, &[]).await
}

pub(super) async fn set_tax(shop: &Shop, basis_points: i32) -> Result<()> {
    let sql = "update public.providers set tax_rate_basis_points = $1";
    shop.database.execute(sql, &[&basis_points]).await.map(drop)
}

#[tokio::test]
async fn credit_notes_add_up_to_what_goes_back() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    set_tax(&shop, 2_100).await?;
    let hold = shop.confirmed("pi_1").await?;
    shop.refund(&hold, 12_100).await?;
    shop.make_refund("re_1", RefundStatus::Succeeded).await?;
    let by_hand = refund("re_2", "pi_1", 5_000, RefundStatus::Succeeded);
    shop.hear(&Fact::Refund(by_hand.clone())).await?;
    shop.hear(&Fact::Refund(by_hand)).await?;
    shop.refund_offline(&hold, 121).await?;
    shop.hear(&disputed("du_1", "pi_1", 10_000, "lost", 0)).await?;
    let in_cash = shop.paid_at_the_counter().await?;
    shop.cancel_by(shop.staff, &in_cash).await?;
    shop.starts_in(&hold, 3 * 3600).await?;
    shop.cancel_by(hold.customer, &hold).await?;
    let notes = json!([
        [1, 12_100, 2_100],
        [2, 5_000, 868],
        [3, 121, 21],
        [4, 10_000, 1_735],
        [5, 50_000, 8_678],
        [6, 22_779, 3_954],
    ]);
    assert_eq!(credit_notes(&shop).await?, notes);
    assert_eq!(shop.books(&hold).await?, [50_000, 0, 10_000]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn what_went_back_before_we_heard_of_the_payment_is_credited_with_its_receipt() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    shop.start_payment(&hold, "pi_1").await?;
    shop.hear(&Fact::Refund(refund("re_1", "pi_1", 20_000, RefundStatus::Succeeded))).await?;
    assert_eq!(credit_notes(&shop).await?, json!([]));
    shop.hear_of(&hold, "pi_1", PaymentStatus::Succeeded).await?;
    assert_eq!(orders(&shop).await?, json!([[1, 50_000, "CZK", 0, "card"]]));
    assert_eq!(credit_notes(&shop).await?, json!([[1, 20_000, 0]]));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn receipts_never_change() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    shop.refund(&hold, 1).await?;
    for (table, column) in
        [("orders", "amount_minor"), ("order_lines", "quantity"), ("credit_notes", "number")]
    {
        for sql in [
            format!("update public.{table} set {column} = 2"),
            format!("update public.{table} set {column} = 2 where false"),
            format!("delete from public.{table}"),
            format!("truncate public.{table} cascade"),
        ] {
            let error = shop.database.admin.execute(&sql, &[]).await.err().with_context(|| sql.clone())?;
            assert_eq!(error.code().map(SqlState::code), Some("KL002"), "{sql}");
        }
    }
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn gear_that_changes_later_does_not_change_a_receipt() -> Result<()> {
    let shop = Shop::open().await?;
    shop.confirmed("pi_1").await?;
    set_tax(&shop, 2_100).await?;
    let sql = "update public.gear_items set name = 'Splitboard', day_price_minor = 1";
    shop.database.execute(sql, &[]).await?;
    let line = "select description || ' ' || amount_minor from public.order_lines";
    assert_eq!(shop.database.value::<String>(line, &[]).await?, "Touring skis 50000");
    assert_eq!(orders(&shop).await?, json!([[1, 50_000, "CZK", 0, "card"]]));
    shop.database.assert_consistent().await
}
