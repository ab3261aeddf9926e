//! Keeps the volumes of this node as the gateway wants them.

use std::sync::Arc;
use std::time::Duration;

use spillway_model::wire::link::{VolumeIs, VolumeReport, VolumeShall, Wanted, WantedVolume};
use tokio::sync::watch;

use crate::link::causes;
use crate::runtime::Measured;
use crate::site::Site;

/// With volumes on the node, the gateway is told of them this often.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// While something is left to do, it is tried again after so long.
const AGAIN: Duration = Duration::from_secs(2);

/// Asks what shall be there whenever the wanted services change, and does it.
pub(crate) async fn keep_volumes(site: Arc<Site>, mut wanted: watch::Receiver<Option<Wanted>>) {
    let mut measured = Measured::default();
    let mut reports: Vec<VolumeReport> = Vec::new();
    // Nothing is asked before the gateway has said anything.
    while wanted.borrow_and_update().is_none() {
        if wanted.changed().await.is_err() {
            return;
        }
    }
    loop {
        let pause = match keep(&site, &mut reports, &mut measured).await {
            Next::Idle => None,
            Next::Watch => Some(TELL_EVERY),
            Next::Again => Some(AGAIN),
        };
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return } else { wanted.borrow_and_update(); },
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => (),
        }
    }
}

/// When to look again.
enum Next {
    /// When the wanted services change: there are no volumes here.
    Idle,
    /// Now and then.
    Watch,
    /// Soon: something is left to do, or the gateway was not reached.
    Again,
}

async fn keep(site: &Site, reports: &mut Vec<VolumeReport>, measured: &mut Measured) -> Next {
    // The second turn tells what the first has done.
    for _ in 0..2 {
        let answer = match site.link.volumes(reports).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(error = causes(&error), "cannot ask for volumes; trying on");
                return Next::Again;
            }
        };
        if answer.wanted.is_empty() {
            reports.clear();
            return Next::Idle;
        }
        let before = std::mem::take(reports);
        *reports = site.runtime.keep_volumes(&answer.wanted, measured).await;
        if *reports == before {
            return if is_done(&answer.wanted, reports) {
                Next::Watch
            } else {
                Next::Again
            };
        }
    }
    Next::Again
}

/// Whether all is as it shall be, as far as this node can help it.
fn is_done(wanted: &[WantedVolume], reports: &[VolumeReport]) -> bool {
    wanted.iter().all(|volume| {
        let is = reports
            .iter()
            .find(|report| report.id == volume.id)
            .map(|report| &report.is);
        match volume.shall {
            VolumeShall::Stay => is.is_some(),
            VolumeShall::BeMade => is == Some(&VolumeIs::Present),
            VolumeShall::BeGone => is == Some(&VolumeIs::Absent),
        }
    })
}
