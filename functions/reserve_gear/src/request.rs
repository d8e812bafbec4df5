//! What a booking looks like in JSON.

use jiff::Timestamp;
use kitloop::domain::{Booking, BookingLine, Contact, GearId, Period, PeriodError, ProviderId};
use kitloop::http::Fields;

const QUANTITIES: std::ops::RangeInclusive<i32> = 1..=10_000;
const LINES: std::ops::RangeInclusive<usize> = 1..=50;
const LONGEST_NOTES: usize = 1000;
const LONGEST_CONTACT: usize = 320;
/// What Stripe takes at most, in minor units: <https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts>.
const PRICES: std::ops::RangeInclusive<i64> = 0..=99_999_999;

/// Reads a booking, noting every field that is wrong.
pub(crate) fn read_booking(fields: &mut Fields, now: Timestamp) -> Option<Booking> {
    let provider_id = fields.uuid("provider_id");
    let lines = read_lines(fields);
    let start = fields.timestamp("start_date");
    let end = fields.timestamp("end_date");
    let period = read_period(fields, start, end);
    let walk_in = fields.optional_object("customer", read_contact);
    let notes = fields.optional_text("notes", LONGEST_NOTES);
    let amount_total_minor = fields.optional_integer("amount_total_minor", PRICES);
    // Whether a period starts too early is for the database to say, after it has looked for the answer to an earlier
    // request with the same key. A request that will not get there is told all that is wrong with it.
    if fields.is_invalid() && start.is_some_and(|start| start < now) {
        fields.reject("start_date", "must not be in the past");
    }
    Some(Booking {
        provider_id: ProviderId(provider_id?),
        lines: lines?,
        period: period?,
        walk_in,
        notes,
        amount_total_minor,
    })
}

/// Either `lines`, or one item as `gear_id` and `quantity`.
fn read_lines(fields: &mut Fields) -> Option<Vec<BookingLine>> {
    if !fields.has("lines") {
        return read_line(fields).map(|line| vec![line]);
    }
    if fields.has("gear_id") || fields.has("quantity") {
        fields.reject("lines", "cannot be combined with gear_id and quantity");
    }
    fields.optional_array("lines", LINES, read_line)
}

fn read_line(fields: &mut Fields) -> Option<BookingLine> {
    let gear_id = fields.uuid("gear_id");
    let quantity = if fields.has("quantity") { fields.integer("quantity", QUANTITIES) } else { Some(1) };
    Some(BookingLine { gear_id: GearId(gear_id?), quantity: quantity? })
}

fn read_period(fields: &mut Fields, start: Option<Timestamp>, end: Option<Timestamp>) -> Option<Period> {
    Period::new(start?, end?).map_err(|error: PeriodError| fields.reject("end_date", error.to_string())).ok()
}

fn read_contact(fields: &mut Fields) -> Option<Contact> {
    let name = fields.text("name", LONGEST_CONTACT);
    let email = fields.optional_text("email", LONGEST_CONTACT);
    let phone = fields.optional_text("phone", LONGEST_CONTACT);
    Some(Contact { name: Some(name?), email, phone })
}
