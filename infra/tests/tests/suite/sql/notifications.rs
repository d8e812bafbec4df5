//! Who is told what, once; and what becomes of an e-mail that cannot be sent.

use anyhow::{Context, Result, bail};
use kitloop::db::{self, EmailDelivery, JobOutcome};
use kitloop::domain::{
    CancelReason, ClaimedJob, ConfirmationAction, Fact, Notification, NotificationKind, PaymentStatus,
    RefundStatus,
};
use kitloop_tests::race;
use serde_json::json;
use test_support::{Gear, Provider};

use super::jobs::end_pauses;
use super::money::disputed;
use super::shop::{Hold, LEASE, Shop, refund_of};

const CUSTOMER: &str = "eva@example.com";
const PROVIDER: &str = "shop@example.com";

/// Every e-mail that is due, taken by a worker who sends it; other jobs are left to wait.
async fn mail(shop: &Shop) -> Result<Vec<Notification>> {
    let others =
        "update public.jobs set run_after = 'infinity' where kind <> 'send_email' and status = 'queued'";
    shop.database.execute(others, &[]).await?;
    let mut sent = Vec::new();
    while let Some(job) = db::claim_job(&shop.db, "worker", LEASE).await? {
        let ClaimedJob::Email(job) = job else { bail!("not an e-mail: {job:?}") };
        let delivery = EmailDelivery::Sent { message_id: Some(format!("msg_{}", job.claim.id)) };
        assert_eq!(db::finish_email(&shop.db, &job, &delivery).await?, JobOutcome::Finished);
        sent.push(job.notification);
    }
    end_pauses(shop).await?;
    Ok(sent)
}

/// The only e-mail that is due; fails unless it is of this kind and goes there.
async fn only_mail(shop: &Shop, kind: NotificationKind, to: &str) -> Result<Notification> {
    let mut sent = mail(shop).await?;
    let one = sent.pop().with_context(|| format!("no {kind:?}"))?;
    assert!(sent.is_empty(), "more than {one:?}: {sent:?}");
    assert_eq!((one.kind, one.to.as_str()), (kind, to));
    Ok(one)
}

/// A shop with addresses, and a customer's hold in it.
pub(super) async fn open() -> Result<(Shop, Hold)> {
    open_with(&Provider::default()).await
}

async fn open_with(provider: &Provider) -> Result<(Shop, Hold)> {
    let shop = Shop::open_with(provider, &Gear::of(9)).await?;
    let hold = shop.hold().await?;
    shop.give_addresses().await?;
    Ok((shop, hold))
}

/// Every notification as `kind status`, in order of the kinds.
pub(super) async fn log(shop: &Shop) -> Result<Vec<String>> {
    let sql =
        "select coalesce(array_agg(kind || ' ' || status order by kind), '{}') from public.notification_logs";
    shop.database.value(sql, &[]).await
}

#[tokio::test]
async fn a_confirmation_tells_the_customer_of_the_booking_and_its_receipt() -> Result<()> {
    let (shop, hold) = open().await?;
    shop.database.execute("update public.providers set tax_rate_basis_points = 2100", &[]).await?;
    shop.starts_in(&hold, 0).await?;
    let period = "update public.reservations
        set period = '[2027-07-01 08:00+00, 2027-07-02 08:00+00)'::tstzrange";
    shop.database.execute(period, &[]).await?;
    shop.start_payment(&hold, "pi_1").await?;
    shop.hear_of(&hold, "pi_1", PaymentStatus::Succeeded).await?;
    let told = only_mail(&shop, NotificationKind::Confirmation, CUSTOMER).await?;
    assert_eq!(
        (told.provider_name.as_str(), told.customer_name.as_deref(), told.contact_email.as_deref()),
        ("Snowline", Some("Eva"), Some(PROVIDER))
    );
    assert_eq!(
        (told.starts_at.as_str(), told.ends_at.as_str(), told.time_zone.as_str()),
        ("2027-07-01 10:00", "2027-07-02 10:00", "Europe/Prague")
    );
    assert_eq!(told.reservation_id, hold.id);
    assert_eq!(
        (told.amount_total_minor, told.currency.as_str(), told.order_number, told.tax_minor),
        (50_000, "CZK", Some(1), Some(8_678))
    );
    assert_eq!((told.paid_minor, told.refund_minor, told.kept_minor, told.owed_minor), (50_000, 0, 0, 0));
    assert_eq!((told.cancel_reason, told.cancel_note.as_deref()), (None, None));
    assert!(told.dispute.is_none());
    let [line] = told.lines.as_slice() else { bail!("not one line: {:?}", told.lines) };
    assert_eq!((line.name.as_str(), line.quantity), ("Touring skis", 1));
    Ok(())
}

