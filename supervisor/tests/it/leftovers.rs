//! What a script leaves behind: processes, descriptors, files.

use std::process::Command;

use crate::agent::{Supervisor, emulated, eventually, marked, marker};

#[test]
fn daemons_do_not_survive_and_do_not_delay_the_end() {
    let supervisor = Supervisor::start();
    let mut agent = supervisor.connect();
    for way in [
        "sleep MARK &",
        "nohup sleep MARK &",
        "setsid sleep MARK &",
        "setsid sh -c 'sleep MARK & sleep MARK' &",
        "(setsid sh -c '(sleep MARK &)' &)",
        "setsid sh -c 'trap \"\" TERM HUP; sleep MARK; true' & setsid sleep MARK &",
    ] {
        let mark = marker();
        let wait = "until grep -qs MARK /proc/[0-9]*/cmdline; do sleep 0.01; done; echo over";
        let outcome =
            agent.run(&supervisor.script(&format!("{way}\n{wait}").replace("MARK", &mark)));
        assert_eq!(marked(&mark), 0, "{way:?} survived");
        assert!(
            outcome.exited.left_behind >= 1,
            "{way:?}: {:?}",
            outcome.exited
        );
        assert_eq!(
            (outcome.exited.code, outcome.stdout().as_str()),
            (Some(0), "over\n"),
            "{way:?}"
        );
    }
}

#[test]
fn what_ended_before_the_script_was_not_left_behind() {
    let supervisor = Supervisor::start();
    let outcome = supervisor
        .connect()
        .run(&supervisor.script("setsid true & (true &) ; sleep 0.3; wait"));
    assert_eq!(outcome.exited.left_behind, 0);
}

#[test]
fn many_invocations_leak_neither_descriptors_nor_processes() {
    let supervisor = Supervisor::start_as(|binary, socket| {
        let mut command = Command::new("/bin/sh");
        let limited = if emulated() {
            "exec \"$@\""
        } else {
            "ulimit -n 24; exec \"$@\""
        };
        command
            .args(["-c", limited, "sh"])
            .arg(binary)
            .args(["--any-peer", "--socket"])
            .arg(socket);
        command
    });
    let mut agent = supervisor.connect();
    let rounds: u32 = if emulated() { 30 } else { 300 };
    for round in 0..rounds {
        let mut script = supervisor.script("sleep 100 & echo $0");
        match round % 3 {
            0 => (),
            1 => script.script = "/missing".to_owned(),
            _ => agent = supervisor.connect(),
        }
        let outcome = agent.run(&script);
        assert_eq!(
            outcome.exited.error.is_some(),
            round % 3 == 1,
            "round {round}: {:?}",
            outcome.exited
        );
    }
    let served = supervisor.dial().hello().served;
    assert_eq!(
        served,
        u64::from(rounds.div_ceil(3) + (rounds - 2).div_ceil(3))
    );
    if emulated() {
        return; // The supervisor is itself a child there.
    }
    let children = Command::new("ps")
        .args(["--ppid", &supervisor.pid().to_string(), "-o", "args="])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(children.stdout).unwrap(), "");
}

#[test]
fn scratch_folders_are_cleaned_and_what_the_image_had_stays() {
    let scratch = crate::agent::folder();
    let path = |name: &str| scratch.path().join(name);
    std::fs::write(path("of the image"), "").unwrap();
    let supervisor = Supervisor::start_as(|binary, socket| {
        let mut command = Command::new(binary);
        command
            .args(["--any-peer", "--socket"])
            .arg(socket)
            .arg("--scratch")
            .arg(scratch.path());
        command
    });
    let mut agent = supervisor.connect();
    let make = format!(
        "cd {} && mkdir -p a/b && touch a/b/c .hidden && chmod 0 a/b && mkfifo pipe",
        scratch.path().display()
    );
    assert_eq!(agent.run(&supervisor.script(&make)).exited.code, Some(0));
    assert_eq!(
        agent
            .run(&supervisor.script(&format!("ls -A {}", scratch.path().display())))
            .stdout(),
        "of the image\n"
    );
}

#[test]
fn an_ordinary_process_cleans_no_folder_that_it_was_not_told_to() {
    let supervisor = Supervisor::start();
    let mut agent = supervisor.connect();
    let outcome = agent.run(&supervisor.script("mktemp /tmp/spillway-supervisor-test.XXXXXX"));
    let file = outcome.stdout();
    assert!(std::path::Path::new(file.trim()).exists());
    std::fs::remove_file(file.trim()).unwrap();
}

#[test]
fn an_order_to_stop_takes_the_script_along() {
    if emulated() {
        return; // It is process 1 there, and tested as that.
    }
    let mut supervisor = Supervisor::start();
    let mut agent = supervisor.connect();
    let mark = marker();
    agent.begin(&supervisor.script(&format!("sleep {mark}; true")));
    eventually("it runs", || marked(&mark) == 1);
    nix::sys::signal::kill(supervisor.pid(), nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(supervisor.wait().code(), Some(0));
    eventually("the script is gone", || marked(&mark) == 0);
}
