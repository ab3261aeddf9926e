//! Random interleavings of everything that may happen to jobs. Whatever the order: no job is lost, none is
//! published twice, and no result of an older attempt is published after a newer one was granted.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use axum::http::StatusCode;
use proptest::prelude::*;
use spillway_model::report::JobState;
use spillway_model::wire::link::Lease;

use super::house::{Agent, House, output, quick};
use crate::queue::QueueSettings;

#[derive(Debug, Clone)]
enum Step {
    Put,
    /// Node asks for work.
    Poll(usize),
    /// The n-th lease that was ever granted is completed by its node, whether it still is its lease or not.
    Succeed(usize),
    Fail(usize),
    Interrupt(usize),
    /// The node names its leases (all that it did not complete), or none of them.
    Heartbeat(usize, bool),
    /// Leases lapse.
    Wait,
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Put),
        6 => (0..2usize).prop_map(Step::Poll),
        4 => (0..16usize).prop_map(Step::Succeed),
        1 => (0..16usize).prop_map(Step::Fail),
        1 => (0..16usize).prop_map(Step::Interrupt),
        3 => (0..2usize, any::<bool>()).prop_map(|(node, names)| Step::Heartbeat(node, names)),
        1 => Just(Step::Wait),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_events_loses_a_job_or_publishes_it_twice(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(Box::pin(play(steps)));
    }
}

struct Play {
    house: House,
    nodes: Vec<Agent>,
    granted: Vec<(usize, Lease)>,
    done: Vec<usize>,
    /// Highest attempt that was ever granted of a job.
    newest: HashMap<String, u32>,
    /// By job: the attempts whose success was accepted.
    accepted: BTreeMap<String, Vec<u32>>,
    jobs: Vec<String>,
}

async fn play(steps: Vec<Step>) {
    let settings = QueueSettings {
        lease: Duration::from_millis(120),
        handover: Duration::from_millis(10),
        ..quick()
    };
    let house = House::new(settings).await;
    house
        .service("grey", |service| {
            service.edge.as_mut().unwrap().retries = Some(1000);
        })
        .await;
    let nodes = vec![house.agent("a", 2).await, house.agent("b", 2).await];
    let mut play = Play {
        house,
        nodes,
        granted: Vec::new(),
        done: Vec::new(),
        newest: HashMap::new(),
        accepted: BTreeMap::new(),
        jobs: Vec::new(),
    };
    for step in steps {
        play = play.step(step).await;
    }
    play.finish().await;
}

impl Play {
    async fn step(mut self, step: Step) -> Self {
        match step {
            Step::Put => {
                let key = format!("in/{}", self.jobs.len());
                self.jobs.extend(self.house.put("grey", &key, "x").await);
            }
            Step::Poll(node) => self.poll(node).await,
            Step::Succeed(lease) => self.succeed(lease).await,
            Step::Fail(lease) => {
                if let Some((node, lease)) = self.granted.get(lease) {
                    self.nodes[*node].fail(&self.house, &lease.attempt).await;
                }
            }
            Step::Interrupt(lease) => {
                if let Some((node, lease)) = self.granted.get(lease) {
                    self.nodes[*node]
                        .interrupt(&self.house, &lease.attempt)
                        .await;
                }
            }
            Step::Heartbeat(node, names) => {
                let open = self
                    .granted
                    .iter()
                    .enumerate()
                    .filter(|(place, _)| names && !self.done.contains(place));
                let running: Vec<_> = open
                    .filter(|(_, (of, _))| *of == node)
                    .map(|(_, (_, lease))| lease.attempt.clone())
                    .collect();
                self.nodes[node].heartbeat(&self.house, &running).await;
            }
            Step::Wait => tokio::time::sleep(Duration::from_millis(150)).await,
            Step::Crash => self.house = self.house.crash().await,
        }
        self
    }

    async fn poll(&mut self, node: usize) {
        for lease in self.nodes[node].poll(&self.house, 2, 15).await.leases {
            let newest = self.newest.entry(lease.attempt.job.clone()).or_default();
            assert!(
                lease.attempt.attempt > *newest,
                "{:?} was granted after {newest}",
                lease.attempt
            );
            *newest = lease.attempt.attempt;
            self.granted.push((node, lease));
        }
    }

    async fn succeed(&mut self, place: usize) {
        let Some((node, lease)) = self.granted.get(place) else {
            return;
        };
        let attempt = &lease.attempt;
        let outputs = vec![output(
            "grey",
            &format!("out/{}", attempt.job),
            &attempt.attempt.to_string(),
        )];
        let status = self.nodes[*node]
            .succeed(&self.house, attempt, outputs)
            .await;
        self.done.push(place);
        // A repetition of an end that was committed is answered in the same way; it may have been a failure.
        if status == StatusCode::OK
            && self.house.job(&attempt.job).await.state == JobState::Succeeded
        {
            let accepted = self.accepted.entry(attempt.job.clone()).or_default();
            if !accepted.contains(&attempt.attempt) {
                assert_eq!(
                    attempt.attempt, self.newest[&attempt.job],
                    "an old attempt of {} was published",
                    attempt.job
                );
                accepted.push(attempt.attempt);
            }
        }
    }

    /// Lets everything that is left run to its end, and looks at the result.
    async fn finish(mut self) {
        for _ in 0..200 {
            if self
                .house
                .number("SELECT count(*) FROM jobs WHERE state <> 'succeeded'")
                .await
                == 0
            {
                break;
            }
            let before = self.granted.len();
            self.poll(0).await;
            for place in before..self.granted.len() {
                self.succeed(place).await;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for name in &self.jobs {
            assert_eq!(
                self.house.job(name).await.state,
                JobState::Succeeded,
                "{name} is stuck"
            );
            let accepted = &self.accepted[name];
            assert_eq!(accepted.len(), 1, "{name} was published by {accepted:?}");
            let seen = self.house.object("grey", &format!("out/{name}")).await;
            assert_eq!(
                seen,
                Some(accepted[0].to_string()),
                "{name} shows the result of another attempt"
            );
        }
        assert_eq!(
            self.house
                .number("SELECT count(*) FROM jobs WHERE blob IS NOT NULL")
                .await,
            0
        );
    }
}
