//! Form encoding with nested names, as Stripe takes it: `a[b]=1`, `a[]=1`, `a[0]=1`.

use serde_json::{Map, Value};

use crate::api_error::ApiError;

/// Deeper names than any of Stripe's are refused.
const DEEPEST: usize = 8;

/// Reads a query or a form into a tree whose leaves are strings.
pub(crate) fn parse(encoded: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let mut root = Value::Object(Map::new());
    for (name, value) in form_urlencoded::parse(encoded) {
        let segments = segments_of(&name).ok_or_else(|| ApiError::unknown(&name))?;
        insert(&mut root, &segments, value.into_owned()).ok_or_else(|| ApiError::unknown(&name))?;
    }
    match root {
        Value::Object(members) => Ok(members),
        _ => Ok(Map::new()),
    }
}

/// `a[b][]` → `["a", "b", ""]`.
fn segments_of(name: &str) -> Option<Vec<&str>> {
    let (first, rest) = name.split_once('[').map_or((name, None), |(first, rest)| (first, Some(rest)));
    if first.is_empty() {
        return None;
    }
    let mut segments = vec![first];
    if let Some(rest) = rest {
        segments.extend(rest.strip_suffix(']')?.split("]["));
    }
    (segments.len() <= DEEPEST && !segments.iter().any(|segment| segment.contains(['[', ']'])))
        .then_some(segments)
}

/// Puts the value at its place; nothing if the place is taken by something of another shape.
fn insert(node: &mut Value, segments: &[&str], value: String) -> Option<()> {
    let Some((first, rest)) = segments.split_first() else {
        *node = Value::String(value);
        return Some(());
    };
    if is_position(first) {
        if !node.is_array() && !is_empty(node) {
            return None;
        }
        if is_empty(node) {
            *node = Value::Array(Vec::new());
        }
        let items = node.as_array_mut()?;
        let position = first.parse::<usize>().ok().filter(|position| *position < items.len());
        let position = position.unwrap_or_else(|| {
            items.push(Value::Null);
            items.len() - 1
        });
        return insert(items.get_mut(position)?, rest, value);
    }
    if node.is_null() {
        *node = Value::Object(Map::new());
    }
    insert(node.as_object_mut()?.entry((*first).to_owned()).or_insert(Value::Null), rest, value)
}

fn is_position(segment: &str) -> bool {
    segment.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_empty(node: &Value) -> bool {
    node.is_null() || node.as_object().is_some_and(Map::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(encoded: &str) -> Option<Value> {
        parse(encoded.as_bytes()).ok().map(Value::Object)
    }

    #[test]
    fn nested_names_become_a_tree() {
        assert_eq!(
            parsed("amount=1500&metadata[a]=x+y&metadata%5Bb%5D=%C5%99&created[gte]=5"),
            Some(json!({"amount": "1500", "metadata": {"a": "x y", "b": "ř"}, "created": {"gte": "5"}}))
        );
    }

    #[test]
    fn arrays_come_with_and_without_positions() {
        assert_eq!(parsed("e[]=a&e[]=b"), Some(json!({"e": ["a", "b"]})));
        assert_eq!(parsed("e[0]=a&e[1]=b"), Some(json!({"e": ["a", "b"]})));
        assert_eq!(parsed("e[0][x]=a&e[0][y]=b"), Some(json!({"e": [{"x": "a", "y": "b"}]})));
    }

    #[test]
    fn names_that_contradict_each_other_are_refused() {
        for encoded in ["a=1&a[b]=2", "a[b]=1&a[]=2", "[a]=1", "a[b=1", "a[b]c=1", "a[b]]=1"] {
            assert_eq!(parsed(encoded), None, "{encoded}");
        }
    }
}
