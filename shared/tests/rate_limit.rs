//! Rate limits as a client meets them, with the windows in a real DynamoDB (see `guard.rs`).

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kitloop::boot::App;
    use kitloop::config::{Config, Needs};
    use kitloop::door::{self, CallerRule, Endpoint, RateLimit};
    use kitloop::error::{Code, Error, Refusal};
    use kitloop::http::{Answer, Call, JSON_BODY_LIMIT, Origins};
    use lambda_http::{Body, Request, Response};
    use serde_json::{Value, json};
    use uuid::Uuid;

    const LIMIT: u32 = 3;
    const ENDPOINT: Endpoint = Endpoint {
        name: "reserve_gear",
        methods: &["POST"],
        origins: Origins::None,
        body_limit: JSON_BODY_LIMIT,
        caller: CallerRule::None,
        rate_limit: RateLimit::PerMinute { caller: LIMIT, address: LIMIT },
    };

    fn app() -> App {
        let settings = |name: &str| match name {
            "DATABASE_URL" => Some("postgres://kitloop_app@127.0.0.1:1/kitloop".to_owned()),
            "AWS_ENDPOINT_URL" => Some(std::env::var("KITLOOP_TEST_DYNAMODB_URL").unwrap()),
            "GUARD_TABLE" => Some(std::env::var("KITLOOP_TEST_GUARD_TABLE").unwrap()),
            "AWS_REGION" => Some("eu-central-1".to_owned()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("test".to_owned()),
            "RATE_LIMIT_PER_ADDRESS" => Some(LIMIT.to_string()),
            _ => None,
        };
        let mut config = Config::from_lookup(Needs::DATABASE, &settings).unwrap();
        config.guard.timeout = Duration::from_secs(20);
        App::new(config).unwrap()
    }

    /// An address in a network that no other test uses.
    fn address() -> String {
        let [a, b, c, d, e, f, ..] = Uuid::new_v4().into_bytes();
        format!("2001:{a:02x}{b:02x}:{c:02x}{d:02x}:{e:02x}{f:02x}::1")
    }

    fn request(address: &str, forwarded_for: &str) -> Request {
        let event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": "/", "rawQueryString": "",
            "headers": {"x-forwarded-for": forwarded_for},
            "requestContext": {
                "http": {"method": "POST", "path": "/", "protocol": "HTTP/1.1", "sourceIp": address, "userAgent": "t"},
                "requestId": "id", "routeKey": "$default", "stage": "$default", "timeEpoch": 0,
            },
            "body": "{}", "isBase64Encoded": false,
        });
        lambda_http::request::from_str(&event.to_string()).unwrap()
    }

    /// Calls until refused; a window may end once meanwhile, and then begins anew.
    async fn call_until_limited(endpoint: &Endpoint, bad_signature: bool) -> (u32, Response<Body>) {
        let (app, address) = (app(), address());
        for calls in 0..=2 * LIMIT {
            let use_case = async |app: &App, call: &Call| {
                if bad_signature {
                    door::penalise(app, "stripe_webhook", call).await?;
                    return Err::<Answer, Error>(Refusal::new(Code::InvalidSignature, "Wrong.").into());
                }
                Answer::ok(json!({}))
            };
            // What the client writes into headers must not give it a new address each time.
            let request = request(&address, &format!("192.0.2.{calls}"));
            let response = door::answer(&app, endpoint, request, use_case).await;
            if response.status() == 429 {
                return (calls, response);
            }
        }
        panic!("never limited");
    }

    fn assert_says_when_to_return(response: &Response<Body>) {
        let body: Value = serde_json::from_slice(response.body().as_ref()).unwrap();
        assert_eq!(body["error"], "rate_limited");
        let seconds: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
    }

    #[tokio::test]
    async fn too_many_requests_from_one_address_are_refused() {
        let (allowed, response) = call_until_limited(&ENDPOINT, false).await;
        assert!(allowed >= LIMIT, "{allowed}");
        assert_says_when_to_return(&response);
        assert_eq!(response.headers()["ratelimit-limit"], LIMIT.to_string());
        assert_eq!(response.headers()["ratelimit-remaining"], "0");
        assert!(response.headers().contains_key("ratelimit-reset"));
    }

    #[tokio::test]
    async fn requests_that_are_too_large_count_as_well() {
        let endpoint = Endpoint { body_limit: 1, ..ENDPOINT };
        let (allowed, response) = call_until_limited(&endpoint, false).await;
        assert!(allowed >= LIMIT, "{allowed}");
        assert_says_when_to_return(&response);
    }

    #[tokio::test]
    async fn too_many_bad_signatures_from_one_address_are_refused() {
        let endpoint = Endpoint { name: "stripe_webhook", rate_limit: RateLimit::Off, ..ENDPOINT };
        let (allowed, response) = call_until_limited(&endpoint, true).await;
        assert!(allowed >= LIMIT, "{allowed}");
        assert_says_when_to_return(&response);
    }
}
