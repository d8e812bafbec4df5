//! The drill: docs/runbook.md, played through against a deployment that has the faults it is about.
//!
//! Each scenario breaks something for real, sees that it shows where the runbook says to look, has the runbook's blocks
//! run as they stand there, and sees that it is over. Every block is in one scenario.

mod runbook;
mod scenarios;
mod stage;
mod terminal;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsString;

use anyhow::{Context, Result, ensure};

use crate::demo::scene::Scene;
use runbook::Runbook;
use scenarios::SCENARIOS;
use stage::Stage;
use terminal::Terminal;

/// Plays every scenario. `environment` is that of an operator's terminal: `ENVIRONMENT`, the `DATABASE_URL` of the
/// schema's owner, and what the command line of AWS needs. Afterwards the secrets are others: those in `scene.file`.
///
/// # Errors
/// When a command of the runbook fails, or something is not as the runbook says.
pub(crate) async fn run(scene: &mut Scene, environment: BTreeMap<String, OsString>) -> Result<()> {
    let runbook = Runbook::read()?;
    let folder = tempfile::tempdir().context("cannot make a folder for the operator")?;
    let terminal = Terminal::open(folder.path().to_owned(), environment);
    let mut stage = Stage::set(scene, &runbook, terminal)?;
    for scenario in SCENARIOS {
        stage.begin(scenario.title);
        (scenario.play)(&mut stage).await.with_context(|| scenario.title)?;
        let played = stage.end();
        ensure!(played == scenario.blocks, "it was to run {:?}, but ran {played:?}", scenario.blocks);
    }
    Ok(())
}

/// The blocks of all scenarios.
#[cfg(test)]
fn blocks() -> impl Iterator<Item = &'static str> {
    SCENARIOS.iter().flat_map(|scenario| scenario.blocks.iter().copied())
}
