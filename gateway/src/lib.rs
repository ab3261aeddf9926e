//! The gateway: the cluster's front door.
//!
//! It speaks OSCAR's REST API (`api`), keeps objects (`objects`), turns them into jobs (`queue`) and grants the
//! jobs to agents that ask (`link`). All state is one `SQLite` database and one folder of blobs.
//!
//! Invariants: only one thread writes to `SQLite`; nothing in `store` knows HTTP; an acknowledgement is sent after
//! the commit; a handler never talks to Docker.

pub mod objects;
pub mod queue;
pub mod store;
