//! Deadlines, and ends by order.

use spillway_model::wire::supervisor::Kind;

use crate::agent::{Supervisor, eventually, marked, marker};

#[test]
fn a_script_gets_time_for_a_last_word_at_its_deadline() {
    let supervisor = Supervisor::start();
    let mut agent = supervisor.connect();
    let mut script =
        supervisor.script("trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done");
    script.timeout_ms = 1_000;
    let outcome = agent.run(&script);
    assert_eq!(outcome.stdout(), "ready\nbye\n");
    assert!(outcome.exited.timed_out && !outcome.exited.killed);
    assert_eq!(outcome.exited.code, Some(3));
    assert!(
        (1_000_000..60_000_000).contains(&outcome.exited.wall_us),
        "{:?}",
        outcome.exited
    );
}

#[test]
fn a_script_that_ignores_the_end_is_killed_after_the_grace() {
    let supervisor = Supervisor::start();
    let mut agent = supervisor.connect();
    let mark = marker();
    let mut script = supervisor.script(&format!("trap '' TERM; sleep {mark}"));
    script.timeout_ms = 300;
    let outcome = agent.run(&script);
    assert!(outcome.exited.timed_out);
    assert_eq!(
        (outcome.exited.code, outcome.exited.signal),
        (None, Some(9))
    );
    assert!(outcome.exited.wall_us >= 2_300_000, "{:?}", outcome.exited);
    assert_eq!(marked(&mark), 0);
}

#[test]
fn a_script_within_its_time_is_left_alone() {
    let supervisor = Supervisor::start();
    let mut script = supervisor.script("sleep 0.2; echo done");
    for limit in [50_000, u64::from(u32::MAX) * 1000, u64::MAX] {
        script.timeout_ms = limit;
        let outcome = supervisor.connect().run(&script);
        assert_eq!(
            (outcome.stdout().as_str(), outcome.exited.timed_out),
            ("done\n", false),
            "limit {limit}"
        );
    }
}

#[test]
fn a_killed_run_ends_at_once_and_says_so() {
    let supervisor = Supervisor::start();
    let mut agent = supervisor.connect();
    let mark = marker();
    agent.begin(&supervisor.script(&format!("trap '' TERM; setsid sleep {mark} & sleep {mark}")));
    eventually("both run", || marked(&mark) == 2);
    agent.send(Kind::Kill, b"");
    let outcome = agent.outcome();
    assert!(outcome.exited.killed && !outcome.exited.timed_out);
    assert_eq!(outcome.exited.signal, Some(9));
    assert_eq!(marked(&mark), 0);
    assert_eq!(
        agent.run(&supervisor.script("echo next")).stdout(),
        "next\n"
    );
}

#[test]
fn a_kill_that_comes_too_late_harms_nobody() {
    let supervisor = Supervisor::start();
    let mut agent = supervisor.connect();
    assert_eq!(agent.run(&supervisor.script("")).exited.code, Some(0));
    agent.send(Kind::Kill, b"");
    let exited = agent.run(&supervisor.script("")).exited;
    assert_eq!((exited.code, exited.killed), (Some(0), false));
}

#[test]
fn an_agent_that_does_not_read_stops_neither_deadline_nor_kill() {
    let supervisor = Supervisor::start();
    let mut agent = supervisor.connect();
    for by_kill in [false, true] {
        let mark = marker();
        let mut script = supervisor.script(&format!("sleep {mark} & exec yes"));
        script.log_limit = u64::MAX;
        script.timeout_ms = if by_kill { 0 } else { 500 };
        agent.begin(&script);
        eventually("it runs", || marked(&mark) == 1);
        if by_kill {
            agent.send(Kind::Kill, b"");
        }
        eventually("it is gone", || marked(&mark) == 0);
        let exited = agent.outcome().exited;
        assert_eq!(
            (exited.killed, exited.timed_out, exited.dropped_bytes),
            (by_kill, !by_kill, 0)
        );
    }
}
