//! The board alone: who gets what, without database and clock.

use spillway_model::service::Service;
use spillway_model::wire::link::{Engine, Join};
use tokio::sync::oneshot;

use super::*;
use crate::queue::catalog::Entry;

const MIB: u64 = 1024 * 1024;

struct Game {
    board: Board,
    now: Instant,
    jobs: i64,
    polls: Vec<oneshot::Receiver<Answer>>,
}

/// Services by name and cores, nodes by name and cores.
fn game(services: &[(&str, u64)], nodes: &[(&str, u64)]) -> Game {
    let mut board = Board::new(1, Duration::from_secs(30));
    let entries = services.iter().map(|(name, cores)| {
        let service = Service {
            cpu: cores.to_string(),
            memory: "64Mi".to_owned(),
            ..Service::default()
        };
        (
            (*name).to_owned(),
            Arc::new(Entry::new(name, 1, 0, &service)),
        )
    });
    board.set_catalog(Arc::new(Catalog {
        entries: entries.collect(),
    }));
    for lane in board.lanes.values_mut() {
        lane.begin_refill();
        lane.refilled(Vec::new(), true, None, |_| false);
    }
    for (name, cores) in nodes {
        let mut node = Node::new(Join {
            node: (*name).to_owned(),
            architecture: String::new(),
            version: String::new(),
            capacity: Resources {
                millicores: cores * 1000,
                memory_bytes: 1024 * MIB,
            },
            labels: BTreeMap::new(),
            engine: Engine::default(),
            running: Vec::new(),
        });
        node.is_ready = true;
        board.nodes.insert((*name).to_owned(), node);
    }
    Game {
        board,
        now: Instant::now(),
        jobs: 0,
        polls: Vec::new(),
    }
}

impl Game {
    fn job(&mut self, service: &str, priority: i32) {
        self.jobs += 1;
        let job = Ready {
            id: self.jobs,
            name: format!("{service}-{}", self.jobs),
            priority,
            ready_ms: self.jobs,
            attempt: 0,
            fresh: true,
            stored: None,
        };
        self.board.queued(service, job, i64::MAX);
    }

    /// The node asks; the names of the jobs it gets.
    fn ask(&mut self, node: &str) -> Vec<String> {
        let (reply, poll) = oneshot::channel();
        self.polls.push(poll);
        self.board.nodes.get_mut(node).unwrap().waiting = Some(Waiting {
            room: 8,
            until: self.now + Duration::from_mins(1),
            wanted_version: 0,
            reply,
            grants: Vec::new(),
        });
        self.board.place(self.now);
        let waiting = self.board.nodes.get_mut(node).unwrap().waiting.take();
        let granted = waiting.unwrap().grants;
        granted.into_iter().map(|grant| grant.name).collect()
    }

    fn end(&mut self, name: &str) {
        let id = self.board.by_name[name];
        self.board.drop_held(id, 1).unwrap();
    }

    fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }
}

#[test]
fn a_node_drains_for_a_large_job_that_small_ones_would_starve() {
    let mut game = game(&[("large", 2), ("small", 1)], &[("pi", 2)]);
    game.job("small", 0);
    game.job("small", 0);
    assert_eq!(game.ask("pi"), ["small-1", "small-2"]);
    game.job("large", 0);
    for _ in 0..3 {
        game.job("small", 0);
    }
    game.end("small-1");
    assert_eq!(game.ask("pi"), ["small-4"], "it has not waited long");
    game.later(11);
    game.end("small-2");
    assert!(game.ask("pi").is_empty(), "it drains");
    game.job("small", 5);
    assert_eq!(game.ask("pi"), ["small-7"], "priority goes first");
    game.end("small-4");
    game.end("small-7");
    assert_eq!(game.ask("pi"), ["large-3"]);
    game.end("large-3");
    assert_eq!(game.ask("pi"), ["small-5", "small-6"]);
}

#[test]
fn nothing_is_kept_free_for_a_job_that_fits_no_node_or_is_gone() {
    let mut game = game(&[("giant", 9), ("large", 2), ("small", 1)], &[("pi", 2)]);
    game.job("giant", 9);
    game.job("small", 0);
    game.job("small", 0);
    assert_eq!(game.ask("pi").len(), 2);
    game.job("large", 0);
    game.job("small", 0);
    game.later(1);
    assert!(game.ask("pi").is_empty());
    game.later(11);
    game.end("small-2");
    assert!(game.ask("pi").is_empty(), "it drains for the large one");
    game.board.left("large", 4);
    assert_eq!(game.ask("pi"), ["small-5"]);
}

#[allow(clippy::print_stdout)] // A measurement.
#[test]
fn a_decision_among_many_nodes_and_services_is_quick() {
    let names: Vec<String> = (0..1000).map(|number| format!("n{number:03}")).collect();
    let services: Vec<(&str, u64)> = names[..200].iter().map(|name| (name.as_str(), 1)).collect();
    let nodes: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 4)).collect();
    let mut game = game(&services, &nodes);
    for _ in 0..20 {
        for (service, _) in &services {
            game.job(service, 0);
        }
    }
    let start = std::time::Instant::now();
    let granted: usize = names.iter().map(|node| game.ask(node).len()).sum();
    assert_eq!(granted, 4000);
    // Told, not asserted: run with `--nocapture`.
    println!("{:?} for each grant", start.elapsed() / 4000);
}