#[tokio::test]
async fn a_cancellation_tells_what_goes_back_and_what_is_kept() -> Result<()> {
    let (shop, hold) = open().await?;
    shop.start_payment(&hold, "pi_1").await?;
    shop.hear_of(&hold, "pi_1", PaymentStatus::Succeeded).await?;
    mail(&shop).await?;
    shop.starts_in(&hold, 3 * 3600).await?;
    shop.cancel_by(hold.customer, &hold).await?;
    let told = only_mail(&shop, NotificationKind::Cancellation, CUSTOMER).await?;
    assert_eq!((told.refund_minor, told.kept_minor, told.owed_minor), (25_000, 25_000, 0));
    assert_eq!(told.cancel_reason, Some(CancelReason::Customer));
    assert_eq!(told.cancel_note.as_deref(), Some("the snow is gone"));
    Ok(())
}

#[tokio::test]
async fn what_was_paid_at_the_counter_is_handed_back_there_says_the_cancellation() -> Result<()> {
    let (shop, hold) = open().await?;
    shop.answer(shop.staff, &hold, ConfirmationAction::Confirm, None).await?;
    only_mail(&shop, NotificationKind::Confirmation, CUSTOMER).await?;
    shop.cancel_by(shop.staff, &hold).await?;
    let told = only_mail(&shop, NotificationKind::Cancellation, CUSTOMER).await?;
    assert_eq!((told.refund_minor, told.owed_minor), (50_000, 50_000));
    assert_eq!(told.cancel_reason, Some(CancelReason::Provider));
    Ok(())
}

#[tokio::test]
async fn who_is_declined_or_not_answered_is_told() -> Result<()> {
    for is_answered in [true, false] {
        let (shop, hold) = open_with(&Provider::manual()).await?;
        shop.start_payment(&hold, "pi_1").await?;
        shop.hear_of(&hold, "pi_1", PaymentStatus::RequiresCapture).await?;
        assert!(mail(&shop).await?.is_empty(), "nothing is firm yet");
        if is_answered {
            shop.answer(shop.staff, &hold, ConfirmationAction::Decline, None).await?;
        } else {
            let sql = "update public.payments set authorized_at = authorized_at - interval '25 hours'";
            shop.database.execute(sql, &[]).await?;
            db::expire_holds(&shop.db, 10).await?;
        }
        let told = only_mail(&shop, NotificationKind::Declined, CUSTOMER).await?;
        let reason = if is_answered { CancelReason::Declined } else { CancelReason::Unanswered };
        assert_eq!(told.cancel_reason, Some(reason));
        assert_eq!((told.paid_minor, told.refund_minor), (0, 0));
    }
    Ok(())
}

#[tokio::test]
async fn an_authorisation_that_ends_without_us_is_a_cancellation() -> Result<()> {
    for is_mismatch in [false, true] {
        let (shop, hold) = open_with(&Provider::manual()).await?;
        shop.start_payment(&hold, "pi_1").await?;
        shop.hear_of(&hold, "pi_1", PaymentStatus::RequiresCapture).await?;
        if is_mismatch {
            let mut less = shop.intent(&hold, "pi_1", PaymentStatus::Succeeded);
            less.amount_received_minor -= 1;
            shop.hear(&Fact::PaymentIntent(less)).await?;
        } else {
            shop.hear_of(&hold, "pi_1", PaymentStatus::Canceled).await?;
        }
        let told = only_mail(&shop, NotificationKind::Cancellation, CUSTOMER).await?;
        assert_eq!(told.cancel_reason, Some(CancelReason::PaymentCanceled));
        assert_eq!(told.refund_minor, if is_mismatch { 49_999 } else { 0 });
    }
    Ok(())
}

#[tokio::test]
async fn who_lost_the_gear_gets_an_apology_and_the_shop_gets_word() -> Result<()> {
    let shop = Shop::open().await?;
    let late = shop.hold().await?;
    shop.lose(&late).await?;
    shop.give_addresses().await?;
    shop.hear_of(&late, "pi_1", PaymentStatus::Succeeded).await?;
    let mut told: Vec<(NotificationKind, String, i64)> =
        mail(&shop).await?.into_iter().map(|told| (told.kind, told.to, told.refund_minor)).collect();
    told.sort_by_key(|(kind, ..)| kind.as_str());
    assert_eq!(
        told,
        [
            (NotificationKind::ConflictApology, CUSTOMER.to_owned(), 50_000),
            (NotificationKind::ConflictNotice, PROVIDER.to_owned(), 50_000),
        ]
    );
    Ok(())
}

