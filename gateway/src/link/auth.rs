//! Who an agent is: the join token lets a node in, a token of its own says later who it is.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use rusqlite::params;
use spillway_model::wire::link::Join;
use subtle::ConstantTimeEq;

use super::Link;
use super::problem::Problem;
use crate::store::{Store, StoreError};

/// Bytes of a node's token.
const TOKEN: usize = 32;

/// Nodes by the SHA-256 of their tokens; the tokens themselves are nowhere.
#[derive(Debug)]
pub(super) struct NodeTokens {
    store: Store,
    join_sha256: Vec<u8>,
    nodes: RwLock<HashMap<String, String>>,
}

/// The node that sent the request.
#[derive(Debug)]
pub(super) struct NodeName(pub(super) String);

impl NodeTokens {
    pub(super) async fn load(store: Store, join_token: &str) -> Result<Self, StoreError> {
        let nodes = store
            .read(|db| {
                let mut statement = db.prepare("SELECT token_sha256, name FROM nodes")?;
                let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
                Ok::<_, StoreError>(rows.collect::<Result<_, _>>()?)
            })
            .await?;
        Ok(Self {
            store,
            join_sha256: sha256(join_token),
            nodes: RwLock::new(nodes),
        })
    }

    /// Whether the request carries the join token.
    pub(super) fn may_join(&self, headers: &HeaderMap) -> bool {
        // Hashes are of one length, so that the comparison tells nothing of the token's.
        bearer(headers).is_some_and(|token| sha256(token).ct_eq(&self.join_sha256).into())
    }

    /// Makes a new token for the node, durably; its former one is void.
    pub(super) async fn admit(&self, about: &Join, now_ms: i64) -> Result<String, Problem> {
        let mut token = [0; TOKEN];
        SystemRandom::new()
            .fill(&mut token)
            .map_err(|_| Problem::Internal("the system has no random bytes".to_owned()))?;
        let token = hex::encode(token);
        let hash = hex::encode(sha256(&token));
        let text =
            serde_json::to_string(about).map_err(|error| Problem::Internal(error.to_string()))?;
        let (name, kept) = (about.node.clone(), hash.clone());
        self.store
            .write(move |db| {
                db.execute(
                    "INSERT INTO nodes (name, token_sha256, about, joined_ms) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (name) DO UPDATE SET token_sha256 = excluded.token_sha256, about = excluded.about,
                        joined_ms = excluded.joined_ms",
                    params![name, kept, text, now_ms],
                )?;
                Ok::<_, StoreError>(())
            })
            .await?;
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|_, node| *node != about.node);
        nodes.insert(hash, about.node.clone());
        Ok(token)
    }

    fn node(&self, headers: &HeaderMap) -> Option<String> {
        let hash = hex::encode(sha256(bearer(headers)?));
        self.nodes
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&hash)
            .cloned()
    }
}

impl FromRequestParts<Link> for NodeName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, link: &Link) -> Result<Self, Problem> {
        link.0
            .nodes
            .node(&parts.headers)
            .map(Self)
            .ok_or(Problem::Unauthorized)
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")
        .map(str::trim)
}

fn sha256(text: &str) -> Vec<u8> {
    digest(&SHA256, text.as_bytes()).as_ref().to_vec()
}
