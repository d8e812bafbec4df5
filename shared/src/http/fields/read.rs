//! JSON values as typed ones, or the reason why not.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

/// Why a value is wrong, as the client reads it after the field's name.
pub(super) type Invalid = String;

pub(super) fn uuid(value: &Value) -> Result<Uuid, Invalid> {
    const REASON: &str = "must be a UUID";
    let text = value.as_str().ok_or(REASON)?;
    // The hyphenated form only: one spelling for one id.
    if text.len() != 36 {
        return Err(REASON.to_owned());
    }
    Uuid::try_parse(text).map_err(|_| REASON.to_owned())
}

/// RFC 3339 §5.6, which jiff's parser is wider than: it also takes basic forms and time zone annotations.
pub(super) fn timestamp(value: &Value) -> Result<Timestamp, Invalid> {
    const REASON: &str = "must be a date and time with an offset, such as 2026-01-31T09:00:00+01:00";
    let text = value.as_str().ok_or(REASON)?;
    if !has_the_shape_of_rfc_3339(text.as_bytes()) {
        return Err(REASON.to_owned());
    }
    text.parse().map_err(|_| REASON.to_owned())
}

fn has_the_shape_of_rfc_3339(text: &[u8]) -> bool {
    let Some((date_and_time, rest)) = text.split_at_checked(19) else { return false };
    let shaped = date_and_time.iter().zip(b"0000-00-00T00:00:00").all(|(byte, shape)| match shape {
        b'0' => byte.is_ascii_digit(),
        b'T' => matches!(byte, b'T' | b't' | b' '),
        other => byte == other,
    });
    let offset = match rest {
        [b'.', fraction @ ..] => after_digits(fraction),
        rest => rest,
    };
    let has_offset = match offset {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => [h1, h2, m1, m2].iter().all(|byte| byte.is_ascii_digit()),
        _ => false,
    };
    shaped && has_offset
}

/// What follows the leading digits.
fn after_digits(text: &[u8]) -> &[u8] {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    text.get(digits..).unwrap_or_default()
}

pub(super) fn text(value: &Value, shortest: usize, longest: usize) -> Result<String, Invalid> {
    let text = value.as_str().ok_or("must be a text")?;
    let length = text.chars().count();
    if length < shortest {
        return Err("must not be empty".to_owned());
    }
    if length > longest {
        return Err(format!("must be at most {longest} characters long"));
    }
    // PostgreSQL cannot store it in a text.
    if text.contains('\0') {
        return Err("must not contain the character U+0000".to_owned());
    }
    Ok(text.to_owned())
}

pub(super) fn integer<T: TryFrom<i64> + Into<i64> + Copy>(
    value: &Value,
    range: &RangeInclusive<T>,
) -> Result<T, Invalid> {
    let (least, most): (i64, i64) = ((*range.start()).into(), (*range.end()).into());
    value
        .as_i64()
        .filter(|number| (least..=most).contains(number))
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| format!("must be a whole number from {least} to {most}"))
}

pub(super) fn integer_text<T: TryFrom<i64> + Into<i64> + Copy>(
    value: &Value,
    range: &RangeInclusive<T>,
) -> Result<T, Invalid> {
    let number: Option<i64> = value.as_str().and_then(|text| text.parse().ok());
    integer(&Value::from(number), range)
}

pub(super) fn boolean(value: &Value) -> Result<bool, Invalid> {
    value.as_bool().ok_or_else(|| "must be true or false".to_owned())
}

pub(super) fn choice(value: &Value, choices: &[&'static str]) -> Result<&'static str, Invalid> {
    choices
        .iter()
        .find(|choice| value.as_str() == Some(**choice))
        .copied()
        .ok_or_else(|| format!("must be one of: {}", choices.join(", ")))
}

pub(super) fn array(value: &Value, length: &RangeInclusive<usize>) -> Result<Vec<Value>, Invalid> {
    match value {
        Value::Array(items) if length.contains(&items.len()) => Ok(items.clone()),
        _ => Err(format!("must be an array of {} to {} items", length.start(), length.end())),
    }
}
