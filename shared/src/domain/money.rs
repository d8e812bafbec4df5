//! Money: whole minor units of a currency, never a fraction.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text_enum;

/// An amount of a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    /// In minor units, as Stripe counts them: 249,000 is CZK 2,490.00 and JPY 249,000.
    pub amount_minor: i64,
    /// Of which currency.
    pub currency: Currency,
}

/// An ISO 4217 code: three upper-case letters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Currency([u8; 3]);

impl Currency {
    /// The currency of that code, in upper or lower case; `None` if it is no code.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        let letters: [u8; 3] = code.as_bytes().try_into().ok()?;
        letters
            .iter()
            .all(u8::is_ascii_alphabetic)
            .then(|| Self(letters.map(|letter| letter.to_ascii_uppercase())))
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(from)?).ok_or_else(|| D::Error::custom("not an ISO 4217 code"))
    }
}

text_enum! {
    /// When the money of a payment is taken.
    CaptureMethod {
        /// At once.
        Automatic = "automatic",
        /// First authorised, then captured when the provider confirms.
        Manual = "manual",
    }
}

#[cfg(test)]
mod tests {
    use super::Currency;

    #[test]
    fn a_currency_is_three_letters_in_upper_case() {
        assert_eq!(Currency::parse("czk").unwrap().to_string(), "CZK");
        for code in ["", "CZ", "CZKK", "C1K", "Kč"] {
            assert_eq!(Currency::parse(code), None, "{code}");
        }
    }
}
