//! What must hold at the end of every sequence, by our books and by Stripe's.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use serde_json::Value;
use stripe_stand_in::{IntentMoney, charged_twice};
use tokio_postgres::Row;
use uuid::Uuid;

use super::rest::status_of;
use super::shop::Shop;
use super::steps::Starts;

/// After so many refunds of a payment have failed, people have to look.
const MOST_FAILURES: u32 = 3;

/// A payment as our books have it, with its reservation.
struct Booking {
    reservation_id: Uuid,
    intent_id: String,
    status: String,
    is_superseded: bool,
    captured_minor: i64,
    credited_minor: i64,
    kept_minor: i64,
    lost_minor: i64,
    refunded_minor: i64,
    handed_back_minor: i64,
    /// Whether a refund of it was decided on because there is no booking.
    is_sent_back: bool,
    reservation_status: String,
    cancel_reason: Option<String>,
}

const BOOKINGS: &str =
    "select p.reservation_id, p.payment_intent_id, p.status, p.superseded, p.captured_minor,
        p.credited_minor, p.kept_minor, p.lost_minor, r.status, r.cancel_reason,
        coalesce(sum(f.amount_minor) filter (
            where not f.is_offline and f.status in ('pending', 'requires_action', 'succeeded')), 0)::bigint,
        coalesce(sum(f.amount_minor) filter (where f.is_offline), 0)::bigint,
        coalesce(bool_or(f.reason not in ('requested', 'external')), false)
    from public.payments p
    join public.reservations r on r.id = p.reservation_id
    left join public.refunds f on f.payment_id = p.id
    where p.payment_intent_id is not null
    group by p.id, r.id";

impl Booking {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            reservation_id: row.try_get(0)?,
            intent_id: row.try_get(1)?,
            status: row.try_get(2)?,
            is_superseded: row.try_get(3)?,
            captured_minor: row.try_get(4)?,
            credited_minor: row.try_get(5)?,
            kept_minor: row.try_get(6)?,
            lost_minor: row.try_get(7)?,
            reservation_status: row.try_get(8)?,
            cancel_reason: row.try_get(9)?,
            refunded_minor: row.try_get(10)?,
            handed_back_minor: row.try_get(11)?,
            is_sent_back: row.try_get(12)?,
        })
    }

    /// Whether the money is for a booking that stands.
    fn is_for_a_booking(&self) -> bool {
        !self.is_superseded && matches!(self.reservation_status.as_str(), "authorized" | "confirmed")
    }
}

/// Fails unless every promise holds.
///
/// # Errors
/// Naming those that do not.
pub(super) async fn judge(shop: &Shop<'_>) -> Result<()> {
    let money = shop.stand_in.money();
    let rows = shop.market.database.admin.query(BOOKINGS, &[]).await?;
    let bookings: Vec<Booking> = rows.iter().map(Booking::read).collect::<Result<_>>()?;
    let refunds = shop.stripe_list("refunds").await?;
    let excused = for_people_to_mend(&refunds, &money);
    let mut broken =
        inconsistencies(shop, &bookings, &excused, &given_back_twice(&refunds, &bookings)).await?;
    broken.extend(unfinished(shop, &excused).await?);
    let by_intent: BTreeMap<&str, &Booking> =
        bookings.iter().map(|booking| (booking.intent_id.as_str(), booking)).collect();
    for intent in &money {
        match by_intent.get(intent.id.as_str()) {
            Some(booking) => {
                broken.extend(differences(intent, booking).map(|what| format!("{what}: {intent:?}")));
                broken.extend(money_kept(shop, intent, booking, &excused));
            }
            None if is_harmless(intent) => {}
            None => broken.push(format!("an intent that is in no book: {intent:?}")),
        }
    }
    let repaid: Vec<IntentMoney> =
        money.iter().filter(|intent| !excused.contains(&intent.id)).cloned().collect();
    broken.extend(charged_twice(&repaid).into_iter().map(|id| format!("charged twice: {id}")));
    let keys = shop.stand_in.conflicting_keys();
    broken.extend(keys.into_iter().map(|key| format!("different requests under one key: {key}")));
    ensure!(broken.is_empty(), "promises broken: {broken:#?}");
    Ok(())
}

