//! Secrets that rotate: the current one and, for a while, the one before.

use secrecy::SecretString;
use serde::Deserialize;

#[derive(Deserialize)]
struct Stored {
    current: String,
    previous: Option<String>,
}

/// The live secrets, the current one first, from `new,old` (environment) or `{"current", "previous"}` (SSM).
pub(super) fn parse(text: &str) -> Result<Vec<SecretString>, &'static str> {
    let values = if text.starts_with('{') {
        let stored: Stored =
            serde_json::from_str(text).map_err(|_| "must be {\"current\": …, \"previous\": …}")?;
        [Some(stored.current), stored.previous].into_iter().flatten().collect()
    } else {
        text.split(',').map(str::to_owned).collect::<Vec<_>>()
    };
    let secrets: Vec<SecretString> = values
        .iter()
        .map(|value| value.trim())
        .filter(|value| !value.is_empty())
        .map(SecretString::from)
        .collect();
    match secrets.len() {
        0 => Err("holds no secret"),
        1 | 2 => Ok(secrets),
        _ => Err("may hold the current secret and the previous one, no more"),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn parsed(text: &str) -> Vec<String> {
        parse(text).unwrap().iter().map(|secret| secret.expose_secret().to_owned()).collect()
    }

    #[test]
    fn the_current_secret_comes_first() {
        assert_eq!(parsed("new"), ["new"]);
        assert_eq!(parsed("new, old"), ["new", "old"]);
        assert_eq!(parsed(r#"{"current": "new", "previous": "old"}"#), ["new", "old"]);
        assert_eq!(parsed(r#"{"current": "new", "previous": null}"#), ["new"]);
        assert_eq!(parsed(r#"{"current": "new", "previous": ""}"#), ["new"]);
    }

    #[test]
    fn anything_else_is_refused_without_repeating_it() {
        for text in [",", "a,b,c", r#"{"now": "x"}"#, "{"] {
            assert!(!parse(text).unwrap_err().contains(text) || text == "{" || text == ",");
        }
    }
}
