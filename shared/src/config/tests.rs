use std::collections::HashMap;

use secrecy::ExposeSecret;

use super::*;

fn config(needs: Needs, settings: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let settings: HashMap<&str, &str> = settings.iter().copied().collect();
    Config::from_lookup(needs, &|name| settings.get(name).map(|value| (*value).to_owned()))
}

const DATABASE: (&str, &str) = ("DATABASE_URL", "postgres://kitloop_app:x@127.0.0.1/kitloop");

#[test]
fn every_missing_setting_is_named_at_once() {
    let errors = config(Needs::ALL, &[]).unwrap_err();
    let named: Vec<&str> = errors.0.iter().map(|problem| problem.setting.as_ref()).collect();
    assert_eq!(
        named,
        [
            "DATABASE_URL",
            "SUPABASE_JWT_SECRET",
            "JWT_ISSUER",
            "STRIPE_SECRET_KEY",
            "STRIPE_WEBHOOK_SECRET",
            "CRON_SECRET",
            "ADMIN_TOKEN"
        ]
    );
    assert_eq!(errors.to_string().lines().count(), 7);
}

#[test]
fn every_malformed_setting_is_named_at_once_without_its_value() {
    let errors = config(
        Needs::DATABASE,
        &[
            ("DATABASE_URL", "mysql://hunter2"),
            ("FUNCTION_TIMEOUT_SECONDS", "soon"),
            ("SUPABASE_JWKS_URL", "ftp://hunter2"),
            ("STRIPE_API_BASE", "hunter2"),
            ("STRIPE_WEBHOOK_SECRET", "a,b,hunter2"),
            ("CRON_SECRET", "hunter2"),
            ("ADMIN_TOKEN", "hunter2"),
            ("SUPABASE_JWT_SECRET", "hunter2"),
            ("RATE_LIMIT_PER_CALLER", "-1"),
            ("CORS_ALLOW_ORIGINS", "*"),
            ("ALLOW_NULL_ORIGIN", "maybe"),
        ],
    )
    .unwrap_err();
    assert_eq!(errors.0.len(), 11, "{errors}");
    assert!(!errors.to_string().contains("hunter2"));
}

#[test]
fn a_function_asks_only_for_what_it_needs() {
    let config = config(Needs::DATABASE, &[DATABASE]).unwrap();
    assert_eq!(config.environment, "local");
    assert_eq!(config.function_timeout, Duration::from_secs(15));
    assert!(config.configured().iter().all(|(_, configured)| !configured));
}

#[test]
fn an_empty_setting_counts_as_absent() {
    let config = config(Needs::DATABASE, &[DATABASE, ("CRON_SECRET", " "), ("GUARD_TABLE", "")]).unwrap();
    assert!(config.cron_secrets.current().is_empty());
    assert!(config.guard.table.is_none());
}

#[test]
fn a_limit_of_zero_means_the_default() {
    let config =
        config(Needs::DATABASE, &[DATABASE, ("RATE_LIMIT_PER_CALLER", "0"), ("RATE_LIMIT_PER_ADDRESS", "7")])
            .unwrap();
    assert_eq!(config.guard.rate_limit_per_caller, None);
    assert_eq!(config.guard.rate_limit_per_address, Some(7));
}

#[test]
fn a_guard_table_needs_the_settings_of_aws() {
    let errors = config(Needs::DATABASE, &[DATABASE, ("GUARD_TABLE", "guard")]).unwrap_err();
    let named: Vec<&str> = errors.0.iter().map(|problem| problem.setting.as_ref()).collect();
    assert_eq!(named, ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]);
}

#[test]
fn rotating_secrets_keep_their_order_and_stay_out_of_debug_output() {
    let (newer, older) = ("newer".repeat(7), "older".repeat(7));
    let secrets = format!("{newer},{older}");
    let config = config(
        Needs::CALLER,
        &[DATABASE, ("SUPABASE_JWT_SECRET", &secrets), ("JWT_ISSUER", "http://127.0.0.1/auth/v1")],
    )
    .unwrap();
    let tokens = config.tokens.as_ref().unwrap();
    assert_eq!(tokens.secrets.current().first().unwrap().expose_secret(), newer);
    assert_eq!(tokens.audience, "authenticated");
    let debug = format!("{config:?}");
    assert!(
        !debug.contains("newer") && !debug.contains("older") && !debug.contains("kitloop_app"),
        "{debug}"
    );
}

#[test]
fn email_is_off_without_a_key_and_needs_a_sender_with_one() {
    let worker = |settings: &[(&str, &str)]| {
        let always = [DATABASE, ("STRIPE_SECRET_KEY", "sk_test_x")];
        config(Needs::WORKER, &[&always, settings].concat())
    };
    assert!(worker(&[]).unwrap().email.is_none());
    assert!(worker(&[("RESEND_API_KEY", ""), ("EMAIL_FROM", "")]).unwrap().email.is_none());
    let errors = worker(&[("RESEND_API_KEY", "re_hunter2")]).unwrap_err();
    assert_eq!(errors.to_string(), "EMAIL_FROM is missing");
    for sender in ["hunter2", "Shop <hunter2@example.com>\nBcc: x"] {
        let errors = worker(&[("RESEND_API_KEY", "re_hunter2"), ("EMAIL_FROM", sender)]).unwrap_err();
        assert_eq!(errors.to_string(), "EMAIL_FROM must be an address, with or without a name");
    }
    let config = worker(&[("RESEND_API_KEY", "re_hunter2"), ("EMAIL_FROM", "a@example.com")]).unwrap();
    assert_eq!(config.email.as_ref().unwrap().api_base, "https://api.resend.com");
    assert!(!format!("{config:?}").contains("hunter2"));
    let base = ("RESEND_API_BASE", "http://127.0.0.1:9/");
    let config = worker(&[("RESEND_API_KEY", "re_hunter2"), ("EMAIL_FROM", "a@example.com"), base]).unwrap();
    assert_eq!(config.email.unwrap().api_base, "http://127.0.0.1:9");
}

#[test]
fn who_sends_no_email_does_not_read_its_settings() {
    let settings = [DATABASE, ("RESEND_API_KEY", "re_x"), ("EMAIL_FROM", "nobody"), ("RESEND_API_BASE", "x")];
    assert!(config(Needs::DATABASE, &settings).unwrap().email.is_none());
}

#[test]
fn passing_alarms_on_needs_no_database_and_nobody_else_reads_to_whom() {
    let address = ("MONITOR_ALERT_WEBHOOK_URL", "https://chat.example/hooks/hunter2");
    let alarms = config(Needs::ALERTS, &[address]).unwrap();
    assert!(alarms.database.is_none());
    assert!(!format!("{alarms:?}").contains("hunter2"));
    assert!(alarms.alerts.is_some());
    assert!(config(Needs::ALERTS, &[]).unwrap().alerts.is_none());
    assert!(config(Needs::DATABASE, &[DATABASE, address]).unwrap().alerts.is_none());
}
