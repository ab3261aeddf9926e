//! The Functions Definition Language: one YAML file that defines services, and the storage and clusters they use.
//!
//! ```
//! let text = "
//! functions:
//!   oscar:
//!   - farm-pi:
//!       name: leaf-thumbs
//!       image: registry.example.org/leaf/thumbs:1.2
//!       cpu: 0.50
//!       memmory: 192Mi
//!       script: thumbs.sh
//! ";
//! let fdl = spillway_model::fdl::parse(text).unwrap();
//! assert_eq!(fdl.services[0].service.cpu, "0.50");
//! assert_eq!(fdl.services[0].script_file.as_deref(), Some("thumbs.sh"));
//! assert_eq!(fdl.warnings[0].in_file("leaf.yaml"), "leaf.yaml:8:7: unknown key \"memmory\"; did you mean \"memory\"?");
//! ```

mod diagnostic;
mod read;
mod write;

use std::collections::BTreeMap;

use crate::Place;
use crate::service::{Cluster, Service, StorageProviders};

pub use diagnostic::{Diagnostic, FdlError};
pub use read::parse;
pub use write::{WriteError, function_config, to_yaml};

/// Key in place of a cluster's id that means "the client's default cluster".
pub const DEFAULT_CLUSTER: &str = "default-cluster";

/// Largest FDL file, in bytes. Thousands of services fit; scripts are files of their own.
pub const LARGEST_FILE: usize = 4 * 1024 * 1024;

/// Most services in one file. Each gets its own copy of what the file defines for all.
pub const MOST_SERVICES: usize = 1000;

/// A file that was read without errors.
#[derive(Debug, Clone, PartialEq)]
pub struct Fdl {
    /// In the order of the file.
    pub services: Vec<FdlService>,
    /// Names of the functions for AWS Lambda (`functions.aws`), which are not applied here.
    pub aws: Vec<String>,
    /// What the file defines for all its services; each service has it already.
    pub storage_providers: StorageProviders,
    /// What the file defines for all its services; each service has it already.
    pub clusters: BTreeMap<String, Cluster>,
    /// What is accepted but probably not meant, in the order of the file.
    pub warnings: Vec<Diagnostic>,
}

/// One service of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct FdlService {
    /// Key above the service: the client's name for the cluster it goes to.
    pub cluster_id: String,
    /// As written and checked, but not normalised: that is the server's to do. `script` is empty until
    /// [`FdlService::with_script`], unless the file holds the script itself.
    pub service: Service,
    /// File of the script, relative to the folder of the FDL file. None when the file holds the script itself, that
    /// is, text with a line end (an edge extension; it is what [`to_yaml`] writes).
    pub script_file: Option<String>,
    /// Where the script is named.
    pub script_place: Place,
    /// Where the service begins.
    pub place: Place,
}

impl FdlService {
    /// The service as the API takes it, with the text of its script.
    #[must_use]
    pub fn with_script(mut self, text: impl Into<String>) -> Service {
        self.service.script = text.into();
        self.service
    }
}
