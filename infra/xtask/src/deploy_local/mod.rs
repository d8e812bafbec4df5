//! `cargo xtask deploy-local`: what an operator does with a new release, from the first deployment to the deletion, told
//! as a story. SAM, CloudFormation's answers, the functions and their schedules are real; AWS itself is ministack. Every
//! chapter asserts what it tells.

mod clock;
mod departure;
mod journey;
mod setup;
mod update;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use stack::Deployment;

use crate::demo::scene::Scene;
use crate::demo::story::Story;
use crate::demo::summary;
use crate::drill;

pub(crate) async fn run() -> Result<ExitCode> {
    play(tell).await
}

/// `cargo xtask drill`: the drill alone.
pub(crate) async fn drill() -> Result<ExitCode> {
    play(async |scene, deployment| drill::run(scene, deployment.environment()).await).await
}

/// Deploys, and has something happen there.
async fn play(tell: impl AsyncFnOnce(&mut Scene, &mut Deployment) -> Result<()>) -> Result<ExitCode> {
    let started = Instant::now();
    let mut story = Story::default();
    let mut deployment = setup::deploy(&mut story).await?;
    let mut scene = Scene::open(&deployment.file).await?;
    scene.story = story;
    tell(&mut scene, &mut deployment).await.with_context(|| {
        let logs = stack::paths::local().join("logs");
        format!("the story took a wrong turn; ministack's log is in {}", logs.display())
    })?;
    println!("All of it held, in {:.1?}.", started.elapsed());
    Ok(ExitCode::SUCCESS)
}

async fn tell(scene: &mut Scene, deployment: &mut Deployment) -> Result<()> {
    journey::through_the_http_api(scene).await?;
    journey::at_the_functions_own_urls(scene).await?;
    clock::a_schedule_fires(scene, deployment).await?;
    update::a_parameter_changes(scene, deployment).await?;
    println!();
    summary::check_invariants(scene).await?;
    departure::the_stack_is_deleted(scene, deployment).await
}
