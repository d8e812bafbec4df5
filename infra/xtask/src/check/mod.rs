//! `cargo xtask check`: every check runs, whatever the others found; one line each, with its time.

mod imports;
mod migration_rules;
mod programs;
mod queries;
mod sources;
mod template_rules;
mod workflows;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use stack::tools::{self, CargoTool};

use programs::Programs;

/// What a check found: nothing, or what to mend, as text for people.
type Findings = Result<(), String>;

pub(crate) async fn run() -> Result<ExitCode> {
    let programs = Programs {
        deny: tools::cargo_tool(CargoTool::DENY).await?,
        machete: tools::cargo_tool(CargoTool::MACHETE).await?,
        checkers: tools::checkers().await?,
    };
    let mut report = Report::default();
    report.add("fmt", programs::fmt()).await;
    report.add("imports", async { imports::check() }).await;
    report.add("queries", async { queries::check() }).await;
    report.add("migrations", async { migration_rules::check() }).await;
    report.add("template", async { template_rules::check() }).await;
    report.add("workflows", async { workflows::check() }).await;
    report.add("squawk", programs.squawk()).await;
    report.add("taplo", programs.taplo()).await;
    report.add("typos", programs.typos()).await;
    report.add("machete", programs.machete()).await;
    report.add("deny", programs.deny()).await;
    report.add("sam validate", programs.sam()).await;
    report.add("cfn-lint", programs.cfn_lint()).await;
    report.add("checkov", programs.checkov()).await;
    report.add("clippy", programs::clippy()).await;
    Ok(report.conclude())
}

#[derive(Default)]
struct Report {
    failed: Vec<&'static str>,
}

impl Report {
    async fn add(&mut self, name: &'static str, check: impl Future<Output = Findings>) {
        let started = Instant::now();
        let findings = check.await;
        let seconds = started.elapsed().as_secs_f32();
        match findings {
            Ok(()) => println!("✓ {name:<14}{seconds:>6.1} s"),
            Err(text) => {
                println!("✗ {name:<14}{seconds:>6.1} s");
                println!("{}", indent(&text));
                self.failed.push(name);
            }
        }
    }

    fn conclude(self) -> ExitCode {
        if self.failed.is_empty() {
            println!("all checks passed");
            return ExitCode::SUCCESS;
        }
        println!("failed: {}", self.failed.join(", "));
        ExitCode::FAILURE
    }
}

fn indent(text: &str) -> String {
    text.trim_end().lines().map(|line| format!("    {line}\n")).collect::<String>().trim_end().to_owned()
}
