//! An e-mail as it is sent: <https://resend.com/docs/api-reference/emails/send-email>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::refusal::Refusal;

/// More recipients are refused.
const MOST_RECIPIENTS: usize = 50;
/// Longer names and values of tags are refused.
const LONGEST_TAG: usize = 256;

const ADDRESS_FORMAT: &str =
    "The email address needs to follow the `email@example.com` or `Name <email@example.com>` format.";
const TAG_FORMAT: &str = "Tags should only contain ASCII letters, numbers, underscores, or dashes.";

/// An e-mail that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Email {
    /// What the sender was answered.
    pub id: Uuid,
    /// `Name <address>`, or an address alone.
    pub from: String,
    /// One or more recipients.
    pub to: Vec<String>,
    /// Never empty.
    pub subject: String,
    /// This, the text, or both are there.
    pub html: Option<String>,
    /// What readers without HTML see.
    pub text: Option<String>,
    /// Where answers go, if not to the sender.
    pub reply_to: Vec<String>,
    /// By name.
    pub tags: BTreeMap<String, String>,
    /// The header `Idempotency-Key`.
    pub idempotency_key: Option<String>,
}

impl Email {
    /// Checks a request's members and makes an e-mail of them.
    pub(crate) fn parse(
        members: &Map<String, Value>,
        idempotency_key: Option<String>,
    ) -> Result<Self, Refusal> {
        let (html, text) = (optional_text(members, "html")?, optional_text(members, "text")?);
        if html.is_none() && text.is_none() {
            return Err(Refusal::missing_field("html` or `text"));
        }
        let to = addresses(members, "to")?;
        if to.is_empty() {
            return Err(Refusal::missing_field("to"));
        }
        if to.len() > MOST_RECIPIENTS {
            return Err(Refusal::invalid_field("to", "The number of recipients should be at most 50."));
        }
        Ok(Self {
            id: Uuid::new_v4(),
            from: address("from", required_text(members, "from")?)?,
            to,
            subject: required_text(members, "subject")?,
            html,
            text,
            reply_to: addresses(members, "reply_to")?,
            tags: tags(members)?,
            idempotency_key,
        })
    }
}

fn required_text(members: &Map<String, Value>, name: &str) -> Result<String, Refusal> {
    optional_text(members, name)?.filter(|text| !text.is_empty()).ok_or_else(|| Refusal::missing_field(name))
}

fn optional_text(members: &Map<String, Value>, name: &str) -> Result<Option<String>, Refusal> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Refusal::invalid_field(name, "Expected a string.")),
    }
}

/// One address or several.
fn addresses(members: &Map<String, Value>, name: &str) -> Result<Vec<String>, Refusal> {
    let given = match members.get(name) {
        None | Some(Value::Null) => &[],
        Some(Value::Array(several)) => several.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    given.iter().map(|value| address(name, text(value))).collect()
}

fn address(field: &str, given: String) -> Result<String, Refusal> {
    if is_address(bare(&given)) { Ok(given) } else { Err(Refusal::invalid_field(field, ADDRESS_FORMAT)) }
}

/// `email@example.com` out of `Name <email@example.com>`.
fn bare(given: &str) -> &str {
    let bracketed = given.strip_suffix('>').and_then(|rest| rest.rsplit_once('<'));
    bracketed.map_or(given, |(_, address)| address)
}

fn is_address(text: &str) -> bool {
    let is_clean = !text.contains(|letter: char| letter.is_whitespace() || "<>,;\"".contains(letter));
    let has_parts = text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && domain.contains('.')
            && domain.split('.').all(|label| !label.is_empty() && !label.contains('@'))
    });
    is_clean && has_parts
}

fn tags(members: &Map<String, Value>) -> Result<BTreeMap<String, String>, Refusal> {
    let given = match members.get("tags") {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(Value::Array(tags)) => tags,
        Some(_) => return Err(Refusal::invalid_field("tags", "Expected an array.")),
    };
    let part = |tag: &Value, name: &str| {
        let text = tag.get(name).and_then(Value::as_str).filter(|text| is_tag(text));
        text.map(str::to_owned).ok_or_else(|| Refusal::invalid_field("tags", TAG_FORMAT))
    };
    given.iter().map(|tag| Ok((part(tag, "name")?, part(tag, "value")?))).collect()
}

fn is_tag(text: &str) -> bool {
    (1..=LONGEST_TAG).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_text() {
        for (text, is_one) in [
            ("jana@example.com", true),
            ("Jana Nováková <jana@example.com>", true),
            ("\"Novák, Jan\" <jan@mail.example.com>", true),
            ("jana", false),
            ("jana@localhost", false),
            ("jana@example..com", false),
            ("@example.com", false),
            ("jana@@example.com", false),
            ("jana@example.com, jan@example.com", false),
            ("Jana <jana@example.com", false),
            ("", false),
        ] {
            assert_eq!(is_address(bare(text)), is_one, "{text}");
        }
    }
}
