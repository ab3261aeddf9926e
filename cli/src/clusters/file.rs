//! Reading and writing the list of clusters.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{Cluster, Clusters, ClustersError};

/// The file, read.
#[derive(Debug, Clone)]
pub(crate) struct ClustersFile {
    path: PathBuf,
    pub(crate) clusters: Clusters,
}

impl ClustersFile {
    /// Reads `path`, or `~/.oscar-cli/config.yaml` when none is given. A missing file is an empty list.
    pub(crate) fn read(path: Option<&Path>) -> Result<Self, ClustersError> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => default_path().ok_or(ClustersError::NoHome)?,
        };
        let clusters = match fs::read_to_string(&path) {
            Ok(text) if text.trim().is_empty() => Clusters::default(),
            Ok(text) => serde_saphyr::from_str(&text).map_err(|error| ClustersError::Format {
                path: path.clone(),
                message: error.to_string(),
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Clusters::default(),
            Err(source) => return Err(ClustersError::Read { path, source }),
        };
        Ok(Self { path, clusters })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The cluster with this id.
    pub(crate) fn cluster(&self, id: &str) -> Result<&Cluster, ClustersError> {
        self.clusters
            .oscar
            .get(id)
            .ok_or_else(|| ClustersError::Unknown {
                id: id.to_owned(),
                path: self.path.clone(),
                known: self.clusters.known(),
            })
    }

    /// The id to use when none is named: the default, or the only one there is.
    pub(crate) fn default_id(&self) -> Result<&str, ClustersError> {
        let clusters = &self.clusters;
        if !clusters.default.is_empty() {
            return Ok(&clusters.default);
        }
        let mut ids = clusters.oscar.keys();
        match (ids.next(), ids.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(ClustersError::NoDefault {
                path: self.path.clone(),
            }),
        }
    }

    /// Replaces the file in one step. Only its owner may read it: it holds passwords.
    pub(crate) fn write(&self) -> Result<(), ClustersError> {
        let failed = |source| ClustersError::Write {
            path: self.path.clone(),
            source,
        };
        let text = serde_saphyr::to_string(&self.clusters)
            .map_err(|error| failed(io::Error::other(error)))?;
        // Behind a symbolic link the file itself is replaced, not the link.
        let target = self
            .path
            .canonicalize()
            .unwrap_or_else(|_| self.path.clone());
        replace(&target, &text).map_err(failed)
    }
}

fn replace(target: &Path, text: &str) -> io::Result<()> {
    let folder = target
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let new = folder.join(format!(".config.{}.tmp", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&new, target));
    if written.is_err() {
        // Best effort: the first error is the one to tell.
        let _ = fs::remove_file(&new);
    }
    written
}

fn default_path() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty())?;
    Some(PathBuf::from(home).join(".oscar-cli/config.yaml"))
}
