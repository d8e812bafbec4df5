//! Queries that break behind a transaction pooler: everything that prepares a statement, or speaks to a session.

use stack::paths;

use super::sources::{SourceFile, conclude, files, without_comments};

/// Methods of tokio-postgres that prepare statements or send several at once; `query_typed` and `execute_typed` and
/// their like do neither.
const UNSAFE_CALLS: &[&str] = &[
    ".query(",
    ".query_one(",
    ".query_opt(",
    ".query_raw(",
    ".query_scalar(",
    ".query_scalar_one(",
    ".query_scalar_opt(",
    ".execute(",
    ".execute_raw(",
    ".prepare(",
    ".prepare_typed(",
    ".batch_execute(",
    ".simple_query(",
    ".transaction(",
    ".build_transaction(",
    ".copy_in(",
    ".copy_out(",
];

/// What belongs to a session, which a transaction pooler does not keep: start-up options, and statements that set
/// something or hold a transaction open.
const SESSION_STATE: &[&str] =
    &[".options(", "\"set ", "\"begin", "\"start transaction", "\"prepare ", "\"listen "];

/// Where the driver is named: where it is called, and where its address is read from the settings.
const DATABASE_CODE: &[&str] = &["shared/src/db", "shared/src/config/database.rs"];

pub(super) fn check() -> super::Findings {
    let root = paths::root();
    let mut findings = Vec::new();
    for folder in ["shared/src", "functions"] {
        for file in files(&root.join(folder), ".rs")? {
            let is_database_code = DATABASE_CODE.iter().any(|place| file.path.starts_with(root.join(place)));
            findings.extend(if is_database_code { unsafe_calls(&file) } else { strays(&file) });
        }
    }
    conclude(findings)
}

fn unsafe_calls(file: &SourceFile) -> Vec<String> {
    let mut findings =
        find(file, UNSAFE_CALLS, "is not safe behind a transaction pooler; use query_typed or execute_typed");
    let lower_case = SourceFile { path: file.path.clone(), text: file.text.to_lowercase() };
    findings.extend(find(&lower_case, SESSION_STATE, "does not outlast its transaction behind a pooler"));
    findings
}

/// How code names the driver; between quotes it is the name of a log's target.
const DRIVER: &[&str] = &[
    "use tokio_postgres;",
    " tokio_postgres::",
    "(tokio_postgres::",
    "<tokio_postgres::",
    "&tokio_postgres::",
];

/// Nothing else speaks to PostgreSQL, so only there such calls need to be looked for.
fn strays(file: &SourceFile) -> Vec<String> {
    find(file, DRIVER, "belongs to shared/src/db and config/database.rs alone")
}

fn find(file: &SourceFile, needles: &[&str], complaint: &str) -> Vec<String> {
    let code = without_comments(&file.text, "//");
    let lines = code.lines().enumerate();
    lines
        .flat_map(|(index, line)| needles.iter().filter(|it| line.contains(**it)).map(move |it| (index, it)))
        .map(|(index, needle)| format!("{}: {} {complaint}", file.place(index), needle.trim()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn file(text: &str) -> SourceFile {
        SourceFile { path: PathBuf::from("shared/src/db/holds.rs"), text: text.to_owned() }
    }

    #[test]
    fn a_query_that_prepares_is_found_with_its_line() {
        let findings = unsafe_calls(&file("fn f() {\n    client.query(sql, &[])\n}"));
        assert_eq!(findings.len(), 1);
        assert!(findings[0].starts_with("shared/src/db/holds.rs:2: .query("), "{}", findings[0]);
    }

    #[test]
    fn what_belongs_to_a_session_is_found() {
        for line in ["config.options(\"-c x=1\")", "rows(\"SET lock_timeout = 1\")", "rows(\"begin\")"] {
            assert_eq!(unsafe_calls(&file(line)).len(), 1, "{line}");
        }
    }

    #[test]
    fn the_driver_is_found_but_not_its_name_in_a_filter_of_logs() {
        assert_eq!(strays(&file("fn f(row: &tokio_postgres::Row) {}")).len(), 1);
        assert_eq!(strays(&file("use tokio_postgres::Client;")).len(), 1);
        assert_eq!(strays(&file("info!(target: \"tokio_postgres::query\")")), Vec::<String>::new());
    }

    #[test]
    fn our_own_code_has_none_of_these() {
        assert_eq!(check(), Ok(()));
    }

    #[test]
    fn typed_queries_are_fine() {
        let text = "client.query_typed(sql, &[]); client.execute_typed(sql, &[]); // not .query(";
        assert_eq!(unsafe_calls(&file(text)), Vec::<String>::new());
    }
}