/// The intents whose refunds failed in a way that only people can mend: three times, or one that somebody made in
/// Stripe's dashboard, or after the bank took a part, since Stripe then refunds nothing more. Only of these may something
/// be owed at the end.
fn for_people_to_mend(refunds: &[Value], money: &[IntentMoney]) -> BTreeSet<String> {
    let lost = money.iter().filter(|intent| intent.withdrawn_minor > 0);
    let mut failures: BTreeMap<&str, u32> = lost.map(|intent| (intent.id.as_str(), MOST_FAILURES)).collect();
    for refund in refunds {
        let weight = match status_of(refund) {
            "failed" if is_ours(refund) => 1,
            "failed" | "canceled" if !is_ours(refund) => MOST_FAILURES,
            _ => 0,
        };
        *failures.entry(intent_of(refund)).or_default() += weight;
    }
    let mut intents: BTreeSet<String> = BTreeSet::new();
    intents
        .extend(failures.into_iter().filter(|(_, many)| *many >= MOST_FAILURES).map(|(id, _)| id.to_owned()));
    intents
}

/// The intents of which people gave money back at the counter as well as in Stripe's dashboard, which is their own doing.
fn given_back_twice(refunds: &[Value], bookings: &[Booking]) -> BTreeSet<String> {
    let beside: BTreeSet<&str> = refunds.iter().filter(|refund| !is_ours(refund)).map(intent_of).collect();
    let twice = bookings.iter().filter(|booking| booking.handed_back_minor > 0);
    twice.map(|booking| booking.intent_id.clone()).filter(|intent| beside.contains(intent.as_str())).collect()
}

/// Whether a refund of Stripe's is one that we had made there.
fn is_ours(refund: &Value) -> bool {
    refund.pointer("/metadata/refund_id").is_some()
}

fn intent_of(refund: &Value) -> &str {
    refund.get("payment_intent").and_then(Value::as_str).unwrap_or_default()
}

/// What `check_consistency` finds, but for what may be owed, and for what people gave back twice.
async fn inconsistencies(
    shop: &Shop<'_>,
    bookings: &[Booking],
    excused: &BTreeSet<String>,
    twice: &BTreeSet<String>,
) -> Result<Vec<String>> {
    let sql = "select c.violation || ': ' || c.details,
            c.violation || case when c.details ? 'refund_id' then ' without a job' else '' end, p.payment_intent_id
        from kitloop.check_consistency() c left join public.payments p on p.id = (c.details ->> 'payment_id')::uuid";
    let mut broken = Vec::new();
    for row in shop.market.database.admin.query(sql, &[]).await? {
        let (kind, intent): (&str, Option<&str>) = (row.try_get(1)?, row.try_get(2)?);
        let is_excused = intent.is_some_and(|intent| match kind {
            "refund_owed" => excused.contains(intent),
            "refunded_too_much" => twice.contains(intent),
            _ => false,
        });
        if !is_excused {
            broken.push(row.try_get(0)?);
        }
    }
    let mut current = BTreeSet::new();
    let live = bookings.iter().filter(|booking| booking.is_for_a_booking());
    let doubled = live.filter(|booking| !current.insert(booking.reservation_id));
    broken.extend(doubled.map(|booking| format!("two payments of one booking: {}", booking.intent_id)));
    Ok(broken)
}

