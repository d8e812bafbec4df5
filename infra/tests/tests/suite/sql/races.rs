//! Many want the same thing at once.

use std::sync::Arc;

use anyhow::Result;
use kitloop::db::reserve_gear;
use kitloop::error::{Code, Error};
use kitloop::{db::ReserveRequest, domain::Contact};
use test_support::{Gear, Provider, TestDatabase, actor, booking, reserve};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use uuid::Uuid;

fn is_refusal<T>(outcome: &Result<T, Error>, code: Code) -> bool {
    matches!(outcome, Err(Error::Refused(refusal)) if refusal.code == code)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hundred_callers_for_five_units_exactly_five_win() -> Result<()> {
    const CALLERS: usize = 200;
    let database = TestDatabase::create().await?;
    let provider = Provider::default().insert(&database).await?;
    let skis = Gear::of(5).insert(&database, provider).await?;
    let booking = Arc::new(booking(provider, skis, 1)?);
    let barrier = Arc::new(Barrier::new(CALLERS));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (db, booking, barrier) = (database.db()?, Arc::clone(&booking), Arc::clone(&barrier));
        callers.spawn(async move {
            db.connect_in_init().await;
            barrier.wait().await;
            reserve(&db, Uuid::new_v4(), &booking).await
        });
    }
    let outcomes = callers.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 5);
    let refused =
        outcomes.iter().filter(|outcome| is_refusal(outcome, Code::InsufficientAvailability)).count();
    assert_eq!(refused, CALLERS - 5, "{outcomes:#?}");
    database.assert_consistent().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_raced_fifty_times_makes_one_reservation() -> Result<()> {
    const CALLERS: usize = 50;
    let database = TestDatabase::create().await?;
    let provider = Provider::default().insert(&database).await?;
    let skis = Gear::of(50).insert(&database, provider).await?;
    let booking = Arc::new(booking(provider, skis, 1)?);
    let user = Uuid::new_v4();
    let barrier = Arc::new(Barrier::new(CALLERS));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (db, booking, barrier) = (database.db()?, Arc::clone(&booking), Arc::clone(&barrier));
        callers.spawn(async move {
            db.connect_in_init().await;
            barrier.wait().await;
            let request = ReserveRequest {
                caller: &format!("user:{user}"),
                idempotency_key: "one-key",
                request_hash: "one-body",
                actor: actor(user),
                profile: &Contact::default(),
                booking: &booking,
            };
            reserve_gear(&db, &request).await
        });
    }
    let mut answers = Vec::new();
    for outcome in callers.join_all().await {
        answers.push(outcome?);
    }
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert!(
        answers
            .iter()
            .all(|answer| Some(answer.reservation_id) == answers.first().map(|first| first.reservation_id))
    );
    assert_eq!(database.value::<i64>("select count(*) from public.reservations", &[]).await?, 1);
    database.assert_consistent().await
}
