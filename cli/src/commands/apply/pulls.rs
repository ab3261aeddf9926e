//! `apply --wait`: images on their way to the nodes.

use std::collections::BTreeSet;
use std::time::Duration;

use spillway_model::report::NodeReport;
use spillway_model::service::Service;
use tokio::time::Instant;

use crate::client::Client;
use crate::commands::Context;
use crate::screen::progress::Bars;
use crate::screen::units;

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// A pull that has not shown up after this time is none: the image was there already.
const APPEARS: Duration = Duration::from_secs(8);
/// Longest wait for images; the pulls go on without us.
const LONGEST: Duration = Duration::from_mins(30);

/// Shows the pulls of these services' images until none is in progress.
pub(super) async fn wait<'s>(
    context: &Context<'_>,
    client: &Client,
    services: impl Iterator<Item = &'s Service>,
) -> anyhow::Result<()> {
    let images: BTreeSet<&str> = services
        .filter(|service| service.image_prefetch || service.synchronous.min_scale > 0)
        .map(|service| service.image.as_str())
        .collect();
    if images.is_empty() {
        context.screen.note("The images are fetched with the first jobs; `image_prefetch: true` fetches them beforehand.");
        return Ok(());
    }
    let bars = Bars::new(context.screen);
    let bar = bars.transfer("images", Some(0));
    let begun = Instant::now();
    let mut seen = false;
    while begun.elapsed() < LONGEST {
        let (current, total, names) = progress(&client.nodes().await?, &images);
        if names.is_empty() && (seen || begun.elapsed() > APPEARS) {
            drop(bar);
            context.screen.note("No image is on its way any more.");
            return Ok(());
        }
        if !names.is_empty() {
            seen = true;
            bar.set(current, total);
            bar.say(&names.into_iter().collect::<Vec<_>>().join(", "));
        }
        tokio::time::sleep(LOOK).await;
    }
    let minutes = units::duration(u64::try_from(LONGEST.as_micros()).unwrap_or(u64::MAX));
    context.screen.warn(format!(
        "the images have not arrived after {minutes}; see `spillway status`"
    ));
    Ok(())
}

fn progress(nodes: &[NodeReport], images: &BTreeSet<&str>) -> (u64, u64, BTreeSet<String>) {
    let pulls = nodes
        .iter()
        .flat_map(|node| &node.heartbeat.pulls)
        .filter(|pull| images.contains(pull.image.as_str()));
    pulls.fold(
        (0, 0, BTreeSet::new()),
        |(current, total, mut names), pull| {
            names.insert(pull.image.clone());
            (
                current + pull.current_bytes,
                total + pull.total_bytes,
                names,
            )
        },
    )
}
