//! Nothing is lost, nothing is done twice in a way that shows, nothing is left over: whatever is killed when.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // The seed is for whoever reads a failed run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use spillway_model::report::JobState;
use spillway_testkit::{
    AgentOptions, Client, Cluster, ClusterOptions, PATIENCE, PrivateDockerd, ServiceSpec,
};
use tokio::time::sleep;

const UPLOADS: usize = 200;
const KILLS: u32 = 24;

/// A small generator of numbers that differ from run to run but can be repeated: `SPILLWAY_SEED`.
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        let clock = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let seed = std::env::var("SPILLWAY_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or(u64::from(clock.subsec_nanos()));
        println!("SPILLWAY_SEED={seed}");
        Self(seed)
    }

    /// A number below `limit` (`splitmix64`).
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((z ^ (z >> 31)) % u64::from(limit)).unwrap()
    }
}

#[allow(clippy::too_many_lines)] // A story, told in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_accepted_upload_has_exactly_one_result_whatever_is_killed() -> Result<()> {
    let mut dice = Dice::new();
    let mut dockerd = PrivateDockerd::start().await?;
    let options = ClusterOptions {
        agents: vec![
            AgentOptions {
                flags: vec!["--cpus".to_owned(), "2".to_owned()]
            };
            2
        ],
        engine: Some((dockerd.engine().await?, dockerd.address())),
        ..ClusterOptions::default()
    };
    let mut cluster = Cluster::with(options).await?;

    // `work` gives each input a result that depends on its bytes; some runs are long enough to be hit.
    let work = r#"case $(basename "$INPUT_FILE_PATH") in *7.txt) sleep 0.4 ;; esac
        rev < "$INPUT_FILE_PATH" > "$TMP_OUTPUT_DIR/$(basename "$INPUT_FILE_PATH")""#;
    cluster
        .apply(&ServiceSpec::new("work", work).with("edge.retries", 5))
        .await?;
    // `witness` is triggered by every publication of `work`: it counts them.
    let witness = r#"echo "$STORAGE_OBJECT_KEY""#;
    cluster
        .apply(
            &ServiceSpec::new("witness", witness)
                .from("work/out")
                .with("edge.retries", 5),
        )
        .await?;

    let accepted = Arc::new(AtomicUsize::new(0));
    let mut uploads = tokio::task::JoinSet::new();
    for worker in 0..4 {
        let client: Client = (*cluster).clone();
        let accepted = Arc::clone(&accepted);
        uploads.spawn(async move {
            for number in (worker..UPLOADS).step_by(4) {
                upload(&client, number).await?;
                accepted.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(150)).await;
            }
            anyhow::Ok(())
        });
    }

    let restart_at = 5 + dice.below(KILLS - 10);
    for kill in 0..KILLS {
        sleep(Duration::from_millis(100 + u64::from(dice.below(900)))).await;
        match dice.below(3) {
            0 => {
                cluster.gateway.kill().await?;
                sleep(Duration::from_millis(dice.below(300).into())).await;
                cluster.restart_gateway().await?;
            }
            agent => {
                let agent = usize::try_from(agent - 1)?;
                cluster.agents[agent].kill().await?;
                sleep(Duration::from_millis(dice.below(300).into())).await;
                cluster.restart_agent(agent)?;
            }
        }
        if kill == restart_at {
            dockerd.restart().await?;
        }
    }
    while let Some(done) = uploads.join_next().await {
        done??;
    }
    assert_eq!(accepted.load(Ordering::Relaxed), UPLOADS);

    // An upload whose answer was lost was sent again: as many jobs as commits, at least one per file.
    let jobs = cluster
        .wait_for_jobs_within("work", UPLOADS, PATIENCE * 3)
        .await?;
    let lost: Vec<_> = jobs
        .iter()
        .filter(|job| job.state != JobState::Succeeded)
        .collect();
    ensure!(lost.is_empty(), "not succeeded: {lost:#?}");
    let interruptions: u32 = jobs.iter().map(|job| job.interruptions).sum();
    println!(
        "of {} jobs {} have an attempt above 1 (a restarted gateway skips a number); {interruptions} interruptions; \
         {} uploads were repeated",
        jobs.len(),
        jobs.iter().filter(|job| job.attempt > 1).count(),
        jobs.len() - UPLOADS,
    );
    ensure!(
        interruptions > 0,
        "nothing was interrupted: these kills prove nothing"
    );
    for number in 0..UPLOADS {
        let result = cluster
            .get(&format!("work/out/{number}.txt"))
            .await?
            .context(format!("no result of {number}"))?;
        let expected: String = content(number).trim_end().chars().rev().collect::<String>() + "\n";
        assert_eq!(
            String::from_utf8_lossy(&result),
            expected,
            "the result of {number}"
        );
    }
    assert_eq!(cluster.list("work/out/").await?.len(), UPLOADS);

    // Exactly one publication per job.
    let witnesses = cluster
        .wait_for_jobs_within("witness", jobs.len(), PATIENCE)
        .await?;
    let count = |paths: Vec<String>| {
        let mut counts = BTreeMap::<String, usize>::new();
        for path in paths {
            *counts
                .entry(path.rsplit('/').next().unwrap_or_default().to_owned())
                .or_default() += 1;
        }
        counts
    };
    let input = |job: &spillway_model::report::JobReport| {
        job.input
            .as_ref()
            .map_or(String::new(), |input| input.path.clone())
    };
    assert_eq!(
        count(witnesses.iter().map(input).collect()),
        count(jobs.iter().map(input).collect())
    );

    cluster.wait_for_nodes(2).await?;
    cluster.finish().await?;
    dockerd.stop().await
}

fn content(number: usize) -> String {
    format!("upload number {number} of {UPLOADS}\n")
}

/// Sends the file until it is accepted.
async fn upload(client: &Client, number: usize) -> Result<()> {
    let path = format!("work/in/{number}.txt");
    for _ in 0..600 {
        if client.put(&path, content(number)).await.is_ok() {
            return Ok(());
        }
        sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("{path} was never accepted")
}
