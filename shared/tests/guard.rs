//! The guard against a real DynamoDB, whose endpoint and table stand in `KITLOOP_TEST_DYNAMODB_URL` and
//! `KITLOOP_TEST_GUARD_TABLE`; and against addresses where nobody answers.

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, SystemTime};

    use kitloop::clock;
    use kitloop::config::{Config, Needs};
    use kitloop::error::{Code, Error};
    use kitloop::guard::{Claim, Guard, KeyKind, LimitVerdict};
    use kitloop::network::Network;
    use tokio::time::Instant;
    use uuid::Uuid;

    fn guard_at(endpoint: &str, table: &str, timeout: Option<Duration>) -> Guard {
        let settings = |name: &str| {
            let value = match name {
                "DATABASE_URL" => "postgres://kitloop_app@127.0.0.1:1/kitloop",
                "GUARD_TABLE" => table,
                "AWS_REGION" => "eu-central-1",
                "AWS_ENDPOINT_URL" => endpoint,
                "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => "test",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let mut config = Config::from_lookup(Needs::DATABASE, &settings).unwrap();
        config.guard.timeout = timeout.unwrap_or(config.guard.timeout);
        Guard::new(&config.guard, &Network::default())
    }

    /// Fails without its server, as every test here does.
    fn setting(name: &str) -> String {
        std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask test`"))
    }

    /// A guard that waits longer than the real one, since a machine that runs tests may be busy.
    fn guard() -> Guard {
        let timeout = Some(Duration::from_secs(20));
        guard_at(&setting("KITLOOP_TEST_DYNAMODB_URL"), &setting("KITLOOP_TEST_GUARD_TABLE"), timeout)
    }

    /// A key that no other test or run uses.
    fn fresh(name: &str) -> String {
        format!("{name}-{}", Uuid::new_v4())
    }

    /// In the middle of a minute, so that no window ends during a test.
    fn mid_window() -> SystemTime {
        let now = SystemTime::from(clock::now()).duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        SystemTime::UNIX_EPOCH + Duration::from_secs(now - now % 60 + 30)
    }

    fn remaining(verdict: LimitVerdict) -> u32 {
        match verdict {
            LimitVerdict::Allowed(window) => window.remaining,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_limit_counts_down_and_then_refuses_until_the_minute_is_over() {
        let (guard, key, now) = (guard(), fresh("caller"), mid_window());
        for left in [2, 1, 0] {
            assert_eq!(remaining(guard.limit("f", KeyKind::Caller, &key, 3, now).await), left);
        }
        for _ in 0..2 {
            let verdict = guard.limit("f", KeyKind::Caller, &key, 3, now).await;
            let LimitVerdict::Refused(window) = verdict else { panic!("{verdict:?}") };
            assert_eq!((window.limit, window.remaining, window.reset), (3, 0, Duration::from_secs(30)));
        }
        let next_minute = now + Duration::from_secs(60);
        assert_eq!(remaining(guard.limit("f", KeyKind::Caller, &key, 3, next_minute).await), 2);
    }

    #[tokio::test]
    async fn functions_kinds_and_keys_are_counted_apart() {
        let (guard, key, now) = (guard(), fresh("key"), mid_window());
        assert_eq!(remaining(guard.limit("f", KeyKind::Caller, &key, 1, now).await), 0);
        assert_eq!(remaining(guard.limit("g", KeyKind::Caller, &key, 1, now).await), 0);
        assert_eq!(remaining(guard.limit("f", KeyKind::Address, &key, 1, now).await), 0);
        assert_eq!(remaining(guard.limit("f", KeyKind::Caller, &fresh("key"), 1, now).await), 0);
    }

    #[tokio::test]
    async fn a_limit_holds_across_sandboxes_and_parallel_requests() {
        let (one, other, key, now) = (guard(), guard(), fresh("caller"), mid_window());
        let mut allowed = 0;
        for _ in 0..4 {
            let (a, b) = tokio::join!(
                one.limit("f", KeyKind::Caller, &key, 5, now),
                other.limit("f", KeyKind::Caller, &key, 5, now)
            );
            allowed += [a, b].iter().filter(|verdict| matches!(verdict, LimitVerdict::Allowed(_))).count();
        }
        assert_eq!(allowed, 5);
    }

    #[tokio::test]
    async fn a_claim_is_held_until_it_is_released() {
        let (guard, key) = (guard(), fresh("key"));
        let until = Instant::now() + Duration::from_secs(15);
        let claim = guard.claim("reserve", "user:1", &key, until).await;
        let Claim::Taken(lease) = claim else { panic!("{claim:?}") };
        let second = guard.claim("reserve", "user:1", &key, until).await;
        assert!(matches!(second, Claim::Held), "{second:?}");
        let stranger = guard.claim("reserve", "user:2", &key, until).await;
        assert!(matches!(stranger, Claim::Taken(_)), "{stranger:?}");
        guard.release(lease).await;
        let third = guard.claim("reserve", "user:1", &key, until).await;
        assert!(matches!(third, Claim::Taken(_)), "{third:?}");
    }

    #[tokio::test]
    async fn a_claim_that_ended_is_free_and_its_late_release_harms_nobody() {
        let (guard, key) = (guard(), fresh("key"));
        let ended = guard.claim("reserve", "user:1", &key, Instant::now()).await;
        let Claim::Taken(late) = ended else { panic!("{ended:?}") };
        let until = Instant::now() + Duration::from_secs(15);
        let next = guard.claim("reserve", "user:1", &key, until).await;
        assert!(matches!(next, Claim::Taken(_)), "{next:?}");
        guard.release(late).await;
        let third = guard.claim("reserve", "user:1", &key, until).await;
        assert!(matches!(third, Claim::Held), "{third:?}");
    }

    #[tokio::test]
    async fn the_second_of_two_equal_requests_in_flight_is_refused() {
        let (guard, key) = (guard(), fresh("key"));
        let until = Instant::now() + Duration::from_secs(15);
        let inner = guard.exclusively("reserve", "user:1", &key, until, async { Ok(()) });
        let outer = guard.exclusively("reserve", "user:1", &key, until, async { Ok(inner.await) }).await;
        let Err(Error::Refused(refusal)) = outer.unwrap() else { panic!("both were let in") };
        assert_eq!(refusal.code, Code::RequestInFlight);
        assert!(refusal.retry_after.is_some());
        assert_eq!(guard.exclusively("reserve", "user:1", &key, until, async { Ok(7) }).await.unwrap(), 7);
    }

    async fn assert_open(guard: &Guard) {
        let started = Instant::now();
        let verdict = guard.limit("f", KeyKind::Caller, "user:1", 1, clock::now().into()).await;
        assert_eq!(verdict, LimitVerdict::Unknown);
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    }

    #[tokio::test]
    async fn a_table_that_refuses_connections_opens_the_guard() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let guard = guard_at(&endpoint, "guard", None);
        assert_open(&guard).await;
        assert!(!guard.is_reachable().await);
    }

    #[tokio::test]
    async fn a_table_that_hangs_opens_the_guard_and_is_then_left_alone() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let guard = guard_at(&format!("http://{}", listener.local_addr().unwrap()), "guard", None);
        assert_open(&guard).await;
        let started = Instant::now();
        let claim = guard.claim("reserve", "user:1", "key", Instant::now() + Duration::from_secs(1)).await;
        assert!(matches!(claim, Claim::GuardDown), "{claim:?}");
        assert!(started.elapsed() < Duration::from_millis(100), "paid the timeout again");
    }

    /// A guard on a table that gives every request this answer, and how many there were.
    async fn guard_answered(status: &str, body: &str) -> (Guard, Arc<AtomicUsize>) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let guard = guard_at(&format!("http://{}", listener.local_addr().unwrap()), "guard", None);
        let headers = format!("content-length: {}\r\nconnection: close", body.len());
        let answer = format!("HTTP/1.1 {status}\r\n{headers}\r\n\r\n{body}");
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let mut request = [0; 4096];
                let _ = socket.read(&mut request).await;
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        (guard, requests)
    }

    #[tokio::test]
    async fn an_answer_that_makes_no_sense_opens_the_guard() {
        let (guard, _) = guard_answered("200 OK", "<ht>").await;
        assert_open(&guard).await;
    }

    #[tokio::test]
    async fn a_key_that_is_throttled_does_not_open_the_guard_for_the_others() {
        let throttled =
            r#"{"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException", "message": "x"}"#;
        let (guard, requests) = guard_answered("400 Bad Request", throttled).await;
        assert_open(&guard).await;
        let before = requests.load(Ordering::SeqCst);
        assert_open(&guard).await;
        assert!(requests.load(Ordering::SeqCst) > before, "the table was left alone");
    }

    #[tokio::test]
    async fn without_a_table_everything_goes_on() {
        let guard = guard_at("http://127.0.0.1:1", "", None);
        assert!(!guard.is_configured());
        assert_open(&guard).await;
        let until = Instant::now() + Duration::from_secs(1);
        assert_eq!(guard.exclusively("reserve", "user:1", "key", until, async { Ok(1) }).await.unwrap(), 1);
    }
}
