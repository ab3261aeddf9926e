//! Much output: limits, and who waits for whom.

use spillway_model::wire::supervisor::Kind;

use crate::agent::{Supervisor, emulated};

const TAIL: u64 = 16 * 1024;

#[test]
fn a_flood_is_cut_to_head_and_tail_in_bounded_memory() {
    let supervisor = Supervisor::start();
    let mut agent = supervisor.connect();
    agent.run(&supervisor.script("true"));
    let before = supervisor.status_kib("VmRSS");
    let written: u64 = if emulated() { 10 << 20 } else { 100 << 20 };
    let mut script = supervisor.script(&format!(
        "echo first; yes | head -c {written}; echo; echo last"
    ));
    script.log_limit = 50_000;
    let outcome = agent.run(&script);
    let text = outcome.stdout();
    assert_eq!(text.len() as u64, 50_000 + TAIL);
    assert_eq!(outcome.exited.dropped_bytes, written + 12 - 50_000 - TAIL);
    assert!(text.starts_with("first\ny\ny\n") && text.ends_with("y\n\nlast\n"));
    let after = supervisor.status_kib("VmHWM");
    assert!(
        after - before < 4 * 1024 || emulated(),
        "grew from {before} to {after} KiB"
    );
}

#[test]
fn a_limit_of_nothing_still_brings_the_last_words() {
    let supervisor = Supervisor::start();
    let mut script = supervisor.script("echo out; sleep 0.1; echo err >&2; exit 1");
    script.log_limit = 0;
    let outcome = supervisor.connect().run(&script);
    assert_eq!(
        outcome.frames,
        [
            (Kind::Stdout, b"out\n".to_vec()),
            (Kind::Stderr, b"err\n".to_vec())
        ]
    );
    assert_eq!(outcome.exited.dropped_bytes, 0);
}

#[test]
fn output_exactly_at_the_limit_is_complete() {
    let supervisor = Supervisor::start();
    let mut agent = supervisor.connect();
    for (limit, dropped) in [(20_000 + TAIL, 0), (20_000, 0), (19_999, 1)] {
        let mut script = supervisor.script(&format!("head -c {} /dev/zero", 20_000 + TAIL));
        script.log_limit = limit;
        let outcome = agent.run(&script);
        assert_eq!(outcome.exited.dropped_bytes, dropped, "limit {limit}");
        assert_eq!(
            outcome.bytes(Kind::Stdout).len() as u64,
            20_000 + TAIL - dropped,
            "limit {limit}"
        );
    }
}

#[test]
fn a_script_waits_for_an_agent_that_does_not_read() {
    let supervisor = Supervisor::start();
    let mut agent = supervisor.connect();
    let done = supervisor.path("done");
    let written = 20_000_000;
    let mut script = supervisor.script(&format!(
        "yes | head -c {written}; touch {}",
        done.display()
    ));
    script.log_limit = u64::MAX;
    agent.begin(&script);
    let before = supervisor.status_kib("VmRSS");
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert!(!done.exists(), "20 MB went somewhere");
    let grown = supervisor.status_kib("VmRSS").saturating_sub(before);
    assert!(grown < 2 * 1024 || emulated(), "grew by {grown} KiB");
    let outcome = agent.outcome();
    assert_eq!(outcome.bytes(Kind::Stdout).len(), written);
    assert_eq!(
        (outcome.exited.code, outcome.exited.dropped_bytes),
        (Some(0), 0)
    );
    assert!(done.exists());
}
