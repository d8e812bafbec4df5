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
    /// The euro.
    pub const EUR: Self = Self(*b"EUR");

    /// The currency of that code, in upper or lower case; `None` if it is no code.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        let letters: [u8; 3] = code.as_bytes().try_into().ok()?;
        letters
            .iter()
            .all(u8::is_ascii_alphabetic)
            .then(|| Self(letters.map(|letter| letter.to_ascii_uppercase())))
    }

    /// How many decimals of the currency the minor unit counts: <https://docs.stripe.com/currencies#zero-decimal>.
    #[must_use]
    pub fn exponent(&self) -> u32 {
        match self.as_str() {
            "BIF" | "CLP" | "DJF" | "GNF" | "JPY" | "KMF" | "KRW" | "MGA" | "PYG" | "RWF" | "VND" | "VUV"
            | "XAF" | "XOF" | "XPF" => 0,
            "BHD" | "JOD" | "KWD" | "OMR" | "TND" => 3,
            _ => 2,
        }
    }

    /// Whether people know no decimals of it, although Stripe counts hundredths (which must be whole).
    fn is_without_decimals_for_people(&self) -> bool {
        matches!(self.as_str(), "ISK" | "UGX")
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

/// For people: the code, then the amount with all its decimals, such as `CZK 2,490.00`, `JPY 249,000`, `KWD -1.250`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exponent = self.currency.exponent();
        let unit = 10_u64.pow(exponent);
        let amount = self.amount_minor.unsigned_abs();
        let (whole, rest) = (amount / unit, amount % unit);
        let sign = if self.amount_minor < 0 { "-" } else { "" };
        write!(f, "{} {sign}{}", self.currency, grouped(whole))?;
        let is_round = exponent == 0 || (rest == 0 && self.currency.is_without_decimals_for_people());
        if is_round {
            return Ok(());
        }
        write!(f, ".{rest:0width$}", width = exponent as usize)
    }
}

/// With a comma before every third digit from the right.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
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
    use super::{Currency, Money};

    fn shown(amount_minor: i64, code: &str) -> String {
        Money { amount_minor, currency: Currency::parse(code).unwrap() }.to_string()
    }

    #[test]
    fn an_amount_is_shown_with_the_decimals_of_its_currency() {
        assert_eq!(shown(249_000, "CZK"), "CZK 2,490.00");
        assert_eq!(shown(249_000, "JPY"), "JPY 249,000");
        assert_eq!(shown(1_250, "KWD"), "KWD 1.250");
        assert_eq!(shown(123_456_789, "EUR"), "EUR 1,234,567.89");
    }

    #[test]
    fn small_and_negative_amounts_keep_their_zeros_and_their_sign() {
        assert_eq!(shown(0, "CZK"), "CZK 0.00");
        assert_eq!(shown(5, "CZK"), "CZK 0.05");
        assert_eq!(shown(-5, "CZK"), "CZK -0.05");
        assert_eq!(shown(-100_000, "CZK"), "CZK -1,000.00");
        assert_eq!(shown(-7, "KWD"), "KWD -0.007");
        assert_eq!(shown(0, "JPY"), "JPY 0");
        assert_eq!(shown(i64::MIN, "JPY"), "JPY -9,223,372,036,854,775,808");
    }

    #[test]
    fn hundredths_that_nobody_knows_are_not_shown() {
        assert_eq!(shown(500, "ISK"), "ISK 5");
        assert_eq!(shown(1_000_000, "UGX"), "UGX 10,000");
        assert_eq!(shown(550, "ISK"), "ISK 5.50", "what should not be there is not hidden either");
    }

    #[test]
    fn a_currency_is_three_letters_in_upper_case() {
        assert_eq!(Currency::parse("czk").unwrap().to_string(), "CZK");
        for code in ["", "CZ", "CZKK", "C1K", "Kč"] {
            assert_eq!(Currency::parse(code), None, "{code}");
        }
    }
}