/// What should not be there when everything has come to rest.
async fn unfinished(shop: &Shop<'_>, excused: &BTreeSet<String>) -> Result<Vec<String>> {
    let sql = "select 'job: ' || to_jsonb(j)::text from public.jobs j
        left join public.payments p on p.id = j.payment_id
        where j.status in ('queued', 'running') or (j.status = 'failed' and not (
            j.kind = 'refund_payment' and p.payment_intent_id = any($1)))
        union all
        select 'event: ' || to_jsonb(e)::text from public.stripe_webhook_events e where e.status = 'failed'
        union all
        select 'a difference that could not be applied: ' || to_jsonb(f)::text from public.reconciliation_findings f
        where f.decision is null
        union all
        select 'hold that lapsed: ' || r.id from public.reservations r
        where r.status = 'hold' and r.reserved_until <= clock_timestamp()
        union all
        select 'booking with another number of orders than one: ' || r.id from public.reservations r
        where r.status = 'confirmed' and (select count(*) from public.orders o where o.reservation_id = r.id) <> 1";
    let excused: Vec<&str> = excused.iter().map(String::as_str).collect();
    let rows = shop.market.database.admin.query(sql, &[&excused]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// An intent that nobody here needs to know of: it has no money, and never will.
fn is_harmless(intent: &IntentMoney) -> bool {
    intent.status == "canceled" && intent.captured_minor == 0
}

/// In what our books differ from Stripe's.
fn differences(intent: &IntentMoney, booking: &Booking) -> impl Iterator<Item = String> {
    let is_open = !matches!(intent.status.as_str(), "succeeded" | "canceled");
    let waits =
        !booking.is_superseded && matches!(booking.reservation_status.as_str(), "hold" | "authorized");
    let differs = |what: &str, ours: &dyn std::fmt::Debug, theirs: &dyn std::fmt::Debug| {
        let (ours, theirs) = (format!("{ours:?}"), format!("{theirs:?}"));
        (ours != theirs).then(|| format!("{what}: {ours} in our books, {theirs} in Stripe's"))
    };
    [
        differs("status", &booking.status, &intent.status),
        differs("captured", &booking.captured_minor, &intent.captured_minor),
        differs("refunded", &booking.refunded_minor, &intent.refunded_minor),
        differs("lost", &booking.lost_minor, &intent.withdrawn_minor),
        differs("reservation", &Some(booking.reservation_id.to_string()), &intent.reservation_id),
        (is_open && !waits)
            .then(|| format!("still payable, for a reservation {}", booking.reservation_status)),
        (intent.status == "requires_capture" && booking.reservation_status != "authorized")
            .then(|| format!("capturable for a reservation {}", booking.reservation_status)),
    ]
    .into_iter()
    .flatten()
}

/// Money that is kept without a reason, or was given away without one.
fn money_kept(
    shop: &Shop<'_>,
    intent: &IntentMoney,
    booking: &Booking,
    excused: &BTreeSet<String>,
) -> Vec<String> {
    let mut broken = Vec::new();
    let Booking { captured_minor, credited_minor, kept_minor, .. } = *booking;
    let went_back = intent.refunded_minor + intent.withdrawn_minor + booking.handed_back_minor;
    let owed = credited_minor - went_back.min(captured_minor);
    if owed < 0 || (owed > 0 && !excused.contains(&intent.id)) {
        broken.push(format!("{credited_minor} is credited, but {went_back} went back: {intent:?}"));
    }
    if booking.is_for_a_booking() {
        if booking.is_sent_back {
            broken.push(format!("sent back although its booking stands: {intent:?}"));
        }
    } else if credited_minor + kept_minor != captured_minor {
        broken.push(format!(
            "kept without a booking: {intent:?}, {credited_minor} credited, {kept_minor} kept"
        ));
    }
    let most = if booking.is_superseded { 0 } else { most_kept(shop, booking) };
    if kept_minor > most {
        broken.push(format!("a fee of {kept_minor} instead of at most {most}: {intent:?}"));
    }
    broken
}

/// What the shop's policy lets it keep of a payment.
fn most_kept(shop: &Shop<'_>, booking: &Booking) -> i64 {
    let booked = shop.booked.iter().find(|booked| booked.id.0 == booking.reservation_id);
    match (booking.cancel_reason.as_deref(), booked.map(|booked| booked.starts)) {
        (Some("customer"), Some(Starts::WithinADay)) => booking.captured_minor / 2,
        (Some("customer"), Some(Starts::WithinTwoHours)) => booking.captured_minor,
        _ => 0,
    }
}
