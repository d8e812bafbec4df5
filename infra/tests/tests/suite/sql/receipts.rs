//! Receipts and credit notes: one of each when it is due, numbered without gaps, adding up, and never changed.

use std::sync::Arc;

use anyhow::{Context, Result};
use kitloop::db::{self, ReserveRequest};
use kitloop::domain::{Booking, Contact, Fact, PaymentStatus, Period};
use kitloop_tests::race;
use serde_json::{Value, json};
use test_support::{Gear, Provider, actor};
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use super::credit_notes::{credit_notes, set_tax};
use super::shop::{Hold, Shop, booking_of, hours_ahead};

/// What all orders say, in order of their numbers, as a JSON array for each.
pub(super) async fn orders(shop: &Shop) -> Result<Value> {
    let sql = "select coalesce(jsonb_agg(jsonb_build_array(
                o.number, o.amount_minor, o.currency, o.tax_minor, p.method) order by o.number), '[]')
        from public.orders o join public.payments p on p.id = o.payment_id";
    shop.database.value(sql, &[]).await
}

/// The ways in which the payment of a reservation becomes known.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Webhook,
    Customer,
    Capture,
    Reconciliation,
    Counter,
}

impl Way {
    const ALL: [Self; 5] =
        [Self::Webhook, Self::Customer, Self::Capture, Self::Reconciliation, Self::Counter];

    /// Says that a reservation is paid, in this way; what comes second may find that there is nothing to do.
    async fn tell(self, shop: &Shop, hold: &Hold, intent_id: &str) -> Result<()> {
        let fact = Fact::PaymentIntent(shop.intent(hold, intent_id, PaymentStatus::Succeeded));
        match self {
            Self::Webhook => shop.hear(&fact).await.map(drop),
            Self::Customer => Ok(db::settle_payment_intent(&shop.db, &fact).await.map(drop)?),
            Self::Reconciliation => Ok(db::settle_fact(&shop.db, &fact).await.map(drop)?),
            Self::Capture => {
                shop.hear_of(hold, intent_id, PaymentStatus::RequiresCapture).await?;
                if shop.state(hold).await? == "authorized" {
                    let job = shop.start_capture(hold).await?;
                    db::finish_job(&shop.db, &job, &fact).await?;
                }
                Ok(())
            }
            Self::Counter => {
                let confirm = kitloop::domain::ConfirmationAction::Confirm;
                shop.answer(shop.staff, hold, confirm, None).await?;
                Ok(())
            }
        }
    }
}

