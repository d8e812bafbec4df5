//! The webhook's signature: <https://docs.stripe.com/webhooks#verify-manually>.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// How far the signature's time may be from ours, either way, in seconds: Stripe's own default.
const TOLERANCE_SECONDS: i64 = 300;

/// A body whose signature holds. Only [`verify`] can make one, so that nothing else is ever parsed as an event.
#[derive(Debug)]
pub struct VerifiedPayload<'a> {
    bytes: &'a [u8],
}

impl<'a> VerifiedPayload<'a> {
    /// The raw body.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// Why a body is not believed to be Stripe's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no `Stripe-Signature` header.
    #[error("the Stripe-Signature header is missing")]
    Missing,
    /// The header is not `t=<seconds>,v1=<64 hexadecimal digits>…`.
    #[error("the Stripe-Signature header is malformed")]
    Malformed,
    /// No signature was made with one of our secrets.
    #[error("no signature matches")]
    Mismatch,
    /// Signed too long ago: perhaps a recorded request.
    #[error("the signature is too old")]
    TooOld,
    /// Signed too far in the future: one of the clocks is wrong.
    #[error("the signature is from the future")]
    FromFuture,
}

impl SignatureError {
    /// Whether the signature may have been made with a secret that is not known here yet.
    #[must_use]
    pub const fn is_mismatch(&self) -> bool {
        matches!(self, Self::Mismatch)
    }
}

/// Checks every `v1` signature of the header against every live secret, in constant time, and then its age.
///
/// # Errors
/// Says why the payload is refused; a header with any malformed part is refused whole.
pub fn verify<'a>(
    payload: &'a [u8],
    header: Option<&str>,
    secrets: &[SecretString],
    now: Timestamp,
) -> Result<VerifiedPayload<'a>, SignatureError> {
    let header = SignatureHeader::parse(header.ok_or(SignatureError::Missing)?)?;
    let matches = secrets.iter().filter(|secret| !secret.expose_secret().is_empty()).any(|secret| {
        let mac = mac_of(header.timestamp_text, payload, secret);
        mac.is_some_and(|mac| header.signatures.iter().any(|given| mac.clone().verify_slice(given).is_ok()))
    });
    if !matches {
        return Err(SignatureError::Mismatch);
    }
    let age = now.as_second().saturating_sub(header.timestamp);
    if age > TOLERANCE_SECONDS {
        return Err(SignatureError::TooOld);
    }
    if age < -TOLERANCE_SECONDS {
        return Err(SignatureError::FromFuture);
    }
    Ok(VerifiedPayload { bytes: payload })
}

fn mac_of(timestamp: &str, payload: &[u8], secret: &SecretString) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).ok()?;
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(payload);
    Some(mac)
}

struct SignatureHeader<'a> {
    /// As it was sent, since these bytes are what was signed.
    timestamp_text: &'a str,
    timestamp: i64,
    signatures: Vec<[u8; 32]>,
}

impl<'a> SignatureHeader<'a> {
    /// Schemes other than `v1` are ignored, as Stripe asks, lest somebody downgrade the check.
    fn parse(header: &'a str) -> Result<Self, SignatureError> {
        let mut timestamp_text = None;
        let mut signatures = Vec::new();
        for item in header.split(',') {
            let (scheme, value) = item.trim().split_once('=').ok_or(SignatureError::Malformed)?;
            match scheme {
                "t" if timestamp_text.is_some() => return Err(SignatureError::Malformed),
                "t" => timestamp_text = Some(value),
                "v1" => {
                    let mut signature = [0; 32];
                    hex::decode_to_slice(value, &mut signature).map_err(|_| SignatureError::Malformed)?;
                    signatures.push(signature);
                }
                _ => {}
            }
        }
        let timestamp_text = timestamp_text.ok_or(SignatureError::Malformed)?;
        let digits_only = timestamp_text.bytes().all(|byte| byte.is_ascii_digit());
        let timestamp =
            timestamp_text.parse().ok().filter(|_| digits_only).ok_or(SignatureError::Malformed)?;
        if signatures.is_empty() {
            return Err(SignatureError::Malformed);
        }
        Ok(Self { timestamp_text, timestamp, signatures })
    }
}

/// A payload for the tests of what comes after verification.
#[cfg(test)]
pub(super) fn verified_for_tests(bytes: &[u8]) -> VerifiedPayload<'_> {
    VerifiedPayload { bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYLOAD: &[u8] = br#"{"id":"evt_1"}"#;
    const SECOND: i64 = 1_700_000_000;

    fn sign(timestamp: &str, secret: &str) -> String {
        let mac = mac_of(timestamp, PAYLOAD, &SecretString::from(secret)).unwrap();
        hex::encode(mac.finalize().into_bytes())
    }

    fn check(header: Option<&str>, secrets: &[&str]) -> Result<(), SignatureError> {
        let secrets: Vec<_> = secrets.iter().map(|&secret| SecretString::from(secret)).collect();
        verify(PAYLOAD, header, &secrets, Timestamp::from_second(SECOND).unwrap()).map(|_| ())
    }

    fn signed_at(second: i64, secret: &str) -> String {
        format!("t={second},v1={}", sign(&second.to_string(), secret))
    }

    #[test]
    fn either_live_secret_verifies() {
        let header = signed_at(SECOND, "whsec_old");
        assert_eq!(check(Some(&header), &["whsec_new", "whsec_old"]), Ok(()));
        assert_eq!(check(Some(&header), &["whsec_new"]), Err(SignatureError::Mismatch));
    }

    #[test]
    fn any_of_several_signatures_verifies() {
        let good = sign("1700000000", "whsec");
        let header = format!("t=1700000000,v1={},v0=ignored,v1={good}", "0".repeat(64));
        assert_eq!(check(Some(&header), &["whsec"]), Ok(()));
    }

    #[test]
    fn the_tolerance_holds_both_ways() {
        for (second, expected) in [
            (SECOND - 300, Ok(())),
            (SECOND - 301, Err(SignatureError::TooOld)),
            (SECOND + 300, Ok(())),
            (SECOND + 301, Err(SignatureError::FromFuture)),
        ] {
            assert_eq!(check(Some(&signed_at(second, "whsec")), &["whsec"]), expected, "{second}");
        }
    }

    #[test]
    fn malformed_headers_are_refused() {
        let good = sign("1700000000", "whsec");
        for header in [
            String::new(),
            "nonsense".to_owned(),
            "t=1700000000".to_owned(),
            format!("v1={good}"),
            format!("t=,v1={good}"),
            format!("t=+1700000000,v1={good}"),
            format!("t=1700000000,t=1700000000,v1={good}"),
            format!("t=99999999999999999999,v1={good}"),
            "t=1700000000,v1=zz".to_owned(),
            format!("t=1700000000,v1={good}00"),
            format!("t=1700000000,v1={good},"),
        ] {
            assert_eq!(check(Some(&header), &["whsec"]), Err(SignatureError::Malformed), "{header}");
        }
        assert_eq!(check(None, &["whsec"]), Err(SignatureError::Missing));
    }

    #[test]
    fn an_empty_secret_never_verifies() {
        assert_eq!(check(Some(&signed_at(SECOND, "")), &[""]), Err(SignatureError::Mismatch));
        assert_eq!(check(Some(&signed_at(SECOND, "whsec")), &[]), Err(SignatureError::Mismatch));
    }
}
