//! Stripe's rules about amounts and currencies: <https://docs.stripe.com/currencies>.

use crate::api_error::ApiError;

/// The largest amount that Stripe takes for most currencies: eight digits.
const LARGEST: i64 = 99_999_999;

/// Every currency that Stripe takes.
const CURRENCIES: &str = "usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp \
    byn bzd cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd \
    hnl hrk htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd \
    mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf \
    sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top try ttd twd tzs uah ugx uyu uzs vnd vuv wst xaf xcd \
    xof xpf yer zar zmw";

/// The least that can be charged, in the currency's minor units:
/// <https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts>.
fn smallest(currency: &str) -> i64 {
    match currency {
        "gbp" => 30,
        "dkk" => 250,
        "aed" | "pln" | "myr" | "ron" => 200,
        "bgn" => 100,
        "czk" => 1500,
        "hkd" => 400,
        "huf" => 17_500,
        "mxn" | "thb" => 1000,
        "nok" | "sek" => 300,
        "usd" | "aud" | "brl" | "cad" | "chf" | "eur" | "inr" | "jpy" | "nzd" | "sgd" => 50,
        _ => 1,
    }
}

/// The currency as Stripe stores it, lower case.
pub(crate) fn currency(given: &str) -> Result<String, ApiError> {
    let currency = given.to_ascii_lowercase();
    if CURRENCIES.split_ascii_whitespace().any(|known| known == currency) {
        return Ok(currency);
    }
    let message =
        format!("Invalid currency: {currency}. Stripe currently supports these currencies: {CURRENCIES}");
    Err(ApiError::invalid("parameter_invalid", "currency", message))
}

/// An amount to be charged, which the parameter says.
pub(crate) fn chargeable(amount: i64, currency: &str, param: &str) -> Result<(), ApiError> {
    positive(amount, param)?;
    if amount > LARGEST {
        let message = format!("Amount must be no more than {LARGEST} {currency}");
        return Err(ApiError::invalid("amount_too_large", param, message));
    }
    if amount < smallest(currency) {
        let message = format!("Amount must be at least {} {currency}", smallest(currency));
        return Err(ApiError::invalid("amount_too_small", param, message));
    }
    let step = match currency {
        // No minor unit of their own, yet counted in hundredths.
        "isk" | "ugx" => 100,
        // Three decimals, of which the last is always 0.
        "bhd" | "jod" | "kwd" | "omr" | "tnd" => 10,
        _ => 1,
    };
    if amount % step != 0 {
        let message = format!("Amount must be divisible by {step} for {currency}");
        return Err(ApiError::invalid("parameter_invalid_integer", param, message));
    }
    Ok(())
}

/// An amount of at least 1.
pub(crate) fn positive(amount: i64, param: &str) -> Result<(), ApiError> {
    if amount >= 1 {
        return Ok(());
    }
    Err(ApiError::invalid(
        "parameter_invalid_integer",
        param,
        "This value must be greater than or equal to 1.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn currencies_have_their_own_limits_and_steps() {
        for (amount, currency, fits) in [
            (1500, "czk", true),
            (1499, "czk", false),
            (0, "czk", false),
            (-1, "eur", false),
            (99_999_999, "eur", true),
            (100_000_000, "eur", false),
            (500, "isk", true),
            (550, "isk", false),
            (1230, "kwd", true),
            (1234, "kwd", false),
        ] {
            assert_eq!(chargeable(amount, currency, "amount").is_ok(), fits, "{amount} {currency}");
        }
        assert!(currency("CZK").is_ok() && currency("xxx").is_err() && currency("").is_err());
    }
}