#[tokio::test]
async fn a_paid_reservation_has_one_receipt_whoever_tells_of_it_first_and_however_often() -> Result<()> {
    let shop = Shop::open_with(&Provider::manual(), &Gear::of(9)).await?;
    set_tax(&shop, 2100).await?;
    for (index, first) in Way::ALL.into_iter().enumerate() {
        let hold = shop.hold().await?;
        let intent_id = format!("pi_{index}");
        shop.start_payment(&hold, &intent_id).await?;
        assert_eq!(orders(&shop).await?.as_array().map(Vec::len), Some(index), "none before it is paid");
        for way in std::iter::once(first).chain(Way::ALL) {
            way.tell(&shop, &hold, &intent_id).await?;
        }
        assert_eq!(shop.state(&hold).await?, "confirmed");
    }
    let expected: Vec<Value> = Way::ALL
        .into_iter()
        .zip(1..)
        .map(|(way, number)| {
            json!([number, 50_000, "CZK", 8_678, if way == Way::Counter { "offline" } else { "card" }])
        })
        .collect();
    assert_eq!(orders(&shop).await?, Value::Array(expected));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn what_is_not_paid_in_the_end_has_no_receipt() -> Result<()> {
    let shop = Shop::open().await?;
    let late = shop.hold().await?;
    shop.lose(&late).await?;
    shop.hear_of(&late, "pi_1", PaymentStatus::Succeeded).await?;
    let cancelled = Shop::hold(&shop).await;
    assert!(cancelled.is_err(), "the gear is taken");
    assert_eq!(orders(&shop).await?, json!([]));
    assert_eq!(credit_notes(&shop).await?, json!([]), "nor a credit note");
    shop.database.assert_consistent().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_confirmations_at_once_number_the_receipts_of_each_provider_without_gaps() -> Result<()> {
    const CALLERS: usize = 50;
    let shop = Shop::open_with(&Provider::default(), &Gear::of(100)).await?;
    let rival = Provider::default().insert(&shop.database).await?;
    let rivals_gear = Gear::of(100).insert(&shop.database, rival).await?;
    let mut facts = Vec::new();
    for caller in 0..CALLERS {
        let (provider, gear) =
            if caller % 2 == 0 { (shop.provider, shop.gear) } else { (rival, rivals_gear) };
        let booked = test_support::booking(provider, gear, 1)?;
        let reserved = test_support::reserve(&shop.db, Uuid::new_v4(), &booked).await?;
        let hold = Hold {
            id: reserved.reservation_id,
            customer: Uuid::nil(),
            amount_minor: reserved.amount_total_minor,
        };
        let mut fact = shop.intent(&hold, &format!("pi_{caller}"), PaymentStatus::Succeeded);
        fact.provider_id = Some(provider);
        facts.push(Fact::PaymentIntent(fact));
    }
    let shop = Arc::new(shop);
    let outcomes = race(&shop.database, CALLERS, |caller, db| {
        let (shop, fact) = (Arc::clone(&shop), facts[caller].clone());
        async move {
            if caller % 5 == 0 {
                confirm_in_vain(&shop, &fact)
                    .await
                    .map_err(|error| kitloop::error::Error::Internal(format!("{error:#}")))?;
            }
            db::settle_payment_intent(&db, &fact).await
        }
    })
    .await?;
    for outcome in outcomes {
        outcome?.context("no reservation")?;
    }
    let numbers = "select jsonb_agg(numbers) from (
        select jsonb_agg(number order by number) as numbers from public.orders group by provider_id) per_provider";
    let each: Vec<usize> = (1..=CALLERS / 2).collect();
    assert_eq!(shop.database.value::<Value>(numbers, &[]).await?, json!([each, each]));
    shop.database.assert_consistent().await
}

/// Confirms, takes a number for it, and takes everything back, as when the connection is lost before the commit.
async fn confirm_in_vain(shop: &Shop, fact: &Fact) -> Result<()> {
    let session = shop.database.session().await?;
    session.batch_execute("begin").await?;
    session.query("select kitloop.settle_fact($1)", &[&serde_json::to_value(fact)?]).await?;
    session.batch_execute("set constraints all immediate; rollback").await?;
    Ok(())
}

/// A reservation of two kinds of gear for two and a half days, at a price that staff sets or the usual one.
async fn booked_by_staff(shop: &Shop, amount_total_minor: Option<i64>) -> Result<Hold> {
    let bindings =
        Gear { day_price_minor: 3_333, ..Gear::of(9) }.insert(&shop.database, shop.provider).await?;
    let lines = [(shop.gear, 2), (bindings, 3)];
    let booking = Booking {
        period: Period::new(hours_ahead(0)?, hours_ahead(60)?)?,
        amount_total_minor,
        ..booking_of(shop.provider, &lines)?
    };
    let request = ReserveRequest {
        caller: "user:staff",
        idempotency_key: &Uuid::new_v4().to_string(),
        request_hash: "hash",
        actor: actor(shop.staff),
        profile: &Contact::default(),
        booking: &booking,
    };
    let reserved = db::reserve_gear(&shop.db, &request).await?;
    Ok(Hold { id: reserved.reservation_id, customer: shop.staff, amount_minor: reserved.amount_total_minor })
}

#[tokio::test]
async fn the_lines_add_up_also_where_staff_sets_the_price() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    let usual = 2 * 3 * 50_000 + 3 * 3 * 3_333;
    for (index, (price, balance)) in [
        (None, Vec::new()),
        (Some(300_000), vec![json!(["Agreed price", 1, 1, 300_000 - usual, 300_000 - usual])]),
        (Some(400_000), vec![json!(["Agreed price", 1, 1, 400_000 - usual, 400_000 - usual])]),
    ]
    .into_iter()
    .enumerate()
    {
        let hold = booked_by_staff(&shop, price).await?;
        assert_eq!(hold.amount_minor, price.unwrap_or(usual));
        shop.hear_of(&hold, &format!("pi_{index}"), PaymentStatus::Succeeded).await?;
        let sql = "select jsonb_agg(jsonb_build_array(
                    l.description, l.quantity, l.days, l.unit_price_minor, l.amount_minor) order by l.amount_minor desc)
            from public.order_lines l join public.orders o on o.id = l.order_id where o.reservation_id = $1";
        let lines: Value = shop.database.value(sql, &[&hold.id.0]).await?;
        let mut wanted = vec![
            json!(["Touring skis", 2, 3, 50_000, 300_000]),
            json!(["Touring skis", 3, 3, 3_333, 29_997]),
        ];
        wanted.extend(balance);
        wanted.sort_by_key(|line| -line.get(4).and_then(Value::as_i64).unwrap_or_default());
        assert_eq!(lines, Value::Array(wanted));
    }
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_price_of_nothing_has_a_receipt_too() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    let hold = booked_by_staff(&shop, Some(0)).await?;
    let confirm = kitloop::domain::ConfirmationAction::Confirm;
    shop.answer(shop.staff, &hold, confirm, None).await?;
    assert_eq!(orders(&shop).await?, json!([[1, 0, "CZK", 0, "offline"]]));
    shop.cancel_by(shop.staff, &hold).await?;
    assert_eq!(credit_notes(&shop).await?, json!([]));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn the_tax_within_an_amount_is_rounded_to_the_nearest_unit() -> Result<()> {
    let shop = Shop::open().await?;
    for (amount_minor, basis_points, tax_minor) in [
        (50_000_i64, 2_100_i32, 8_678_i64),
        (121, 2_100, 21),
        (100, 2_100, 17),
        (1, 10_000, 1),
        (3, 10_000, 2),
        (50_000, 0, 0),
        (0, 2_100, 0),
        (99_999_999_999_999, 10_000, 50_000_000_000_000),
    ] {
        let sql = "select kitloop.included_tax($1, $2)";
        let found: i64 = shop.database.value(sql, &[&amount_minor, &basis_points]).await?;
        assert_eq!(found, tax_minor, "{basis_points} in {amount_minor}");
    }
    Ok(())
}

