//! What the door of every function refuses, tried on any of them: callers without a good token, bodies that cannot be
//! read, methods and origins that are not let in, and too many requests.

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use jiff::Timestamp;
use lambda_http::{Body, Request, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{HttpCall, ISSUER, JWT_SECRET, Reply, Token};

/// An origin on the allow-list of test applications.
pub const ORIGIN: &str = "https://shop.example";

/// Fails unless the refusal is this one, told as RFC 9457 wants it.
///
/// # Errors
/// Saying what was answered instead.
pub fn ensure_problem(reply: &Reply, status: u16, code: &str, case: &str) -> Result<()> {
    ensure!(reply.refusal() == (status, code), "{case}: {} {}", reply.status, reply.body);
    ensure!(reply.header("content-type") == Some("application/problem+json"), "{case}: {:?}", reply.headers);
    ensure!(reply.at("/status") == &json!(status), "{case}: the status is not in the body");
    for member in ["type", "title", "detail"] {
        ensure!(reply.at(&format!("/{member}")).is_string(), "{case}: no {member} in {}", reply.body);
    }
    let id = reply.header("x-correlation-id");
    ensure!(id.is_some() && id == reply.at("/correlation_id").as_str(), "{case}: no correlation id");
    Ok(())
}

/// Fails unless `call` is refused with every `Authorization` that does not hold.
///
/// # Errors
/// Naming the one that was let in.
pub async fn refuses_bad_tokens(
    call: &HttpCall,
    handle: impl AsyncFn(Request) -> Response<Body>,
) -> Result<()> {
    for (case, authorization) in bad_authorizations()? {
        let call = match authorization {
            Some(authorization) => call.clone().header("authorization", &authorization),
            None => call.clone().without_header("authorization"),
        };
        let reply = Reply::read(handle(call.request()?).await)?;
        ensure_problem(&reply, 401, "unauthenticated", case)?;
        ensure!(
            reply.header("www-authenticate").is_some_and(|scheme| scheme.starts_with("Bearer")),
            "{case}"
        );
    }
    Ok(())
}

fn bad_authorizations() -> Result<Vec<(&'static str, Option<String>)>> {
    let token = Token::of(Uuid::new_v4());
    let admin = token.clone().with("app_metadata", json!({"role": "admin"}));
    let an_hour_ago = Timestamp::now().as_second() - 3600;
    let in_an_hour = Timestamp::now().as_second() + 3600;
    let tokens = [
        ("expired", token.clone().with("exp", json!(an_hour_ago))),
        ("without exp", token.clone().with("exp", Value::Null)),
        ("not valid yet", token.clone().with("nbf", json!(in_an_hour))),
        ("without sub", token.clone().with("sub", Value::Null)),
        ("without audience", token.clone().with("aud", Value::Null)),
        ("for another audience", token.clone().with("aud", json!("other"))),
        ("without issuer", token.clone().with("iss", Value::Null)),
        ("by another issuer", token.clone().with("iss", json!(format!("{ISSUER}/other")))),
        ("signed with another key", token.clone().signed_with("another-secret-that-is-long-enough")),
        ("an admin's, forged", admin.clone().signed_with("another-secret-that-is-long-enough")),
        ("a key of the project", token.clone().with("role", json!("service_role"))),
        ("nobody's", token.clone().with("role", json!("anon"))),
    ];
    let mut cases = vec![
        ("missing", None),
        ("empty", Some("Bearer ".to_owned())),
        ("of another scheme", Some("Basic dXNlcjpwYXNz".to_owned())),
        ("malformed", Some("Bearer not.a.token".to_owned())),
        ("unsigned", Some(format!("Bearer {}", unsigned(&admin)))),
        ("with changed claims", Some(format!("Bearer {}", with_the_signature_of(&admin, &token)?))),
    ];
    for (case, token) in tokens {
        cases.push((case, Some(format!("Bearer {}", token.encode()?))));
    }
    Ok(cases)
}

/// `alg: none` (RFC 8725 §2.1).
fn unsigned(token: &Token) -> String {
    let encode = |value: &Value| BASE64_URL.encode(value.to_string());
    format!("{}.{}.", encode(&json!({"alg": "none", "typ": "JWT"})), encode(&token.claims))
}

fn with_the_signature_of(claims: &Token, signed: &Token) -> Result<String> {
    let (claims, signed) = (claims.encode()?, signed.encode()?);
    let unsigned = claims.rsplit_once('.').map_or("", |(unsigned, _)| unsigned);
    Ok(format!("{unsigned}.{}", signed.rsplit_once('.').map_or("", |(_, signature)| signature)))
}

/// Fails unless `call` is let in with a token that was signed with the secret before the current one, by asking that
/// it is answered with this status.
///
/// # Errors
/// Saying what was answered instead.
pub async fn accepts_the_previous_secret(
    call: &HttpCall,
    user_id: Uuid,
    status: u16,
    handle: impl AsyncFn(Request) -> Response<Body>,
) -> Result<()> {
    let token = Token::of(user_id).signed_with(&format!("previous-{JWT_SECRET}")).encode()?;
    let reply = Reply::read(handle(call.clone().bearer(&token).request()?).await)?;
    ensure!(reply.status == status, "{} {}", reply.status, reply.body);
    Ok(())
}

/// Fails unless `call`, which is otherwise a good one, is refused with every body that cannot be read.
///
/// # Errors
/// Naming the one that was taken.
pub async fn refuses_unreadable_bodies(
    call: &HttpCall,
    handle: impl AsyncFn(Request) -> Response<Body>,
) -> Result<()> {
    let nested = format!("{{\"notes\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let huge = format!("{{\"notes\":\"{}\"}}", "x".repeat(64 * 1024));
    let largest = format!("{{\"notes\":\"{}\"", "x".repeat(64 * 1024 - 11));
    let cases = [
        ("empty", call.clone().body(""), 400, "malformed_body"),
        ("cut off", call.clone().body("{\"notes\": \"x"), 400, "malformed_body"),
        ("not an object", call.clone().body("[]"), 400, "malformed_body"),
        ("a member twice", call.clone().body("{\"notes\": \"x\", \"notes\": \"y\"}"), 400, "malformed_body"),
        ("deeply nested", call.clone().body(&nested), 400, "malformed_body"),
        ("not UTF-8", call.clone().bytes(b"{\"notes\": \"\xff\xfe\"}"), 400, "malformed_body"),
        ("as large as may be, but cut off", call.clone().body(&largest), 400, "malformed_body"),
        ("huge", call.clone().body(&huge), 413, "body_too_large"),
        ("huge in base64", call.clone().bytes(huge.as_bytes()), 413, "body_too_large"),
        ("plain text", call.clone().header("content-type", "text/plain"), 415, "unsupported_media_type"),
        ("of no type", call.clone().without_header("content-type"), 415, "unsupported_media_type"),
    ];
    for (case, call, status, code) in cases {
        ensure_problem(&Reply::read(handle(call.request()?).await)?, status, code, case)?;
    }
    Ok(())
}

/// Fails unless `path` knows only `method`, and OPTIONS.
///
/// # Errors
/// Naming the method that was let in.
pub async fn refuses_other_methods(
    path: &str,
    method: &str,
    handle: impl AsyncFn(Request) -> Response<Body>,
) -> Result<()> {
    for other in
        ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"].into_iter().filter(|other| *other != method)
    {
        let reply = Reply::read(handle(HttpCall::new(other, path).request()?).await)?;
        ensure_problem(&reply, 405, "method_not_allowed", other)?;
        ensure!(reply.header("allow") == Some(&format!("{method}, OPTIONS")), "{other}: {:?}", reply.headers);
    }
    Ok(())
}

/// Fails unless `path` answers the preflights of an allowed origin, and tells others nothing. Whether that touches
/// anything else, shows on an application that has nothing else.
///
/// # Errors
/// Saying what was answered instead.
pub async fn answers_preflights(
    path: &str,
    method: &str,
    handle: impl AsyncFn(Request) -> Response<Body>,
) -> Result<()> {
    let preflight = |origin: &str| {
        HttpCall::new("OPTIONS", path)
            .header("origin", origin)
            .header("access-control-request-method", method)
    };
    let reply = Reply::read(handle(preflight(ORIGIN).request()?).await)?;
    ensure!(reply.status == 204 && reply.body.is_null(), "{} {}", reply.status, reply.body);
    ensure!(reply.header("access-control-allow-origin") == Some(ORIGIN), "{:?}", reply.headers);
    ensure!(reply.header("access-control-allow-methods") == Some(method), "{:?}", reply.headers);
    let headers = reply.header("access-control-allow-headers").unwrap_or_default();
    for header in ["authorization", "content-type", "idempotency-key", "x-correlation-id"] {
        ensure!(headers.contains(header), "{header} is not allowed: {headers}");
    }
    for foreign in ["https://evil.example", "https://shop.example.evil.example", "null"] {
        let reply = Reply::read(handle(preflight(foreign).request()?).await)?;
        ensure_problem(&reply, 403, "origin_not_allowed", foreign)?;
        ensure!(reply.header("access-control-allow-origin").is_none(), "{foreign}: {:?}", reply.headers);
    }
    Ok(())
}

/// An address that no other test calls from: an IPv6 network of its own.
#[must_use]
pub fn own_address() -> String {
    let (network, _) = Uuid::new_v4().as_u64_pair();
    let groups = [48, 32, 16, 0].map(|shift| format!("{:x}", (network >> shift) & 0xffff));
    format!("{}::1", groups.join(":"))
}

/// Fails unless requests are refused once there were `limit` of them within a minute. `call` makes each anew.
///
/// # Errors
/// If they are never refused, or before their time, or without saying when to come back.
pub async fn limits_the_rate(
    limit: usize,
    call: impl Fn() -> Result<HttpCall>,
    handle: impl AsyncFn(Request) -> Response<Body>,
) -> Result<Reply> {
    let ask = async || Reply::read(handle(call()?.request()?).await);
    until_limited(limit, ask, |_| Ok(())).await
}

/// Fails unless whoever guesses a secret is turned away, and is limited once there were `limit` guesses within a minute.
/// `guess` makes one more, from the same address.
///
/// # Errors
/// If a guess is let in, or they are limited never, too early, or without saying when to come back.
pub async fn limits_guesses(limit: usize, guess: impl AsyncFn() -> Result<Reply>) -> Result<()> {
    let turned_away = |reply: &Reply| ensure_problem(reply, 401, "unauthenticated", "guessing");
    until_limited(limit, guess, turned_away).await.map(drop)
}

/// The first reply that says that there were too many, after others that `check` finds right. The minute may end once
/// meanwhile, and another begins.
async fn until_limited(
    limit: usize,
    ask: impl AsyncFn() -> Result<Reply>,
    check: impl Fn(&Reply) -> Result<()>,
) -> Result<Reply> {
    for calls in 0..=2 * limit {
        let reply = ask().await?;
        if reply.status != 429 {
            check(&reply)?;
            continue;
        }
        ensure!(calls >= limit, "refused after {calls} of {limit}");
        ensure_problem(&reply, 429, "rate_limited", "over the limit")?;
        let seconds: u64 = reply.header("retry-after").unwrap_or_default().parse()?;
        ensure!((1..=60).contains(&seconds), "come back in {seconds} s");
        return Ok(reply);
    }
    anyhow::bail!("never refused")
}
