//! Lists with filters and pages: <https://docs.stripe.com/api/pagination>.

use std::ops::Range;

use serde_json::{Value, json};

use crate::api_error::ApiError;
use crate::params::{Kind, Params, Rule, optional};
use crate::table::{Record, Table};

pub(crate) const EXPAND: Rule = optional("expand", Kind::TextList);

/// What every list takes.
const COMMON: [Rule; 5] = [
    optional("limit", Kind::Integer),
    optional("starting_after", Kind::Text(5000)),
    optional("ending_before", Kind::Text(5000)),
    optional("created", Kind::TimeRange),
    EXPAND,
];

/// Fails unless the parameters are those of every list and `own`.
pub(crate) fn check(params: &Params, own: &[Rule]) -> Result<(), ApiError> {
    params.check(&[&COMMON, own].concat())
}

/// One page of the rows that pass the filter, newest first.
pub(crate) fn page<T: Record>(
    table: &Table<T>,
    params: &Params,
    url: &str,
    passes: impl Fn(&T) -> bool,
    render: impl Fn(&T) -> Value,
) -> Result<Value, ApiError> {
    let limit = usize::try_from(params.integer("limit").unwrap_or(10)).unwrap_or_default();
    if !(1..=100).contains(&limit) {
        return Err(ApiError::invalid(
            "parameter_invalid_integer",
            "limit",
            "Limit must be between 1 and 100.",
        ));
    }
    for cursor in ["starting_after", "ending_before"] {
        if let Some(id) = params.text(cursor).filter(|id| table.get(id).is_none()) {
            return Err(ApiError::no_such("object", id, cursor));
        }
    }
    let rows = table.between(window(table, params)).iter();
    let mut found: Vec<&T> = if is_backwards(params) {
        rows.filter(|row| passes(row)).take(limit + 1).collect()
    } else {
        rows.rev().filter(|row| passes(row)).take(limit + 1).collect()
    };
    let has_more = found.len() > limit;
    found.truncate(limit);
    if is_backwards(params) {
        found.reverse();
    }
    let data: Vec<Value> = found.into_iter().map(render).collect();
    Ok(json!({ "object": "list", "url": url, "has_more": has_more, "data": data }))
}

/// Whether the page is the one in front of a row, not the one behind it.
fn is_backwards(params: &Params) -> bool {
    params.text("starting_after").is_none() && params.text("ending_before").is_some()
}

/// The positions of the rows that the time range and the cursors leave, so that nothing else is looked at.
fn window<T: Record>(table: &Table<T>, params: &Params) -> Range<usize> {
    let bound = |name: &str| params.member("created", name).and_then(|text| text.parse::<i64>().ok());
    let next = |time: i64| time.saturating_add(1);
    let exact = params.integer("created");
    let earliest = [bound("gt").map(next), bound("gte"), exact].into_iter().flatten().max();
    let latest = [bound("lt"), bound("lte").map(next), exact.map(next)].into_iter().flatten().min();
    let position = |cursor: &str| table.position(params.text(cursor)?);
    let in_front = position("ending_before").filter(|_| is_backwards(params));
    let starts = [earliest.map(|time| table.count_before(time)), in_front.map(|position| position + 1)];
    let ends = [latest.map(|time| table.count_before(time)), position("starting_after")];
    let end = ends.into_iter().flatten().min().unwrap_or(table.len());
    // A range that ends before it starts is empty.
    starts.into_iter().flatten().max().unwrap_or(0).min(end)..end
}