#[tokio::test]
async fn who_waits_for_a_number_holds_everything_else_already() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(2)).await?;
    shop.confirmed("pi_1").await?;
    let hold = shop.hold().await?;
    shop.start_payment(&hold, "pi_2").await?;
    shop.database.admin.batch_execute("begin; select from public.document_counters for update").await?;
    let looking = async {
        shop.until_somebody_waits().await?;
        let other = shop.database.session().await?;
        for table in ["reservations", "payments"] {
            let id = if table == "reservations" { "id" } else { "reservation_id" };
            let sql = format!("select from public.{table} where {id} = $1 for update nowait");
            let error = other.execute(&sql, &[&hold.id.0]).await.err().context("nobody holds it")?;
            assert_eq!(error.code(), Some(&SqlState::LOCK_NOT_AVAILABLE), "{table}");
        }
        shop.database.admin.batch_execute("commit").await?;
        anyhow::Ok(())
    };
    tokio::try_join!(shop.hear_of(&hold, "pi_2", PaymentStatus::Succeeded), looking)?;
    let numbers = "select array_agg(number order by number) from public.orders";
    assert_eq!(shop.database.value::<Vec<i64>>(numbers, &[]).await?, [1, 2]);
    Ok(())
}

#[tokio::test]
async fn who_waits_for_a_reservation_keeps_nobody_from_a_number() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(2)).await?;
    let first = shop.hold().await?;
    shop.start_payment(&first, "pi_1").await?;
    let lock = format!("begin; select from public.reservations where id = '{}' for update", first.id);
    shop.database.admin.batch_execute(&lock).await?;
    let other = async {
        shop.until_somebody_waits().await?;
        shop.confirmed("pi_2").await?;
        shop.database.admin.batch_execute("commit").await?;
        anyhow::Ok(())
    };
    let (waiting, fact) = (shop.database.db()?, shop.intent(&first, "pi_1", PaymentStatus::Succeeded));
    let fact = Fact::PaymentIntent(fact);
    let confirming = async { Ok(db::settle_payment_intent(&waiting, &fact).await?) };
    tokio::try_join!(confirming, other)?;
    let numbers = "select array_agg(number order by number) from public.orders";
    assert_eq!(shop.database.value::<Vec<i64>>(numbers, &[]).await?, [1, 2]);
    shop.database.assert_consistent().await
}
