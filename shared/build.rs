//! Tells the library which migration is the newest, so that /ready can say whether the database has it.

use std::error::Error;
use std::fs;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../migrations");
    let mut newest = String::from("0");
    for entry in fs::read_dir("../migrations")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some((version, _)) = name.split_once('_')
            && name.ends_with(".up.sql")
            && version > newest.as_str()
        {
            newest = version.to_owned();
        }
    }
    println!("cargo::rustc-env=KITLOOP_SCHEMA_VERSION={newest}");
    Ok(())
}
