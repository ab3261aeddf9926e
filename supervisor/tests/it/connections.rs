//! Agents that come, go, and talk nonsense.

use spillway_model::wire::supervisor::{Kind, MAX_FRAME, PROTOCOL};

use crate::agent::{Supervisor, eventually, marked, marker};

#[test]
fn a_connection_is_greeted_with_version_and_count() {
    let supervisor = Supervisor::start();
    let mut agent = supervisor.dial();
    let hello = agent.hello();
    assert_eq!(
        (hello.protocol, hello.version.as_str(), hello.served),
        (PROTOCOL, env!("CARGO_PKG_VERSION"), 0)
    );
    agent.run(&supervisor.script(""));
    assert_eq!(supervisor.dial().hello().served, 1);
}

#[test]
fn a_lost_connection_kills_the_run_and_the_next_one_is_served() {
    let supervisor = Supervisor::start();
    let mut agent = supervisor.connect();
    let mark = marker();
    agent.begin(&supervisor.script(&format!(
        "trap '' TERM HUP; setsid sleep {mark} & sleep {mark}; true"
    )));
    eventually("both run", || marked(&mark) == 2);
    drop(agent);
    let mut next = supervisor.connect();
    assert_eq!(
        marked(&mark),
        0,
        "the next agent was greeted while the old run lived"
    );
    assert_eq!(
        next.run(&supervisor.script("echo fresh")).stdout(),
        "fresh\n"
    );
}

#[test]
fn who_connects_during_a_run_waits_for_its_end() {
    let supervisor = Supervisor::start();
    let mut first = supervisor.connect();
    let go = supervisor.path("go");
    first.begin(&supervisor.script(&format!(
        "until [ -e {} ]; do sleep 0.01; done; echo undisturbed",
        go.display()
    )));
    let mut second = supervisor.dial();
    std::thread::sleep(std::time::Duration::from_millis(200));
    std::fs::write(go, "").unwrap();
    assert_eq!(first.outcome().stdout(), "undisturbed\n");
    assert_eq!(second.hello().served, 1);
    assert_eq!(
        first.frame(),
        None,
        "the newer connection replaces the idle one"
    );
    assert_eq!(
        second.run(&supervisor.script("echo mine")).stdout(),
        "mine\n"
    );
}

#[test]
fn nonsense_costs_the_connection_and_nothing_else() {
    let supervisor = Supervisor::start();
    let too_long = u32::try_from(MAX_FRAME + 1).unwrap().to_le_bytes();
    for nonsense in [
        &[0, 0, 0, 0][..],
        &too_long,
        &[1, 0, 0, 0, 99],
        &[1, 0, 0, 0, 1],
        &[3, 0, 0, 0, 2, b'{', b'}'],
    ] {
        let mut agent = supervisor.connect();
        agent.send_raw(nonsense);
        assert_eq!(agent.frame(), None, "after {nonsense:?}");
    }
    assert_eq!(
        supervisor
            .connect()
            .run(&supervisor.script("echo well"))
            .stdout(),
        "well\n"
    );
}

#[test]
fn a_second_invocation_during_the_first_is_against_the_protocol() {
    let supervisor = Supervisor::start();
    let mut agent = supervisor.connect();
    let mark = marker();
    let script = supervisor.script(&format!("sleep {mark}; true"));
    agent.begin(&script);
    agent.send_run(&script);
    assert_eq!(agent.frame(), None);
    supervisor.connect();
    assert_eq!(marked(&mark), 0);
}

#[test]
fn a_request_in_small_pieces_is_put_together() {
    let supervisor = Supervisor::start();
    let mut agent = supervisor.connect();
    let payload = serde_json::to_vec(&supervisor.script("echo whole")).unwrap();
    let mut frame = u32::try_from(payload.len() + 1)
        .unwrap()
        .to_le_bytes()
        .to_vec();
    frame.push(Kind::Run as u8);
    frame.extend(payload);
    for piece in frame.chunks(7) {
        agent.send_raw(piece);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(agent.outcome().stdout(), "whole\n");
}

#[test]
fn a_stale_socket_is_replaced_and_everybody_may_connect() {
    use std::os::unix::fs::PermissionsExt;
    let supervisor = Supervisor::start_as(|binary, socket| {
        drop(std::os::unix::net::UnixListener::bind(socket).unwrap());
        let mut command = std::process::Command::new(binary);
        command.args(["--any-peer", "--socket"]).arg(socket);
        command
    });
    assert_eq!(
        supervisor
            .connect()
            .run(&supervisor.script("echo here"))
            .stdout(),
        "here\n"
    );
    let mode = std::fs::metadata(supervisor.path("s.sock"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o777);
}
