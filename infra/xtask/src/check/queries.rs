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

pub(super) fn check() -> super::Findings {
    let root = paths::root();
    let mut findings = Vec::new();
    for folder in ["shared/src", "functions"] {
        for file in files(&root.join(folder), ".rs")? {
            let is_database_code = file.path.starts_with(root.join("shared/src/db"));
            findings.extend(if is_database_code { unsafe_calls(&file) } else { strays(&file) });
        }
    }
    conclude(findings)
}

fn unsafe_calls(file: &SourceFile) -> Vec<String> {
    find(file, UNSAFE_CALLS, "is not safe behind a transaction pooler; use query_typed or execute_typed")
}

/// Only `shared/src/db` speaks to PostgreSQL, so only there such calls need to be looked for.
fn strays(file: &SourceFile) -> Vec<String> {
    find(file, &["tokio_postgres::", "tokio_postgres "], "belongs to shared/src/db alone")
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
    fn typed_queries_are_fine() {
        let text = "client.query_typed(sql, &[]); client.execute_typed(sql, &[]); // not .query(";
        assert_eq!(unsafe_calls(&file(text)), Vec::<String>::new());
    }
}
