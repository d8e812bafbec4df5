//! What the database says at the end.

use anyhow::{Result, bail};
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::scene::{Booking, Scene};
use super::story::money;

/// One row per reservation of the story.
pub(super) async fn table(scene: &mut Scene) -> Result<Table> {
    let mut table = Table::new();
    let header = ["reservation", "what it was", "status", "reason", "payment", "captured", "refunded"];
    table.load_style(UTF8_BORDERS_ONLY).set_header(header);
    for column in table.column_iter_mut().skip(5) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let bookings = scene.bookings.clone();
    for (chapter, booking) in &bookings {
        table.add_row(row(scene, chapter, booking).await?);
    }
    Ok(table)
}

async fn row(scene: &mut Scene, chapter: &str, booking: &Booking) -> Result<[String; 7]> {
    let query = "
        select r.status, coalesce(r.cancel_reason, '') as reason, coalesce(p.status, '') as payment,
            (select coalesce(sum(m.captured_minor), 0)::bigint from public.payments m
             where m.reservation_id = r.id) as captured,
            (select coalesce(sum(f.amount_minor), 0)::bigint
             from public.refunds f join public.payments m on m.id = f.payment_id
             where m.reservation_id = r.id and f.status = 'succeeded') as refunded
        from public.reservations r
        left join public.payments p on p.reservation_id = r.id and not p.superseded
        where r.id = $1::uuid";
    let found: PgRow = sqlx::query(query).bind(&booking.id).fetch_one(&mut scene.database).await?;
    let amount = |column| anyhow::Ok(money(found.try_get(column)?, &booking.currency));
    Ok([
        booking.id.chars().take(8).collect(),
        chapter.to_owned(),
        found.try_get("status")?,
        found.try_get("reason")?,
        found.try_get("payment")?,
        amount("captured")?,
        amount("refunded")?,
    ])
}

/// Fails with every promise of the product that does not hold.
pub(crate) async fn check_invariants(scene: &mut Scene) -> Result<()> {
    let query = "select violation, details::text from kitloop.check_consistency()";
    let violations: Vec<(String, String)> = sqlx::query_as(query).fetch_all(&mut scene.database).await?;
    if violations.is_empty() {
        println!(
            "Invariants: no stock promised twice, no money without a booking, no credit spent twice, \
             every event with one effect."
        );
        return Ok(());
    }
    bail!("these invariants are broken: {violations:#?}")
}
