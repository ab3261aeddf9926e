use clap::Parser as _;

use super::*;

#[derive(clap::Parser)]
struct Command {
    #[command(flatten)]
    config: Config,
}

fn parse(flags: &[&str], file: &str) -> anyhow::Result<Config> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("gateway.yaml");
    std::fs::write(&path, file)?;
    let path = path.to_string_lossy().into_owned();
    let arguments = ["gateway", "--config", &path]
        .into_iter()
        .chain(flags.iter().copied());
    Command::try_parse_from(arguments)?.config.with_file()
}

#[test]
fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
    let config = parse(
        &["--name", "flag"],
        "name: file\nlisting_limit: 5\nrequest_timeout: 20s\n",
    )
    .unwrap();
    assert_eq!(config.name.as_deref(), Some("flag"));
    assert_eq!(config.listing_limit, Some(5));
    let limits = Limits::new(&config).unwrap();
    assert_eq!(limits.listing, 5);
    assert_eq!(limits.request_timeout, std::time::Duration::from_secs(20));
    assert_eq!(limits.connections, 1024);
}

#[test]
fn an_unknown_key_in_the_file_is_refused_by_name() {
    let error = format!("{:#}", parse(&[], "listen_on: 1.2.3.4:80\n").unwrap_err());
    assert!(error.contains("listen_on"), "{error}");
    assert!(error.contains("gateway.yaml"), "{error}");
}

#[test]
fn an_empty_file_changes_nothing() {
    let config = parse(&[], "\n").unwrap();
    assert_eq!(
        Config {
            config: None,
            ..config
        },
        Config::default()
    );
}

#[test]
fn limits_that_cannot_work_are_refused() {
    check(
        &Config {
            connections: Some(0),
            ..Config::default()
        },
        "connections must be at least 1",
    );
    check(
        &Config {
            listing_limit: Some(0),
            ..Config::default()
        },
        "listing_limit must be between 1 and 1000, but is 0",
    );
    let negative = Some(SignedDuration::from_secs(-1));
    check(
        &Config {
            request_timeout: negative,
            ..Config::default()
        },
        "request_timeout must be longer than 0 s, but is -1 s",
    );

    #[track_caller]
    fn check(config: &Config, expected: &str) {
        assert_eq!(Limits::new(config).unwrap_err().to_string(), expected);
    }
}

#[test]
fn settings_of_queue_and_object_store_reach_them() {
    let folder = tempfile::tempdir().unwrap();
    let flags = [
        "--lease=9s",
        "--heartbeat=2s",
        "--ttl-job=60",
        "--unfinished-jobs=7",
        "--s3-reserve=1",
        "--s3-max-object=2",
        "--cors-origins=https://a.example,https://b.example",
    ];
    let file = "keep_jobs: 5\nkeep_log_bytes: 6\ns3_cors_origins: [\"https://c.example\"]\n";
    let settings = Settings::new(&parse(&flags, file).unwrap(), folder.path()).unwrap();
    let seconds = std::time::Duration::from_secs;
    let queue = settings.queue;
    assert_eq!(
        (queue.lease, queue.heartbeat, queue.keep),
        (seconds(9), seconds(2), seconds(60))
    );
    assert_eq!(
        (queue.keep_jobs, queue.keep_log_bytes, queue.unfinished),
        (5, 6, 7)
    );
    assert_eq!(
        (settings.objects.reserve, settings.objects.max_object),
        (1, 2)
    );
    assert_eq!(settings.objects.cors_origins, ["https://c.example"]);
    assert_eq!(
        settings.cors_origins,
        ["https://a.example", "https://b.example"]
    );
    let refused = |flag| {
        let config = parse(&[flag], "").unwrap();
        Settings::new(&config, folder.path())
            .unwrap_err()
            .to_string()
    };
    assert!(refused("--heartbeat=30s").contains("heartbeat must be shorter than lease (30 s)"));
    assert!(refused("--cors-origins=a.example").contains("cors_origins has \"a.example\""));
}

#[test]
fn a_secret_does_not_show_itself() {
    let config = Config {
        password: Some("swordfish".into()),
        ..Config::default()
    };
    assert!(!format!("{config:?}").contains("swordfish"));
}
