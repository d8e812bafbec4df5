//! What `check_consistency` reports: rows are changed past all triggers, each in a way that breaks one promise.

use anyhow::{Result, ensure};
use kitloop::domain::RefundStatus;
use test_support::{Gear, Provider};

use super::money::disputed;
use super::shop::Shop;

/// A shop in which everything about money has happened, and holds.
async fn open() -> Result<Shop> {
    let shop = Shop::open_with(&Provider::manual(), &Gear::of(9)).await?;
    let refunded = shop.confirmed("pi_refunded").await?;
    shop.refund(&refunded, 20_000).await?;
    shop.make_refund("re_1", RefundStatus::Succeeded).await?;
    shop.refund(&refunded, 1_000).await?;
    let kept = shop.confirmed("pi_kept").await?;
    shop.starts_in(&kept, 3 * 3600).await?;
    shop.cancel_by(kept.customer, &kept).await?;
    shop.confirmed("pi_lost").await?;
    shop.hear(&disputed("du_1", "pi_lost", 30_000, "lost", 0)).await?;
    let released = shop.authorized("pi_released").await?;
    shop.cancel_by(released.customer, &released).await?;
    shop.paid_at_the_counter().await?;
    shop.database.assert_consistent().await?;
    Ok(shop)
}

/// The kinds of promises that are broken after this change, which is then taken back.
async fn broken_by(shop: &Shop, change: &str) -> Result<Vec<String>> {
    let plant = format!("begin; set local session_replication_role = replica; {change}");
    shop.database.admin.batch_execute(&plant).await?;
    let violations = shop.database.violations().await;
    shop.database.admin.batch_execute("rollback").await?;
    let mut kinds: Vec<String> =
        violations?.iter().filter_map(|one| Some(one.split_once(':')?.0.to_owned())).collect();
    kinds.dedup();
    Ok(kinds)
}

const OF_REFUNDED: &str = "(select id from public.payments where payment_intent_id = 'pi_refunded')";
const ORDER_OF_REFUNDED: &str =
    "(select o.id from public.orders o join public.payments p on p.id = o.payment_id
    where p.payment_intent_id = 'pi_refunded')";

#[tokio::test]
async fn every_broken_promise_about_money_is_reported() -> Result<()> {
    let shop = open().await?;
    for (change, broken) in [
        (
            "update public.payments set kept_minor = 0 where payment_intent_id = 'pi_kept'".to_owned(),
            &["money_without_booking"] as &[&str],
        ),
        (
            "update public.payments set credited_minor = credited_minor - 1 where payment_intent_id = 'pi_kept'"
                .to_owned(),
            &["money_without_booking", "wrong_receipt"],
        ),
        ("update public.refunds set status = 'failed' where stripe_refund_id = 're_1'".to_owned(), &["refund_owed"]),
        ("update public.jobs set status = 'failed' where kind = 'refund_payment'".to_owned(), &["refund_owed", "failed_without_dead_letter"]),
        (
            format!("update public.payments set credited_minor = 50000 where id = {OF_REFUNDED}"),
            &["refund_owed", "wrong_receipt"],
        ),
        (
            "update public.jobs set status = 'failed' where kind = 'cancel_payment_intent'".to_owned(),
            &["authorization_without_booking", "failed_without_dead_letter"],
        ),
        (
            "update public.refunds set amount_minor = 60000 where stripe_refund_id = 're_1'".to_owned(),
            &["refunded_too_much"],
        ),
        (
            format!("update public.payments set status = 'processing' where id = {OF_REFUNDED}"),
            &["confirmed_without_payment"],
        ),
        (
            "update public.reservations set disputed = true where status = 'cancelled'".to_owned(),
            &["wrong_dispute_flag"],
        ),
        ("update public.reservations set disputed = false".to_owned(), &["wrong_dispute_flag"]),
        ("update public.disputes set status = 'won'".to_owned(), &["wrong_dispute_flag"]),
        (
            "update public.reservations set paid_at = now() where paid_at is null".to_owned(),
            &["wrong_receipt"],
        ),
        (
            "update public.reservations set paid_at = null where status = 'cancelled'".to_owned(),
            &["wrong_receipt"],
        ),
        (format!("update public.orders set amount_minor = 1 where id = {ORDER_OF_REFUNDED}"), &["wrong_receipt"]),
        (format!("update public.orders set number = 9 where id = {ORDER_OF_REFUNDED}"), &["wrong_receipt"]),
        ("update public.orders set number = number + 100".to_owned(), &["wrong_receipt"]),
        (
            format!("update public.order_lines set amount_minor = 1 where order_id = {ORDER_OF_REFUNDED}"),
            &["wrong_receipt"],
        ),
        (format!("delete from public.order_lines where order_id = {ORDER_OF_REFUNDED}"), &["wrong_receipt"]),
        (format!("delete from public.orders where id = {ORDER_OF_REFUNDED}"), &["wrong_receipt"]),
        (
            "delete from public.credit_notes where number = (select max(number) from public.credit_notes)".to_owned(),
            &["wrong_receipt"],
        ),
        ("update public.credit_notes set number = number + 100".to_owned(), &["wrong_receipt"]),
        ("update public.credit_notes set amount_minor = amount_minor + 1".to_owned(), &["wrong_receipt"]),
    ] {
        let found = broken_by(&shop, &change).await?;
        ensure!(found == broken, "{change}\nbreaks {found:?}, not {broken:?}");
    }
    shop.database.assert_consistent().await
}
