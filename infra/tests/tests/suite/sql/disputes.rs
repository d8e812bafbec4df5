//! Disputes: what they mean for refunds, for the books and for the flags, in whatever order the news comes.

use anyhow::Result;
use kitloop::domain::{Decision, DisputeFact, Fact, PaymentStatus, RefundStatus};
use kitloop::error::Code;
use test_support::{Gear, Provider};

use super::jobs::end_pauses;
use super::money::{dispute, disputed};
use super::permutations::orders;
use super::shop::{Hold, Shop, refund, refund_of, refused};

/// Whether the payment and the reservation are marked as disputed: both or none.
async fn is_marked(shop: &Shop, hold: &Hold) -> Result<bool> {
    let sql = "select array[r.disputed, bool_or(p.disputed)]
        from public.reservations r join public.payments p on p.reservation_id = r.id
        where r.id = $1 group by r.id";
    let marks: Vec<bool> = shop.database.value(sql, &[&hold.id.0]).await?;
    anyhow::ensure!(marks.iter().all(|mark| Some(mark) == marks.first()), "marked differently: {marks:?}");
    Ok(marks.contains(&true))
}

#[tokio::test]
async fn the_news_of_a_dispute_ends_alike_in_every_order() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(1_000)).await?;
    for (ends_as, is_disputed, books) in
        [("won", false, [0, 0, 0]), ("lost", true, [50_000, 0, 50_000]), ("warning_closed", false, [0, 0, 0])]
    {
        // Created, money withdrawn, updated, closed, money reinstated: the last two of one instant.
        let news =
            [("needs_response", 0), ("needs_response", 1), ("under_review", 2), (ends_as, 3), (ends_as, 3)];
        for (number, order) in orders(news.len()).into_iter().enumerate() {
            let intent_id = format!("pi_{ends_as}_{number}");
            let hold = shop.confirmed(&intent_id).await?;
            for &index in &order {
                let (status, at) = news[index];
                shop.hear(&disputed(&format!("du_{intent_id}"), &intent_id, 50_000, status, at)).await?;
            }
            assert_eq!(is_marked(&shop, &hold).await?, is_disputed, "{ends_as} in the order {order:?}");
            assert_eq!(shop.books(&hold).await?, books, "{ends_as} in the order {order:?}");
        }
    }
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn while_it_is_open_the_newest_news_counts() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    for (status, at, decision, is_refundable) in [
        ("warning_needs_response", 10, Decision::Disputed, true),
        ("warning_under_review", 20, Decision::Disputed, true),
        ("warning_needs_response", 15, Decision::Stale, true),
        ("needs_response", 30, Decision::Disputed, false),
        ("needs_response", 30, Decision::Disputed, false),
        ("warning_under_review", 20, Decision::Stale, false),
        ("under_review", 40, Decision::Disputed, false),
    ] {
        let fact = disputed("du_1", "pi_1", 50_000, status, at);
        assert_eq!(shop.hear(&fact).await?, decision, "{status} at {at}");
        assert!(is_marked(&shop, &hold).await?, "{status}");
        let is_in_dispute: bool = shop.of_payment(&hold, "kitloop.is_in_dispute(p.id)").await?;
        assert_eq!(is_in_dispute, !is_refundable, "{status}");
    }
    assert_eq!(shop.state(&hold).await?, "confirmed", "the rental goes on");
    Ok(())
}

