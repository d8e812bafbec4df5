//! Rules for the SQL functions that no linter knows: the clock they read, and whose names they see.

use stack::paths;

use super::sources::{SourceFile, conclude, files, without_comments};

/// The time when the transaction or statement began, which is stale after a wait for a lock; functions decide by
/// `clock_timestamp()`.
const STALE_CLOCKS: &[&str] = &[
    "now()",
    "current_timestamp",
    "current_date",
    "localtimestamp",
    "transaction_timestamp()",
    "statement_timestamp()",
];

pub(super) fn check() -> super::Findings {
    let migrations = files(&paths::migrations(), ".up.sql")?;
    conclude(
        migrations.iter().flat_map(|file| [stale_clocks(file), open_search_paths(file)].concat()).collect(),
    )
}

/// Stale clocks inside bodies; in a column's default they are fine.
fn stale_clocks(file: &SourceFile) -> Vec<String> {
    let code = without_comments(&file.text, "--").to_lowercase();
    let mut in_body = false;
    let mut findings = Vec::new();
    for (index, line) in code.lines().enumerate() {
        for (part_index, part) in line.split("$$").enumerate() {
            in_body ^= part_index > 0;
            let clock = STALE_CLOCKS.iter().find(|clock| in_body && part.contains(**clock));
            findings.extend(clock.map(|clock| {
                format!("{}: {clock} is stale after a lock wait; use clock_timestamp()", file.place(index))
            }));
        }
    }
    findings
}

/// Functions that would look names up in the caller's search path. An empty path is open too: without being named there,
/// the caller's temporary schema comes first for types.
fn open_search_paths(file: &SourceFile) -> Vec<String> {
    let code = without_comments(&file.text, "--").to_lowercase();
    // What stands between two bodies is the head of a function, and what came before it.
    code.split("$$")
        .step_by(2)
        .filter_map(|outside| outside.rsplit_once("create function"))
        .filter(|(_, head)| !head.contains("set search_path = pg_catalog, pg_temp"))
        .filter_map(|(_, head)| head.split('(').next())
        .map(|name| format!("{}: {} needs set search_path = pg_catalog, pg_temp", file.place(0), name.trim()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn file(text: &str) -> SourceFile {
        SourceFile { path: PathBuf::from("migrations/1_x.up.sql"), text: text.to_owned() }
    }

    #[test]
    fn now_is_for_defaults_not_for_decisions() {
        let text = "create table t (at timestamptz default now());\ncreate function f() as $$\n  select now(); -- now()\n$$;\n";
        let findings = stale_clocks(&file(text));
        assert_eq!(findings.len(), 1);
        assert!(findings[0].contains(":3:"), "{}", findings[0]);
    }

    #[test]
    fn the_clock_itself_is_fine() {
        assert_eq!(stale_clocks(&file("as $$ select clock_timestamp() $$")), Vec::<String>::new());
    }

    #[test]
    fn a_function_must_close_its_search_path() {
        let open = "create function a.f() returns int language sql security definer as $$ select 1 $$;";
        assert_eq!(open_search_paths(&file(open)).len(), 1);
        let half_open = open.replace("definer", "definer set search_path = ''");
        assert_eq!(open_search_paths(&file(&half_open)).len(), 1);
        let closed = open.replace("definer", "definer set search_path = pg_catalog, pg_temp");
        assert_eq!(open_search_paths(&file(&closed)), Vec::<String>::new());
    }
}
