//! As process 1 of a PID namespace of its own, made by `unshare(1)`, which needs root.

use std::process::Command;

use spillway_model::wire::supervisor::Kind;

use crate::agent::{Supervisor, dial, eventually, marked, marker, script_in};

/// A supervisor as process 1, or nothing where that is not allowed. Its scratch folder is one of the test's: the
/// file systems are still the machine's.
fn process_1(arguments: &'static [&'static str]) -> Option<Supervisor> {
    if !Command::new("unshare")
        .args(["--pid", "--fork", "--mount-proc", "true"])
        .status()
        .is_ok_and(|ok| ok.success())
    {
        eprintln!("skipped: unshare(1) may not make a PID namespace here");
        return None;
    }
    Some(Supervisor::start_as(|binary, socket| {
        let mut command = Command::new("unshare");
        command
            .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
            .arg(binary)
            .arg("--socket")
            .arg(socket);
        command
            .arg("--scratch")
            .arg(socket.with_file_name("scratch"))
            .args(arguments);
        command
    }))
}

#[test]
fn process_1_kills_whatever_a_script_leaves() {
    let Some(supervisor) = process_1(&[]) else {
        return;
    };
    let mut agent = supervisor.connect();
    let mark = marker();
    let text = "setsid sh -c 'sleep MARK & exec sleep MARK' & (setsid sleep MARK &) ; echo me $$
        until [ $(pgrep -cx sleep) -ge 3 ]; do sleep 0.02; done"
        .replace("MARK", &mark);
    for round in 0..3 {
        let outcome = agent.run(&supervisor.script(&text));
        assert_eq!(marked(&mark), 0, "round {round}");
        assert!(outcome.exited.left_behind >= 3, "{:?}", outcome.exited);
    }
    let outcome = agent.run(&supervisor.script("set -- /proc/[0-9]*; echo $#; cat /proc/1/comm"));
    // Process 1 and the shell.
    assert_eq!(outcome.stdout(), "2\nspillway-superv\n");
}

#[test]
fn process_1_reaps_orphans_while_a_script_runs() {
    let Some(supervisor) = process_1(&[]) else {
        return;
    };
    let text = "for n in 1 2 3 4 5 6 7 8 9; do (setsid true &); done; sleep 0.5; grep -h '^State' /proc/[0-9]*/status | grep -c Z";
    assert_eq!(
        supervisor.connect().run(&supervisor.script(text)).stdout(),
        "0\n"
    );
}

#[test]
fn a_script_cannot_stop_or_read_its_supervisor() {
    let Some(supervisor) = process_1(&[]) else {
        return;
    };
    let mut agent = supervisor.connect();
    let outcome = agent
        .run(&supervisor.script(
            "kill -TERM 1; kill -KILL 1; kill -INT 1; kill -QUIT 1; sleep 0.1; echo alive",
        ));
    assert_eq!(outcome.stdout(), "alive\n");
    assert_eq!(
        agent.run(&supervisor.script("echo served")).stdout(),
        "served\n"
    );
}

#[test]
fn an_order_from_outside_stops_process_1() {
    let Some(mut supervisor) = process_1(&[]) else {
        return;
    };
    let mut agent = supervisor.connect();
    let mark = marker();
    agent.begin(&supervisor.script(&format!("trap '' TERM; sleep {mark}; true")));
    eventually("it runs", || marked(&mark) == 1);
    nix::sys::signal::kill(inside(&supervisor), nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(supervisor.wait().code(), Some(0));
    assert_eq!(marked(&mark), 0);
}

#[test]
fn a_lost_agent_costs_process_1_the_run_only() {
    let Some(supervisor) = process_1(&[]) else {
        return;
    };
    let mut agent = supervisor.connect();
    let mark = marker();
    agent.begin(&supervisor.script(&format!("setsid sleep {mark} & sleep {mark}; true")));
    eventually("both run", || marked(&mark) == 2);
    drop(agent);
    assert_eq!(
        supervisor
            .connect()
            .run(&supervisor.script("echo next"))
            .stdout(),
        "next\n"
    );
    assert_eq!(marked(&mark), 0);
}

#[test]
fn an_order_from_inside_the_container_is_refused() {
    let Some(supervisor) = process_1(&[]) else {
        return;
    };
    let mut agent = supervisor.connect();
    assert!(
        !obeys_somebody_inside(&supervisor),
        "a process of the container gave orders"
    );
    assert_eq!(
        agent.run(&supervisor.script("echo undisturbed")).stdout(),
        "undisturbed\n"
    );
}

/// Shows that the test above would see an obedient supervisor.
#[test]
fn an_order_from_inside_the_container_is_obeyed_in_tests_only() {
    let Some(supervisor) = process_1(&["--any-peer"]) else {
        return;
    };
    assert!(obeys_somebody_inside(&supervisor));
}

/// Has a process of the same PID namespace connect and give an order, and says whether it was carried out.
fn obeys_somebody_inside(supervisor: &Supervisor) -> bool {
    let proof = supervisor.path("proof");
    let status = Command::new("nsenter")
        .args(["--pid", "--target", &inside(supervisor).to_string()])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "process_one::gives_an_order"])
        .env("ORDER_SOCKET", supervisor.path("s.sock"))
        .env("ORDER_PROOF", &proof)
        .stdout(std::process::Stdio::null())
        .status();
    assert!(status.unwrap().success());
    proof.exists()
}

#[test]
#[ignore = "a part of the tests above, which run it inside the namespace"]
fn gives_an_order() {
    let variable = |name| std::path::PathBuf::from(std::env::var_os(name).unwrap());
    let proof = variable("ORDER_PROOF");
    let order = script_in(
        proof.parent().unwrap(),
        &format!("touch {}", proof.display()),
    );
    let mut agent = dial(&variable("ORDER_SOCKET"));
    if agent.frame().is_some_and(|(kind, _)| kind == Kind::Hello) {
        agent.run(&order);
    }
}

/// The process that `unshare` runs, as we number it.
fn inside(supervisor: &Supervisor) -> nix::unistd::Pid {
    let children = Command::new("ps")
        .args(["--ppid", &supervisor.pid().to_string(), "-o", "pid="])
        .output()
        .unwrap();
    nix::unistd::Pid::from_raw(
        String::from_utf8(children.stdout)
            .unwrap()
            .trim()
            .parse()
            .unwrap(),
    )
}
