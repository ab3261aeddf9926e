//! Where the programs under test are.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// A binary of this workspace, from the folder of the running test or benchmark (`target/<profile>`), or from
/// `SPILLWAY_BIN` when that is set.
pub fn binary(name: &str) -> Result<PathBuf> {
    let folder = if let Some(folder) = std::env::var_os("SPILLWAY_BIN") {
        PathBuf::from(folder)
    } else {
        let this = std::env::current_exe().context("where this program is")?;
        let folder = this.parent().context("a program is in a folder")?;
        // Tests run in `target/<profile>/deps`.
        if folder.ends_with("deps") {
            folder.parent().unwrap_or(folder).to_owned()
        } else {
            folder.to_owned()
        }
    };
    existing(&folder.join(name), "cargo build --workspace --bins")
}

/// The static supervisor, as `scripts/build-supervisor` leaves it, or `SPILLWAY_SUPERVISOR`.
pub fn supervisor() -> Result<PathBuf> {
    let path = std::env::var_os("SPILLWAY_SUPERVISOR").map_or_else(
        || {
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../../target/supervisor/spillway-supervisor")
        },
        PathBuf::from,
    );
    existing(&path, "scripts/build-supervisor")
}

fn existing(path: &Path, how: &str) -> Result<PathBuf> {
    ensure!(
        path.is_file(),
        "{} is not there; make it with `{how}`",
        path.display()
    );
    Ok(path.canonicalize()?)
}
