//! Settings that refer to the Parameter Store, against a real one, at the AWS endpoint in
//! `KITLOOP_TEST_DYNAMODB_URL`.

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use kitloop::config::{Config, Needs};
    use kitloop::network::Network;
    use secrecy::{ExposeSecret as _, SecretString};
    use serde_json::json;
    use uuid::Uuid;

    fn endpoint() -> String {
        std::env::var("KITLOOP_TEST_DYNAMODB_URL")
            .unwrap_or_else(|_| panic!("KITLOOP_TEST_DYNAMODB_URL is not set: run `cargo xtask test`"))
    }

    async fn put_parameter(name: &str, value: &str) {
        let credential = "Credential=test/20260101/eu-central-1/ssm/aws4_request";
        let response = Network::default()
            .client()
            .unwrap()
            .post(endpoint())
            .header("x-amz-target", "AmazonSSM.PutParameter")
            .header("content-type", "application/x-amz-json-1.1")
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=x"),
            )
            .body(
                json!({"Name": name, "Value": value, "Type": "SecureString", "Overwrite": true}).to_string(),
            )
            .send()
            .await
            .unwrap();
        assert!(response.status().is_success(), "{}", response.status());
    }

    fn variables(settings: &[(&str, &str)]) -> HashMap<String, String> {
        let aws = [
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ];
        (aws.iter().chain(settings)).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[tokio::test]
    async fn references_are_read_and_rotating_secrets_keep_their_order() {
        let path = format!("/kitloop/{}", Uuid::new_v4());
        put_parameter(&format!("{path}/database"), "postgres://kitloop_app@127.0.0.1/kitloop").await;
        put_parameter(
            &format!("{path}/cron"),
            r#"{"current": "the-newer-secret", "previous": "the-older-secret"}"#,
        )
        .await;
        let variables = variables(&[
            ("AWS_ENDPOINT_URL", &endpoint()),
            ("DATABASE_URL", &format!("ssm:{path}/database")),
            ("CRON_SECRET", &format!("ssm:{path}/cron")),
        ]);
        let config = Config::from_variables(Needs::SCHEDULE, &variables, &Network::default()).await.unwrap();
        let secrets = config.cron_secrets.current();
        let secrets: Vec<&str> = secrets.iter().map(|secret| secret.expose_secret()).collect();
        assert_eq!(secrets, ["the-newer-secret", "the-older-secret"]);
        assert!(config.database.unwrap().url.current().get_user() == Some("kitloop_app"));
    }

    /// A configuration whose schedules' secret refers to this parameter.
    async fn with_cron_secret(parameter: &str) -> Config {
        let variables = variables(&[
            ("AWS_ENDPOINT_URL", &endpoint()),
            ("DATABASE_URL", "postgres://kitloop_app@127.0.0.1/kitloop"),
            ("CRON_SECRET", &format!("ssm:{parameter}")),
        ]);
        Config::from_variables(Needs::SCHEDULE, &variables, &Network::default()).await.unwrap()
    }

    /// Whether somebody who knows this secret is let in.
    async fn opens(config: &Config, given: &str) -> bool {
        let compare = async |secrets: Arc<Vec<SecretString>>| {
            if secrets.iter().any(|secret| secret.expose_secret() == given) { Ok(()) } else { Err(()) }
        };
        config.cron_secrets.try_with(compare, |()| true).await.is_ok()
    }

    #[tokio::test]
    async fn a_dsn_that_refers_to_a_parameter_is_rejected_by_name() {
        let name = format!("/kitloop/{}/dsn", Uuid::new_v4());
        put_parameter(&name, "https://abc@sentry.example/1").await;
        let variables = variables(&[
            ("AWS_ENDPOINT_URL", &endpoint()),
            ("DATABASE_URL", "postgres://kitloop_app@127.0.0.1/kitloop"),
            ("SENTRY_DSN", &format!("ssm:{name}")),
        ]);
        let config = Config::from_variables(Needs::DATABASE, &variables, &Network::default()).await;
        let problems = config.err().unwrap().to_string();
        assert!(problems.starts_with("SENTRY_DSN must not refer to a parameter"), "{problems}");
    }

    #[tokio::test]
    async fn a_refused_secret_is_read_again_but_not_every_time() {
        let parameter = format!("/kitloop/{}", Uuid::new_v4());
        put_parameter(&parameter, "the-first-secret").await;
        let config = with_cron_secret(&parameter).await;
        let same = config.clone();
        put_parameter(&parameter, r#"{"current": "the-second-secret", "previous": "the-first-secret"}"#)
            .await;
        assert!(opens(&config, "the-first-secret").await, "known from the start, so nothing was read");
        assert!(opens(&config, "the-second-secret").await);
        assert!(opens(&same, "the-second-secret").await, "what one finds out, all know");

        put_parameter(&parameter, "the-third-secret").await;
        assert!(!opens(&config, "the-third-secret").await, "the last time was just now");
        assert!(opens(&config, "the-second-secret").await);
    }

    #[tokio::test]
    async fn a_parameter_that_makes_no_sense_changes_nothing() {
        let parameter = format!("/kitloop/{}", Uuid::new_v4());
        put_parameter(&parameter, "the-first-secret").await;
        let config = with_cron_secret(&parameter).await;
        put_parameter(&parameter, "short").await;
        assert!(!opens(&config, "short").await);
        assert!(opens(&config, "the-first-secret").await);
    }

    #[tokio::test]
    async fn a_parameter_that_is_not_there_is_named_by_its_setting() {
        let missing = format!("ssm:/kitloop/{}", Uuid::new_v4());
        let variables = variables(&[("AWS_ENDPOINT_URL", &endpoint()), ("CRON_SECRET", &missing)]);
        let errors =
            Config::from_variables(Needs::DATABASE, &variables, &Network::default()).await.unwrap_err();
        assert_eq!(errors.to_string(), "CRON_SECRET refers to a parameter that does not exist");
    }

    #[tokio::test]
    async fn a_store_that_does_not_answer_is_named_with_every_setting_that_needs_it() {
        let variables = variables(&[
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("CRON_SECRET", "ssm:/a"),
            ("STRIPE_SECRET_KEY", "ssm:/b"),
        ]);
        let errors =
            Config::from_variables(Needs::DATABASE, &variables, &Network::default()).await.unwrap_err();
        assert_eq!(errors.0.len(), 2);
    }
}
