//! `cargo xtask measure`: how large the functions are, and how long they take to start.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};
use stack::functions::{self, ReleaseBuild};
use stack::{ColdStarts, Step};

use crate::cli::MeasureArguments;

pub(crate) async fn run(arguments: &MeasureArguments) -> Result<()> {
    let builds = functions::build_release().await?;
    let cold_starts = ColdStarts::prepare().await?;
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(["function", "zipped", "median start", "fastest", "slowest"]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for ReleaseBuild { name, program, archive } in builds {
        let step = Step::begin(format!("Starting {name} {} times", arguments.starts));
        let starts = measure_starts(&cold_starts, &program, arguments.starts).await?;
        step.done();
        let size = archive_size(&archive)?;
        let Starts { median, fastest, slowest } = starts;
        table.add_row([name, size, milliseconds(median), milliseconds(fastest), milliseconds(slowest)]);
    }
    println!("{table}");
    Ok(())
}

/// Of several starts.
struct Starts {
    median: Duration,
    fastest: Duration,
    slowest: Duration,
}

async fn measure_starts(cold_starts: &ColdStarts, program: &PathBuf, count: u16) -> Result<Starts> {
    // The first start reads the program from the disk; Lambda, too, has it at hand.
    cold_starts.init_duration(program).await?;
    let mut durations = Vec::new();
    for _ in 0..count {
        durations.push(cold_starts.init_duration(program).await?);
    }
    durations.sort();
    let at = |index: usize| durations.get(index).copied().context("nothing was measured");
    Ok(Starts {
        median: at(durations.len() / 2)?,
        fastest: at(0)?,
        slowest: at(durations.len().saturating_sub(1))?,
    })
}

fn archive_size(archive: &PathBuf) -> Result<String> {
    let bytes =
        std::fs::metadata(archive).with_context(|| format!("{} is missing", archive.display()))?.len();
    let hundredths = bytes / 10_000;
    Ok(format!("{}.{:02} MB", hundredths / 100, hundredths % 100))
}

fn milliseconds(duration: Duration) -> String {
    let tenths = duration.as_micros() / 100;
    format!("{}.{} ms", tenths / 10, tenths % 10)
}
