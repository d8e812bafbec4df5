//! `cargo xtask measure`: how large the functions are, and how long they take to start.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};
use stack::functions::{self, ReleaseBuild};
use stack::{Authorities, ColdStarts, Step};

use crate::cli::MeasureArguments;

const HEADER: [&str; 6] =
    ["function", "zipped", "median start", "fastest", "slowest", "median with the system's CA bundle"];

pub(crate) async fn run(arguments: &MeasureArguments) -> Result<()> {
    let builds = functions::build_release().await?;
    let cold_starts = ColdStarts::prepare().await?;
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(HEADER);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for ReleaseBuild { name, program, archive } in builds {
        let step = Step::begin(format!("Starting {name}"));
        let few = Starts::measure(&cold_starts, &program, Authorities::Few, arguments.starts).await?;
        let system = Starts::measure(&cold_starts, &program, Authorities::System, arguments.starts).await?;
        step.done();
        let starts = [few.median, few.fastest, few.slowest, system.median].map(milliseconds);
        table.add_row([name, archive_size(&archive)?].into_iter().chain(starts));
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

impl Starts {
    async fn measure(
        cold_starts: &ColdStarts,
        program: &Path,
        authorities: Authorities,
        count: u16,
    ) -> Result<Self> {
        // The first start reads the program from the disk; Lambda, too, has it at hand.
        cold_starts.init_duration(program, authorities).await?;
        let mut durations = Vec::new();
        for _ in 0..count {
            durations.push(cold_starts.init_duration(program, authorities).await?);
        }
        durations.sort();
        let median = durations.get(durations.len() / 2).copied();
        let (fastest, slowest) = (durations.first().copied(), durations.last().copied());
        let measured = median.zip(fastest).zip(slowest).context("nothing was measured")?;
        let ((median, fastest), slowest) = measured;
        Ok(Self { median, fastest, slowest })
    }
}

fn archive_size(archive: &Path) -> Result<String> {
    let bytes =
        std::fs::metadata(archive).with_context(|| format!("{} is missing", archive.display()))?.len();
    let hundredths = bytes / 10_000;
    Ok(format!("{}.{:02} MB", hundredths / 100, hundredths % 100))
}

fn milliseconds(duration: Duration) -> String {
    let tenths = duration.as_micros() / 100;
    format!("{}.{} ms", tenths / 10, tenths % 10)
}
