//! Scratch folders: what a script leaves in them is removed, so that the next invocation finds a clean container.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Folders that programs use without being told to.
const SCRATCH: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

/// How deep a tree is opened up whose folders forbid their own removal.
const DEPTH: u32 = 64;

/// The scratch folders and what was in them when the container started.
#[derive(Debug)]
pub(crate) struct Folders(Vec<(PathBuf, HashSet<OsString>)>);

impl Folders {
    /// Remembers what is there now, in the folders that are named or else in the usual ones of a container. Who is
    /// not process 1 shares its `/tmp` with strangers, and then nothing is usual. A folder that the image does not
    /// have is watched too: a script may make it.
    pub(crate) fn remember(named: &[PathBuf], process_1: bool) -> Self {
        match named {
            [] if process_1 => Self::of(SCRATCH.map(PathBuf::from)),
            named => Self::of(named.to_vec()),
        }
    }

    fn of(folders: impl IntoIterator<Item = PathBuf>) -> Self {
        let known = |folder: &Path| match fs::read_dir(folder) {
            Ok(entries) => entries.flatten().map(|entry| entry.file_name()).collect(),
            Err(_) => HashSet::new(),
        };
        Self(
            folders
                .into_iter()
                .map(|folder| (folder.clone(), known(&folder)))
                .collect(),
        )
    }

    /// Removes entries that were not there at the start. What cannot be removed (a read-only root, somebody else's
    /// file) stays: it was the image's doing, and the container's isolation does not rest on it.
    pub(crate) fn clean(&self) {
        for (folder, known) in &self.0 {
            let Ok(entries) = fs::read_dir(folder) else {
                continue;
            };
            for entry in entries
                .flatten()
                .filter(|entry| !known.contains(&entry.file_name()))
            {
                let _ = remove(&entry);
            }
        }
    }
}

fn remove(entry: &fs::DirEntry) -> io::Result<()> {
    if !entry.file_type()?.is_dir() {
        return fs::remove_file(entry.path());
    }
    match fs::remove_dir_all(entry.path()) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            // Without capabilities even root is bound by the mode of a folder, and module caches are made read-only.
            open_up(&entry.path(), DEPTH);
            fs::remove_dir_all(entry.path())
        }
        done => done,
    }
}

/// Makes a tree of folders removable. Nobody else is alive in the container, so no path changes under our hands.
fn open_up(folder: &Path, depth: u32) {
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path(), depth);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_goes_and_what_was_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("image's own"), "kept").unwrap();
        fs::create_dir(path("kept")).unwrap();
        let folders = Folders::of([folder.path().to_path_buf(), path("not yet there")]);

        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("precious"), "").unwrap();
        fs::write(path("new"), "").unwrap();
        fs::create_dir_all(path("tree/of/folders")).unwrap();
        fs::write(path("tree/of/file"), "").unwrap();
        fs::set_permissions(path("tree/of"), fs::Permissions::from_mode(0o500)).unwrap();
        std::os::unix::fs::symlink(outside.path(), path("link")).unwrap();
        std::os::unix::fs::symlink(outside.path(), path("tree/link")).unwrap();
        fs::create_dir(path("not yet there")).unwrap();
        folders.clean();

        let mut left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["image's own", "kept"]);
        assert!(
            outside.path().join("precious").exists(),
            "a link was followed"
        );
    }
}
