//! Refunds, charges and disputes, none of which moves a reservation.

use anyhow::Result;
use jiff::Timestamp;
use kitloop::domain::{ChargeFact, Decision, DisputeFact, Fact, RefundStatus};

use super::shop::{Shop, refund};

#[tokio::test]
async fn refunds_add_up_and_may_fail_after_they_succeeded() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    for (refund_id, amount_minor, status, decision) in [
        ("re_1", 20_000, RefundStatus::Pending, Decision::PartiallyRefunded),
        ("re_2", 30_000, RefundStatus::Succeeded, Decision::Refunded),
        ("re_1", 20_000, RefundStatus::Succeeded, Decision::Refunded),
        ("re_1", 20_000, RefundStatus::Pending, Decision::Stale),
        ("re_2", 30_000, RefundStatus::Failed, Decision::RefundFailed),
        ("re_2", 30_000, RefundStatus::Succeeded, Decision::Stale),
        ("re_3", 30_000, RefundStatus::Canceled, Decision::RefundFailed),
    ] {
        let fact = Fact::Refund(refund(refund_id, "pi_1", amount_minor, status));
        assert_eq!(shop.hear(&fact).await?, decision, "{refund_id} {status:?}");
    }
    let sql = "select kitloop.refunded_minor(id) from public.payments";
    assert_eq!(shop.database.value::<i64>(sql, &[]).await?, 20_000);
    assert_eq!(shop.state(&hold).await?, "confirmed", "a refund does not move a reservation");
    let violations = shop.database.violations().await?;
    assert!(
        matches!(violations.as_slice(), [one] if one.starts_with("refund_owed")),
        "whoever made the refunds that failed has to look: {violations:?}"
    );
    Ok(())
}

fn charge(event_type: &str, refunded: bool) -> Fact {
    Fact::Charge(ChargeFact {
        payment_intent_id: Some("pi_1".to_owned()),
        event_type: event_type.to_owned(),
        captured: true,
        refunded,
        capture_before: Some(Timestamp::UNIX_EPOCH),
    })
}

#[tokio::test]
async fn a_charge_alone_never_confirms() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    assert_eq!(shop.hear(&charge("charge.succeeded", false)).await?, Decision::Ignored);
    assert_eq!(shop.hear(&charge("charge.refunded", true)).await?, Decision::Unmatched);
    shop.start_payment(&hold, "pi_1").await?;
    assert_eq!(shop.hear(&charge("charge.succeeded", false)).await?, Decision::Ignored);
    assert_eq!(shop.state(&hold).await?, "hold");
    assert_eq!(shop.hear(&charge("charge.refunded", false)).await?, Decision::PartiallyRefunded);
    assert_eq!(shop.hear(&charge("charge.refunded", true)).await?, Decision::Refunded);
    let sql = "select capture_before from public.payments";
    assert_eq!(
        shop.database.value::<Timestamp>(sql, &[]).await?,
        Timestamp::UNIX_EPOCH,
        "until when it can be captured, only the charge says"
    );
    Ok(())
}

#[tokio::test]
async fn a_dispute_marks_the_payment_until_it_is_won() -> Result<()> {
    let shop = Shop::open().await?;
    shop.confirmed("pi_1").await?;
    let dispute = |intent_id: &str, status: &str| {
        Fact::Dispute(DisputeFact {
            dispute_id: "du_1".to_owned(),
            payment_intent_id: Some(intent_id.to_owned()),
            amount_minor: 30_000,
            currency: "CZK".to_owned(),
            status: status.to_owned(),
            reason: Some("fraudulent".to_owned()),
            evidence_due_by: None,
            at: None,
        })
    };
    for (status, decision, is_disputed) in [
        ("needs_response", Decision::Disputed, true),
        ("under_review", Decision::Disputed, true),
        ("won", Decision::Disputed, false),
        ("under_review", Decision::Stale, false),
        ("lost", Decision::Disputed, true),
    ] {
        assert_eq!(shop.hear(&dispute("pi_1", status)).await?, decision);
        let sql = "select disputed from public.payments";
        assert_eq!(shop.database.value::<bool>(sql, &[]).await?, is_disputed, "{status}");
    }
    assert_eq!(shop.hear(&dispute("pi_other", "lost")).await?, Decision::Unmatched);
    Ok(())
}
