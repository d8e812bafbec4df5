//! The import rule of the library: which module may use which.

use stack::paths;

use super::sources::{SourceFile, conclude, files, without_comments};

/// What the modules above it may use: the vocabulary, and plumbing that decides nothing.
const FOUNDATION: &[&str] = &["domain", "error", "config", "telemetry", "clock", "digest", "network"];

/// What a module may use beside itself; `None` for anything.
fn allowed(module: &str) -> Option<Vec<&'static str>> {
    let with = |more: &[&'static str]| Some([FOUNDATION, more].concat());
    match module {
        "domain" | "clock" | "digest" | "network" => Some(Vec::new()),
        // What it reports to Sentry goes over the network.
        "telemetry" => Some(vec!["clock", "config", "network"]),
        "error" => Some(vec!["domain"]),
        "config" => Some(vec!["clock", "domain", "network"]),
        "db" | "stripe" | "email" | "alerts" | "guard" | "http" => with(&[]),
        "app" => with(&["db", "stripe", "email", "alerts", "guard"]),
        // Who lets a request in reads it, counts it, and hands the application to the use case.
        "door" => with(&["http", "guard", "boot"]),
        // What starts a function knows all of its parts.
        _ => None,
    }
}

pub(super) fn check() -> super::Findings {
    let library = paths::root().join("shared/src");
    let files = files(&library, ".rs")?;
    conclude(files.iter().flat_map(|file| violations(file, &module_of(file, &library))).collect())
}

/// The top-level module a file belongs to.
fn module_of(file: &SourceFile, library: &std::path::Path) -> String {
    let path = file.path.strip_prefix(library).unwrap_or(&file.path);
    let first = path.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned());
    first.unwrap_or_default().trim_end_matches(".rs").to_owned()
}

fn violations(file: &SourceFile, module: &str) -> Vec<String> {
    let Some(allowed) = allowed(module).filter(|_| !is_test(file)) else { return Vec::new() };
    let code = without_comments(product_code(&file.text), "//");
    let lines = code.lines().enumerate();
    lines
        .flat_map(|(index, line)| used_modules(line).into_iter().map(move |used| (index, used)))
        .filter(|(_, used)| used != module && !allowed.contains(&used.as_str()))
        .map(|(index, used)| format!("{}: {module} must not use {used}", file.place(index)))
        .collect()
}

/// Tests may use what they like, in files of their own …
fn is_test(file: &SourceFile) -> bool {
    file.path.file_stem().is_some_and(|name| name == "tests" || name == "testing")
}

/// … and at the end of others. A declaration `mod tests;` may stand anywhere and ends nothing.
fn product_code(text: &str) -> &str {
    text.split_once("#[cfg(test)]\nmod tests {").map_or(text, |(product, _)| product)
}

/// The modules named after `crate::` in a line, also in braces right behind it.
fn used_modules(line: &str) -> Vec<String> {
    line.split("crate::").skip(1).flat_map(first_names).collect()
}

fn first_names(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else { return vec![identifier(path)] };
    let mut depth = 0_i32;
    let parts = group.split(|c| {
        depth += match c {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        c == ',' && depth == 0
    });
    parts.map(|part| identifier(part.trim())).filter(|name| !name.is_empty()).collect()
}

/// The lower-case name at the beginning; items of the crate's root start with a capital and are no modules.
fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_').collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn file(text: &str) -> SourceFile {
        SourceFile { path: PathBuf::from("shared/src/db/holds.rs"), text: text.to_owned() }
    }

    #[test]
    fn a_forbidden_use_is_found_in_a_path_and_in_braces() {
        assert_eq!(used_modules("use crate::{db::{self, x}, domain::Money};"), ["db", "domain"]);
        assert_eq!(used_modules("fn f(x: crate::app::X, y: crate::http::Y)"), ["app", "http"]);
        assert_eq!(violations(&file("use crate::app::reserve;\n"), "db").len(), 1);
    }

    #[test]
    fn allowed_uses_comments_and_tests_are_no_findings() {
        let text = "use crate::domain::Money;\nuse crate::db::x;\n// crate::app\n#[cfg(test)]\nmod tests {\n    \
                    use crate::app;\n}\n";
        assert_eq!(violations(&file(text), "db"), Vec::<String>::new());
        let tests =
            SourceFile { path: PathBuf::from("shared/src/db/tests.rs"), text: "use crate::app;".into() };
        assert_eq!(violations(&tests, "db"), Vec::<String>::new());
        assert_eq!(violations(&file("use crate::app;"), "boot"), Vec::<String>::new());
    }

    #[test]
    fn a_declaration_of_tests_hides_nothing_behind_it() {
        let text = "#[cfg(test)]\nmod tests;\n\nuse crate::app::reserve;\n";
        assert_eq!(violations(&file(text), "db").len(), 1);
    }

    #[test]
    fn an_address_in_a_text_hides_nothing_behind_it() {
        let text = "fn f() { g(\"https://example.com\", crate::app::x()) } // crate::boot\n";
        assert_eq!(violations(&file(text), "db").len(), 1);
    }

    #[test]
    fn those_who_call_others_do_not_call_one_another() {
        for (module, other) in
            [("email", "db"), ("email", "stripe"), ("stripe", "email"), ("db", "email"), ("alerts", "db")]
        {
            assert_eq!(violations(&file(&format!("use crate::{other}::X;")), module).len(), 1, "{module}");
            assert_eq!(violations(&file(&format!("use crate::{other}::X;")), "app"), Vec::<String>::new());
        }
    }

    #[test]
    fn the_domain_uses_nothing() {
        assert_eq!(violations(&file("use crate::error::Refusal;"), "domain").len(), 1);
    }
}
