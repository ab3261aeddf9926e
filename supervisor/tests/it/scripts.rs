//! What a script sees, and what is seen of it.

use spillway_model::wire::supervisor::Kind;

use crate::agent::{Supervisor, emulated};

#[test]
fn output_comes_in_order_and_by_stream() {
    let supervisor = Supervisor::start();
    let script = supervisor
        .script("for n in 1 2 3; do echo out $n; sleep 0.1; echo err $n >&2; sleep 0.1; done");
    let outcome = supervisor.connect().run(&script);
    let expected = [
        (Kind::Stdout, "out 1\n"),
        (Kind::Stderr, "err 1\n"),
        (Kind::Stdout, "out 2\n"),
        (Kind::Stderr, "err 2\n"),
        (Kind::Stdout, "out 3\n"),
        (Kind::Stderr, "err 3\n"),
    ];
    assert_eq!(
        outcome.frames,
        expected.map(|(kind, text)| (kind, text.into()))
    );
    assert!(outcome.started);
}

#[test]
fn output_is_passed_on_while_the_script_runs() {
    let supervisor = Supervisor::start();
    let mut agent = supervisor.connect();
    let go = supervisor.path("go");
    agent.begin(&supervisor.script(&format!(
        "echo waiting; until [ -e {} ]; do sleep 0.01; done",
        go.display()
    )));
    assert_eq!(agent.frame(), Some((Kind::Stdout, b"waiting\n".to_vec())));
    std::fs::write(go, "").unwrap();
    assert_eq!(agent.outcome().exited.code, Some(0));
}

#[test]
fn bytes_that_are_no_text_pass_unchanged() {
    let supervisor = Supervisor::start();
    let outcome = supervisor
        .connect()
        .run(&supervisor.script(r"printf '\377\000\200x'"));
    assert_eq!(outcome.bytes(Kind::Stdout), b"\xff\0\x80x");
}

#[test]
fn exit_codes_and_signals_are_told_apart() {
    let supervisor = Supervisor::start();
    let mut agent = supervisor.connect();
    let mut check = |text: &str, code, signal| {
        let exited = agent.run(&supervisor.script(text)).exited;
        assert_eq!(
            (exited.code, exited.signal, exited.error),
            (code, signal, None),
            "for {text:?}"
        );
    };
    check("", Some(0), None);
    check("exit 7", Some(7), None);
    check("exit 255", Some(255), None);
    check("no-such-command", Some(127), None);
    check("kill -SEGV $$", None, Some(11));
    check("kill -KILL $$", None, Some(9));
    check("kill -PIPE $$", None, Some(13));
}

#[test]
fn standard_input_is_the_named_file_or_nothing() {
    let supervisor = Supervisor::start();
    let mut agent = supervisor.connect();
    let event = supervisor.path("event");
    std::fs::write(&event, "{\"temperature\": 21}").unwrap();
    let mut script = supervisor.script("cat; echo end");
    assert_eq!(agent.run(&script).stdout(), "end\n");
    script.stdin = Some(event.to_str().unwrap().to_owned());
    assert_eq!(agent.run(&script).stdout(), "{\"temperature\": 21}end\n");
    script.stdin = Some("/nowhere/event".to_owned());
    let error = agent.run(&script).exited.error.unwrap();
    assert!(error.contains("/nowhere/event"), "{error}");
}

