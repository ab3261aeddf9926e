//! What a new run of the gateway learns from the database.

use rusqlite::{Connection, OptionalExtension, params};
use spillway_model::wire::link::Join;
use tokio::time::Instant;
use tracing::warn;

use crate::queue::board::{Board, Held, Node};
use crate::queue::catalog::Catalog;
use crate::queue::rows::LeasedRow;
use crate::store::StoreError;

/// Counts the runs of the gateway: the number of this one.
pub(crate) fn next_epoch(db: &Connection) -> Result<i64, StoreError> {
    let last: Option<String> = db
        .query_row(
            "SELECT value FROM settings WHERE key = 'epoch'",
            [],
            |row| row.get(0),
        )
        .optional()?;
    let epoch = last.and_then(|last| last.parse::<i64>().ok()).unwrap_or(0) + 1;
    db.execute(
        "INSERT INTO settings (key, value) VALUES ('epoch', ?1) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        params![epoch.to_string()],
    )?;
    Ok(epoch)
}

/// What the nodes said when they joined.
pub(crate) fn known_nodes(db: &Connection) -> Result<Vec<Join>, StoreError> {
    let mut statement = db.prepare("SELECT name, about FROM nodes")?;
    let rows = statement.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    })?;
    let mut nodes = Vec::new();
    for row in rows {
        let (name, about) = row?;
        match serde_json::from_str(&about) {
            Ok(about) => nodes.push(about),
            Err(error) => {
                warn!(node = %name, %error, "what the node said of itself cannot be read; it joins again");
            }
        }
    }
    Ok(nodes)
}

/// Puts nodes and leases back on the board. A lease has one lease time to be named by its holder.
pub(crate) fn restore(board: &mut Board, leased: Vec<LeasedRow>, nodes: Vec<Join>) {
    for about in nodes {
        board.nodes.insert(about.node.clone(), Node::new(about));
    }
    let now = Instant::now();
    for row in leased {
        let held = row.into_held(&board.catalog, now, now + board.lease_time);
        board.hold(held);
    }
}

impl LeasedRow {
    /// The lease that the row speaks of.
    pub(crate) fn into_held(self, catalog: &Catalog, now: Instant, deadline: Instant) -> Held {
        Held {
            resources: catalog
                .get(&self.service)
                .map(|entry| entry.resources)
                .unwrap_or_default(),
            id: self.id,
            name: self.name,
            service: self.service,
            attempt: self.attempt,
            node: self.node,
            deadline,
            granted: now,
            confirmed: true,
            ending: false,
        }
    }
}
