//! Secrets that rotate: the current one and, for a while, the one before.

use secrecy::SecretString;
use serde::Deserialize;

#[derive(Deserialize)]
struct Stored {
    current: String,
    previous: Option<String>,
}

/// The live secrets, the current one first, from `new,old` (environment) or `{"current", "previous"}` (SSM), each of
/// `shortest` bytes at least.
pub(super) fn parse(text: &str, shortest: usize) -> Result<Vec<SecretString>, String> {
    let values = if text.starts_with('{') {
        let stored: Stored =
            serde_json::from_str(text).map_err(|_| "must be {\"current\": …, \"previous\": …}".to_owned())?;
        [Some(stored.current), stored.previous].into_iter().flatten().collect()
    } else {
        text.split(',').map(str::to_owned).collect::<Vec<_>>()
    };
    let secrets: Vec<&str> =
        values.iter().map(|value| value.trim()).filter(|value| !value.is_empty()).collect();
    if secrets.iter().any(|secret| secret.len() < shortest) {
        return Err(format!("holds a secret of less than {shortest} bytes, which can be guessed"));
    }
    match secrets.len() {
        0 => Err("holds no secret".to_owned()),
        1 | 2 => Ok(secrets.into_iter().map(SecretString::from).collect()),
        _ => Err("may hold the current secret and the previous one, no more".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn parsed(text: &str) -> Vec<String> {
        parse(text, 3).unwrap().iter().map(|secret| secret.expose_secret().to_owned()).collect()
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
            assert!(!parse(text, 1).unwrap_err().contains(text) || text == "{" || text == ",");
        }
    }
    #[test]
    fn a_short_secret_is_refused_in_either_place() {
        for text in ["short", "long enough,short", r#"{"current": "long enough", "previous": "short"}"#] {
            assert!(parse(text, 6).unwrap_err().contains("less than 6 bytes"), "{text}");
        }
        assert_eq!(parse("long enough", 11).unwrap().len(), 1);
    }
}
