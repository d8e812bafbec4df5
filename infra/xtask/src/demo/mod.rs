//! `cargo xtask demo`: the main job from end to end, told as a story. Every chapter asserts what it tells.

mod aftermath;
mod authorisations;
pub(crate) mod bookings;
mod credits;
mod exports;
mod late_payments;
mod logs;
mod mail;
mod money_back;
mod plans;
mod poison;
pub(crate) mod scene;
pub(crate) mod story;
pub(crate) mod summary;
mod walk_ins;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use stack::{LocalStack, Options};

use scene::Scene;

pub(crate) async fn run() -> Result<ExitCode> {
    let started = Instant::now();
    // Two processes of each function, so that callers who race meet in the database.
    let options = Options { processes: 2, stand_in_only: true, ..Options::default() };
    let mut stack = LocalStack::start(&options).await?;
    // The sweep has a chapter of its own.
    stack.start_schedules_of(|function| ["run_jobs", "publish_metrics"].contains(&function));
    let mut scene = Scene::open(&stack.file).await?;
    tell(&mut scene).await.with_context(|| {
        format!("the story took a wrong turn; the functions' logs are in {}", stack::paths::local().display())
    })?;
    println!("\n{}", summary::table(&mut scene).await?);
    println!("{}", credits::table(&mut scene).await?);
    println!("{}", mail::table(&mut scene).await?);
    summary::check_invariants(&mut scene).await?;
    logs::check(&mut scene, &stack).await?;
    println!("All of it held, in {:.1?}.", started.elapsed());
    Ok(ExitCode::SUCCESS)
}

async fn tell(scene: &mut Scene) -> Result<()> {
    let paid_event = bookings::two_lines_are_paid_and_confirmed(scene).await?;
    bookings::what_is_taken_is_refused_to_the_next(scene).await?;
    bookings::a_declined_card_keeps_the_hold(scene).await?;
    walk_ins::staff_books_for_a_walk_in(scene).await?;
    authorisations::the_shop_captures_an_authorisation(scene).await?;
    authorisations::the_shop_declines_an_authorisation(scene).await?;
    late_payments::a_lapsed_hold_is_swept(scene).await?;
    late_payments::late_money_finds_its_stock_free(scene).await?;
    late_payments::late_money_finds_its_stock_gone(scene).await?;
    late_payments::an_event_that_comes_twice_changes_nothing(scene, &paid_event).await?;
    money_back::a_late_cancellation_brings_half_back(scene).await?;
    money_back::the_shop_sends_a_part_back(scene).await?;
    money_back::the_bank_takes_disputed_money(scene).await?;
    money_back::what_is_paid_twice_goes_back_once(scene).await?;
    money_back::a_lost_event_is_found(scene).await?;
    exports::an_export_costs_a_credit(scene).await?;
    credits::credits_are_bought(scene).await?;
    exports::a_customer_takes_her_reservations_along(scene).await?;
    exports::the_shop_gets_its_reservations(scene).await?;
    poison::a_poison_job_ends_as_a_dead_letter(scene).await?;
    plans::a_lapsed_plan_takes_no_holds(scene).await
}
