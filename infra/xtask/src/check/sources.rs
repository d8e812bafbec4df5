//! The source files that our own rules read.

use std::fs;
use std::path::{Path, PathBuf};

use stack::paths;

/// A file and its text.
pub(super) struct SourceFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl SourceFile {
    /// `path:line`, from the root of the project.
    pub(super) fn place(&self, line_index: usize) -> String {
        let path = self.path.strip_prefix(paths::root()).unwrap_or(&self.path);
        format!("{}:{}", path.display(), line_index + 1)
    }
}

/// All files under the folder whose name ends so, in order.
pub(super) fn files(folder: &Path, ending: &str) -> Result<Vec<SourceFile>, String> {
    let mut found = Vec::new();
    collect(folder, ending, &mut found).map_err(|error| format!("{}: {error}", folder.display()))?;
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

fn collect(folder: &Path, ending: &str, found: &mut Vec<SourceFile>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, ending, found)?;
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(SourceFile { text: fs::read_to_string(&path)?, path });
        }
    }
    Ok(())
}

/// The text with everything from a comment's mark to the end of its line taken out, line by line.
pub(super) fn without_comments(text: &str, mark: &str) -> String {
    text.lines().map(|line| without_comment(line, mark)).fold(String::new(), |mut text, line| {
        text.push_str(line);
        text.push('\n');
        text
    })
}

/// A mark between double quotes, as in an address, begins no comment.
fn without_comment<'a>(line: &'a str, mark: &str) -> &'a str {
    let is_outside_quotes = |code: &&str| code.matches('"').count().is_multiple_of(2);
    let mut codes = line.match_indices(mark).filter_map(|(index, _)| line.get(..index));
    codes.find(is_outside_quotes).unwrap_or(line)
}

/// Everything found, or nothing wrong.
pub(super) fn conclude(findings: Vec<String>) -> super::Findings {
    if findings.is_empty() { Ok(()) } else { Err(findings.join("\n")) }
}
