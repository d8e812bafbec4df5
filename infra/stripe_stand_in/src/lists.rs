//! Lists with filters and pages: <https://docs.stripe.com/api/pagination>.

use serde_json::{Value, json};

use crate::api_error::ApiError;
use crate::params::{Kind, Params, Rule, optional};
use crate::table::{Record, Table};

pub(crate) const LIMIT: Rule = optional("limit", Kind::Integer);
pub(crate) const STARTING_AFTER: Rule = optional("starting_after", Kind::Text(5000));
pub(crate) const ENDING_BEFORE: Rule = optional("ending_before", Kind::Text(5000));
pub(crate) const CREATED: Rule = optional("created", Kind::TimeRange);
pub(crate) const EXPAND: Rule = optional("expand", Kind::TextList);

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
    let matching = table.newest_first().filter(|row| is_in_range(params, row.created()) && passes(row));
    let mut found: Vec<&T> = match (params.text("starting_after"), params.text("ending_before")) {
        (Some(id), _) => matching.skip_while(|row| row.id() != id).skip(1).take(limit + 1).collect(),
        (None, Some(id)) => matching.rev().skip_while(|row| row.id() != id).skip(1).take(limit + 1).collect(),
        (None, None) => matching.take(limit + 1).collect(),
    };
    let has_more = found.len() > limit;
    found.truncate(limit);
    if params.text("starting_after").is_none() && params.text("ending_before").is_some() {
        found.reverse();
    }
    let data: Vec<Value> = found.into_iter().map(render).collect();
    Ok(json!({ "object": "list", "url": url, "has_more": has_more, "data": data }))
}

fn is_in_range(params: &Params, created: i64) -> bool {
    let bound = |name: &str| params.member("created", name).and_then(|text| text.parse::<i64>().ok());
    params.integer("created").is_none_or(|exact| created == exact)
        && bound("gt").is_none_or(|bound| created > bound)
        && bound("gte").is_none_or(|bound| created >= bound)
        && bound("lt").is_none_or(|bound| created < bound)
        && bound("lte").is_none_or(|bound| created <= bound)
}