#[test]
fn variables_of_the_invocation_come_on_top_of_the_containers() {
    let supervisor = Supervisor::start_as(|binary, socket| {
        let mut command = std::process::Command::new(binary);
        command.args(["--any-peer", "--socket"]).arg(socket);
        command
            .env("KEPT", "by the image")
            .env("REPLACED", "by the image");
        command
    });
    let mut agent = supervisor.connect();
    let mut script = supervisor.script("env | grep -E '^(KEPT|REPLACED|ADDED|EMPTY)=' | sort");
    script.environment = [
        ("REPLACED", "by the run"),
        ("ADDED", "über = alles\nand more"),
        ("EMPTY", ""),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    assert_eq!(
        agent.run(&script).stdout(),
        "ADDED=über = alles\nEMPTY=\nKEPT=by the image\nREPLACED=by the run\n"
    );
    script.environment.clear();
    assert_eq!(
        agent.run(&script).stdout(),
        "KEPT=by the image\nREPLACED=by the image\n"
    );
    script.environment = vec![("A=B".to_owned(), String::new())];
    let outcome = agent.run(&script);
    assert!(outcome.exited.error.unwrap().contains("\"A=B\""));
    assert!(!outcome.started);
}

#[test]
fn a_large_environment_fits_and_a_too_large_one_is_explained() {
    let supervisor = Supervisor::start();
    let mut agent = supervisor.connect();
    let mut script = supervisor.script("echo ${#V0} ${#V99}");
    script.environment = (0..100)
        .map(|number| (format!("V{number}"), "x".repeat(5_000)))
        .collect();
    assert_eq!(agent.run(&script).stdout(), "5000 5000\n");
    if emulated() {
        return; // A failed exec is not reported there.
    }
    script.environment = vec![("EVENT".to_owned(), "x".repeat(200_000))];
    let error = agent.run(&script).exited.error.unwrap();
    assert!(error.contains("environment is too large"), "{error}");
    script.environment.clear();
    assert_eq!(agent.run(&script).stdout(), "0 0\n");
}

#[test]
fn a_missing_script_is_an_error_in_words() {
    let supervisor = Supervisor::start();
    let mut script = supervisor.script("");
    script.script = "/oscar/config/script.sh".to_owned();
    let outcome = supervisor.connect().run(&script);
    assert_eq!(
        outcome.exited.error.as_deref(),
        Some("the script /oscar/config/script.sh is missing in the container")
    );
    assert!(!outcome.started && outcome.exited.code.is_none());
}

#[test]
fn the_working_folder_and_the_umask_are_the_containers() {
    let supervisor = Supervisor::start_as(|binary, socket| {
        let mut command = std::process::Command::new(binary);
        command
            .args(["--any-peer", "--socket"])
            .arg(socket)
            .current_dir("/usr");
        command
    });
    let outcome = supervisor.connect().run(&supervisor.script("pwd; umask"));
    let mask = String::from_utf8(
        std::process::Command::new("sh")
            .args(["-c", "umask"])
            .output()
            .unwrap()
            .stdout,
    );
    assert_eq!(outcome.stdout(), format!("/usr\n{}", mask.unwrap()));
}

#[test]
fn a_script_inherits_no_signal_setting_and_no_descriptor() {
    let text = "grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd | wc -l";
    let supervisor = Supervisor::start();
    let mut agent = supervisor.connect();
    // What it would inherit from us without a supervisor between.
    let plain = std::process::Command::new("sh")
        .args(["-c", text])
        .output()
        .unwrap();
    // The C library ignores its own two signals (32 and 33) when it spawns; programs do not use them.
    let usual = |text: &str| text.replace("SigIgn:\t0000000180000000", "SigIgn:\t0000000000000000");
    let plain = usual(&String::from_utf8(plain.stdout).unwrap());
    let seen = usual(&agent.run(&supervisor.script(text)).stdout());
    assert!(seen == plain || emulated(), "{seen:?} instead of {plain:?}");
    let outcome = agent.run(&supervisor.script("yes | head -n 1"));
    assert_eq!(
        (outcome.stdout().as_str(), outcome.stderr().as_str()),
        ("y\n", "")
    );
}

#[test]
fn what_a_script_used_is_told() {
    let supervisor = Supervisor::start();
    let text = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; sleep 0.2; head -c 40000000 /dev/zero | tail -c 1 >/dev/null";
    let exited = supervisor.connect().run(&supervisor.script(text)).exited;
    assert!(
        exited.wall_us >= 200_000 && exited.wall_us > exited.user_us / 2,
        "{exited:?}"
    );
    assert!(exited.user_us >= 10_000, "{exited:?}");
    assert!(
        (100_000..2_000_000_000).contains(&exited.max_rss_bytes),
        "{exited:?}"
    );
    assert_eq!(
        (
            exited.timed_out,
            exited.killed,
            exited.left_behind,
            exited.dropped_bytes
        ),
        (false, false, 0, 0)
    );
}

#[test]
fn the_kernel_kills_the_script_first_when_memory_runs_out() {
    let supervisor = Supervisor::start();
    let mut agent = supervisor.connect();
    assert_eq!(
        agent
            .run(&supervisor.script("cat /proc/self/oom_score_adj"))
            .stdout(),
        "1000\n"
    );
    let own = std::fs::read_to_string(format!("/proc/{}/oom_score_adj", supervisor.pid())).unwrap();
    assert_eq!(
        own,
        std::fs::read_to_string("/proc/self/oom_score_adj").unwrap()
    );
}