#[tokio::test]
async fn during_an_inquiry_money_may_go_back() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    shop.hear(&disputed("du_1", "pi_1", 50_000, "warning_needs_response", 0)).await?;
    shop.refund(&hold, 50_000).await?;
    shop.make_refund("re_1", RefundStatus::Succeeded).await?;
    shop.hear(&disputed("du_1", "pi_1", 50_000, "warning_closed", 1)).await?;
    assert!(!is_marked(&shop, &hold).await?);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_dispute_holds_refunds_up_until_it_is_won() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    shop.refund(&hold, 20_000).await?;
    shop.hear(&disputed("du_1", "pi_1", 50_000, "needs_response", 0)).await?;
    for _ in 0..2 {
        assert!(shop.claim("worker").await?.is_none(), "Stripe would refuse it");
        end_pauses(&shop).await?;
    }
    assert_eq!(refused(shop.refund(&hold, 1_000).await)?, Code::PaymentDisputed);
    assert_eq!(refused(shop.refund_offline(&hold, 1_000).await)?, Code::PaymentDisputed);
    assert!(shop.claim("worker").await?.is_none());
    shop.hear(&disputed("du_1", "pi_1", 50_000, "won", 1)).await?;
    let finished = shop.make_refund("re_1", RefundStatus::Succeeded).await?;
    assert_eq!(finished.decision, Decision::PartiallyRefunded);
    shop.refund(&hold, 1_000).await?;
    assert_eq!(shop.books(&hold).await?, [21_000, 0, 0]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_dispute_that_opens_while_a_refund_is_on_its_way_lets_it_wait() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    shop.refund(&hold, 20_000).await?;
    let (job, _) = shop.claim_refund().await?;
    shop.hear(&disputed("du_1", "pi_1", 50_000, "needs_response", 0)).await?;
    super::jobs::end_leases(&shop).await?;
    assert!(shop.claim("worker").await?.is_none());
    assert_eq!(shop.jobs().await?, ["refund_payment queued"]);
    // Stripe had made it in time.
    shop.hear(&refund_of(&job, "re_1", RefundStatus::Succeeded)?).await?;
    shop.hear(&disputed("du_1", "pi_1", 50_000, "won", 1)).await?;
    assert!(shop.claim("worker").await?.is_none());
    assert_eq!(shop.jobs().await?, ["refund_payment obsolete"]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_lost_dispute_is_booked_and_takes_from_refunds_that_were_not_sent() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    for (number, (lost, books, refunds)) in [
        (50_000, [50_000, 0, 50_000], "20000 canceled"),
        (40_000, [50_000, 0, 40_000], "10000 pending"),
        (30_000, [50_000, 0, 30_000], "20000 pending"),
        (10_000, [30_000, 0, 10_000], "20000 pending"),
    ]
    .into_iter()
    .enumerate()
    {
        let intent_id = format!("pi_{number}");
        let hold = shop.confirmed(&intent_id).await?;
        shop.refund(&hold, 20_000).await?;
        shop.hear(&disputed(&format!("du_{number}"), &intent_id, lost, "needs_response", 0)).await?;
        assert_eq!(shop.books(&hold).await?, [20_000, 0, 0], "nothing is lost yet");
        shop.hear(&disputed(&format!("du_{number}"), &intent_id, lost, "lost", 1)).await?;
        // What is credited covers both: the refund that was promised, and what the bank took.
        assert_eq!(shop.books(&hold).await?, books, "{lost} lost");
        let sql = "select amount_minor || ' ' || status from public.refunds
            where payment_id = (select id from public.payments where payment_intent_id = $1)";
        assert_eq!(shop.database.value::<String>(sql, &[&intent_id]).await?, refunds, "{lost} lost");
        let credited = "select sum(n.amount_minor)::bigint from public.credit_notes n
            join public.orders o on o.id = n.order_id where o.reservation_id = $1";
        assert_eq!(shop.database.value::<i64>(credited, &[&hold.id.0]).await?, books[0]);
    }
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_lost_dispute_takes_what_the_shop_had_kept() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    shop.starts_in(&hold, 3600).await?;
    shop.cancel_by(hold.customer, &hold).await?;
    assert_eq!(shop.books(&hold).await?, [0, 50_000, 0]);
    shop.hear(&disputed("du_1", "pi_1", 50_000, "lost", 0)).await?;
    assert_eq!(shop.books(&hold).await?, [50_000, 0, 50_000]);
    assert_eq!(shop.owed(&hold).await?, 0);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_lost_dispute_stays_booked_whatever_is_heard_after_it() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    shop.hear(&disputed("du_1", "pi_1", 50_000, "lost", 1)).await?;
    for (status, at) in [("won", 2), ("needs_response", 3)] {
        let fact = disputed("du_1", "pi_1", 50_000, status, at);
        assert_eq!(shop.hear(&fact).await?, Decision::Stale, "{status}");
    }
    assert_eq!(shop.books(&hold).await?, [50_000, 0, 50_000]);
    assert!(is_marked(&shop, &hold).await?);
    assert!(shop.claim("worker").await?.is_none(), "nobody gets the money a second time");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn of_two_disputes_each_counts() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    for (id, status, at, is_disputed, books) in [
        ("du_1", "needs_response", 0, true, [0, 0, 0]),
        ("du_2", "needs_response", 1, true, [0, 0, 0]),
        ("du_1", "won", 2, true, [0, 0, 0]),
        ("du_2", "lost", 3, true, [20_000, 0, 20_000]),
    ] {
        shop.hear(&disputed(id, "pi_1", 20_000, status, at)).await?;
        assert_eq!(is_marked(&shop, &hold).await?, is_disputed, "{id} {status}");
        assert_eq!(shop.books(&hold).await?, books, "{id} {status}");
    }
    assert_eq!(refused(shop.refund(&hold, 30_001).await)?, Code::RefundExceedsPayment);
    shop.refund(&hold, 30_000).await?;
    shop.hear(&disputed("du_3", "pi_1", 30_000, "lost", 4)).await?;
    assert_eq!(shop.books(&hold).await?, [50_000, 0, 50_000]);
    assert_eq!(shop.refunds().await?, ["30000 canceled"]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_dispute_in_another_currency_is_of_all_of_the_payment() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    let in_euros = DisputeFact { currency: "EUR".to_owned(), ..dispute("du_1", "pi_1", 2_000, "lost", 0) };
    shop.hear(&Fact::Dispute(in_euros)).await?;
    assert_eq!(shop.books(&hold).await?, [50_000, 0, 50_000]);
    assert_eq!(refused(shop.refund(&hold, 1).await)?, Code::AlreadyRefunded);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_dispute_heard_of_before_the_capture_is_booked_with_it() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    for (intent_id, currency, amount_minor, status, books) in [
        ("pi_1", "CZK", 20_000, "lost", [20_000, 0, 20_000]),
        ("pi_2", "EUR", 2_000, "lost", [50_000, 0, 50_000]),
        ("pi_3", "CZK", 50_000, "needs_response", [0, 0, 0]),
        ("pi_4", "CZK", 50_000, "won", [0, 0, 0]),
    ] {
        let hold = shop.hold().await?;
        shop.start_payment(&hold, intent_id).await?;
        let fact = DisputeFact {
            currency: currency.to_owned(),
            ..dispute(&format!("du_{intent_id}"), intent_id, amount_minor, status, 0)
        };
        assert_eq!(shop.hear(&Fact::Dispute(fact)).await?, Decision::Disputed);
        assert_eq!(shop.hear_of(&hold, intent_id, PaymentStatus::Succeeded).await?, Decision::Confirmed);
        assert_eq!(shop.books(&hold).await?, books, "{intent_id}");
        assert_eq!(is_marked(&shop, &hold).await?, status != "won", "{intent_id}");
    }
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn late_money_that_was_lost_already_does_not_go_back_twice() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    shop.start_payment(&hold, "pi_1").await?;
    shop.cancel_by(hold.customer, &hold).await?;
    shop.hear(&disputed("du_1", "pi_1", 20_000, "lost", 0)).await?;
    assert_eq!(shop.hear_of(&hold, "pi_1", PaymentStatus::Succeeded).await?, Decision::RefundLatePayment);
    assert_eq!(shop.refunds().await?, ["30000 pending"]);
    assert_eq!(shop.books(&hold).await?, [50_000, 0, 20_000]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_refund_and_a_lost_dispute_end_alike_in_every_order() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(100)).await?;
    for (number, order) in orders(4).into_iter().enumerate() {
        let (intent_id, dispute_id) = (format!("pi_{number}"), format!("du_{number}"));
        let hold = shop.hold().await?;
        shop.start_payment(&hold, &intent_id).await?;
        let part = |status| Fact::Refund(refund(&format!("re_{number}"), &intent_id, 20_000, status));
        let news = [
            Fact::PaymentIntent(shop.intent(&hold, &intent_id, PaymentStatus::Succeeded)),
            part(RefundStatus::Succeeded),
            disputed(&dispute_id, &intent_id, 30_000, "needs_response", 0),
            disputed(&dispute_id, &intent_id, 30_000, "lost", 1),
        ];
        for &index in &order {
            shop.hear(&news[index]).await?;
        }
        assert_eq!(shop.books(&hold).await?, [50_000, 0, 30_000], "in the order {order:?}");
        assert!(is_marked(&shop, &hold).await?, "in the order {order:?}");
    }
    shop.database.assert_consistent().await
}