#[tokio::test]
async fn a_dispute_is_told_to_the_shop_when_it_opens_and_when_it_ends() -> Result<()> {
    let (shop, hold) = open().await?;
    shop.hear_of(&hold, "pi_1", PaymentStatus::Succeeded).await?;
    mail(&shop).await?;
    for (status, at) in [("needs_response", 0), ("under_review", 1)] {
        shop.hear(&disputed("du_1", "pi_1", 30_000, status, at)).await?;
    }
    let opened = only_mail(&shop, NotificationKind::DisputeOpened, PROVIDER).await?;
    let dispute = opened.dispute.context("no dispute")?;
    assert_eq!((dispute.amount_minor, dispute.currency.as_str()), (30_000, "CZK"));
    assert_eq!((dispute.status.as_str(), dispute.reason.as_deref()), ("under_review", Some("fraudulent")));
    assert_eq!(dispute.evidence_due_by.as_deref(), Some("2033-05-18 05:33"), "on the shop's clock");
    for at in [2, 3] {
        shop.hear(&disputed("du_1", "pi_1", 30_000, "lost", at)).await?;
    }
    let closed = only_mail(&shop, NotificationKind::DisputeClosed, PROVIDER).await?;
    assert_eq!((closed.paid_minor, closed.refund_minor), (50_000, 0), "what the bank took is no refund");
    assert_eq!(closed.dispute.context("no dispute")?.status, "lost");
    Ok(())
}

#[tokio::test]
async fn the_shop_is_told_of_an_inquiry_and_again_when_it_becomes_a_dispute() -> Result<()> {
    let (shop, hold) = open().await?;
    shop.hear_of(&hold, "pi_1", PaymentStatus::Succeeded).await?;
    mail(&shop).await?;
    shop.hear(&disputed("du_1", "pi_1", 30_000, "warning_needs_response", 0)).await?;
    only_mail(&shop, NotificationKind::InquiryOpened, PROVIDER).await?;
    shop.hear(&disputed("du_1", "pi_1", 30_000, "needs_response", 1)).await?;
    only_mail(&shop, NotificationKind::DisputeOpened, PROVIDER).await?;
    Ok(())
}

#[tokio::test]
async fn the_shop_is_told_of_money_that_did_not_arrive() -> Result<()> {
    let (shop, hold) = open().await?;
    shop.hear_of(&hold, "pi_1", PaymentStatus::Succeeded).await?;
    mail(&shop).await?;
    shop.refund(&hold, 20_000).await?;
    for attempt in 1..=3 {
        assert!(mail(&shop).await?.is_empty(), "there are attempts left");
        let (job, _) = shop.claim_refund().await?;
        let failed = refund_of(&job, &format!("re_{attempt}"), RefundStatus::Failed)?;
        db::finish_job(&shop.db, &job, &failed).await?;
    }
    let told = only_mail(&shop, NotificationKind::RefundFailed, PROVIDER).await?;
    assert_eq!((told.owed_minor, told.refund_minor), (20_000, 20_000));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_told_the_same_twice_however_many_tell_it_at_once() -> Result<()> {
    const CALLERS: usize = 20;
    let (shop, hold) = open().await?;
    shop.start_payment(&hold, "pi_1").await?;
    let paid = Fact::PaymentIntent(shop.intent(&hold, "pi_1", PaymentStatus::Succeeded));
    let outcomes = race(&shop.database, CALLERS, |caller, db| {
        let fact = match caller % 3 {
            0 => paid.clone(),
            1 => disputed(&format!("du_{caller}"), "pi_1", 100, "needs_response", 0),
            _ => disputed(&format!("du_{caller}"), "pi_1", 100, "won", 1),
        };
        async move {
            let event_id = format!("evt_{caller}");
            db::apply_stripe_event(&db, &event_id, "test.event", &json!({}), Some(&fact)).await
        }
    })
    .await?;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(log(&shop).await?, ["confirmation queued", "dispute_closed queued", "dispute_opened queued"]);
    assert_eq!(mail(&shop).await?.len(), 3);
    shop.database.assert_consistent().await
}
