//! Joining the cluster, and heartbeats from then on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::StatusCode;
use spillway_model::wire::link::{Heartbeat, Join, Joined};

use crate::link::{LinkError, Patience, causes};
use crate::node::{self, UsageMeter};
use crate::site::Site;
use crate::staging::blocking;

/// Longest wait between two tries to join.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Heartbeats while an image is pulled, so that its progress can be seen.
const PULLING: Duration = Duration::from_secs(1);

/// Joins, sends heartbeats, and joins again whenever the gateway has forgotten this node.
pub(crate) async fn stay_member(site: Arc<Site>) {
    loop {
        let terms = join(&site).await;
        let beating = beat(&site, &terms);
        tokio::select! {
            () = site.link.lapsed() => tracing::warn!("the gateway does not know this node any more; joining again"),
            () = beating => {}
        }
    }
}

/// Tries until the gateway says welcome.
async fn join(site: &Site) -> Joined {
    let mut patience = Patience::new(LONGEST_WAIT);
    loop {
        let about = Join {
            node: site.node.clone(),
            architecture: node::architecture().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            capacity: site.capacity,
            labels: site.labels.clone(),
            engine: site.runtime.engine(),
            running: site.ledger.running(),
        };
        match site.link.join(&about).await {
            Ok(membership) => {
                // A gateway that forgot this node may also have other wishes.
                site.wanted_version.store(0, Ordering::Release);
                tracing::info!(
                    node = site.node,
                    gateway = site.link.base(),
                    "joined the cluster"
                );
                return membership.terms;
            }
            Err(error) => complain(site, &error),
        }
        tokio::time::sleep(patience.next()).await;
    }
}

fn complain(site: &Site, error: &LinkError) {
    let gateway = site.link.base();
    match error {
        LinkError::Refused {
            status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN,
            words,
            ..
        } => tracing::error!(
            gateway,
            words,
            "the gateway does not accept the join token: check that --join-token is the `join_token` of this gateway's \
             credentials.json, and that --gateway is the right one; trying on"
        ),
        LinkError::Refused {
            status: StatusCode::NOT_FOUND,
            ..
        } => {
            tracing::error!(
                gateway,
                "there is something at this address, but no gateway of ours: check --gateway; trying on"
            );
        }
        LinkError::Away { source, .. } if spillway_trust::is_untrusted(source) => {
            tracing::error!(
                gateway,
                error = causes(error),
                "the gateway's certificate is not accepted: check --gateway-fingerprint, which the gateway prints at its \
                 start, or --gateway-ca; trying on"
            );
        }
        error => tracing::warn!(
            gateway,
            error = causes(error),
            "cannot join the cluster yet; trying on"
        ),
    }
}

/// Sends heartbeats for ever.
async fn beat(site: &Site, terms: &Joined) {
    let period = Duration::from_millis(terms.heartbeat_ms.clamp(100, 60_000));
    let mut meter = UsageMeter::default();
    let mut missed: u64 = 0;
    loop {
        let (beat, same_meter) = measure(site, meter).await;
        meter = same_meter;
        match site
            .link
            .heartbeat(&beat, period.max(Duration::from_secs(5)))
            .await
        {
            Ok(answer) => {
                if missed > 0 {
                    tracing::info!(missed, "the gateway answers heartbeats again");
                }
                missed = 0;
                for attempt in answer.lost {
                    site.ledger.lose(&attempt);
                }
            }
            Err(error) => {
                if missed == 0 {
                    tracing::warn!(
                        error = causes(&error),
                        "the gateway misses a heartbeat; running scripts go on"
                    );
                }
                missed += 1;
            }
        }
        let wait = if site.runtime.pulls().is_empty() {
            period
        } else {
            period.min(PULLING)
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = site.news.notified() => {}
        }
    }
}

/// What the next heartbeat says.
async fn measure(site: &Site, mut meter: UsageMeter) -> (Heartbeat, UsageMeter) {
    let data = site.home.data().to_owned();
    let look = move || {
        let usage = meter.read();
        let free = crate::home::free_bytes(&data).ok();
        (usage, free, meter)
    };
    let (usage, free, meter) = blocking(look).await.unwrap_or_default();
    let engine_ready = site.runtime.ready();
    let beat = Heartbeat {
        running: site.ledger.running(),
        usage,
        disk_free_bytes: free.unwrap_or(0),
        engine_ready,
        conditions: node::conditions(&site.runtime.engine(), engine_ready, free),
        pulls: site.runtime.pulls(),
    };
    (beat, meter)
}
