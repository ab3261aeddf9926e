//! The list of clusters.

use std::os::unix::fs::PermissionsExt;

use insta::assert_snapshot;

use crate::run::User;

#[test]
fn a_cluster_is_added_shown_and_forgotten() {
    let user = User::new();
    let added = user.run(&[
        "config",
        "add",
        "farm",
        "--endpoint",
        "http://192.168.1.10:8080/",
        "--user",
        "oscar",
        "--password",
        "0123",
    ]);
    assert_eq!(added.code, 0, "{}", added.stderr);
    assert_snapshot!(user.run(&["config", "list"]).all());
    assert_snapshot!(user.run(&["config", "show"]).all());
    assert!(
        user.run(&["config", "show", "--reveal", "-o", "json"])
            .stdout
            .contains("\"auth_password\": \"0123\"")
    );
    assert_eq!(user.run(&["config", "remove", "farm"]).code, 0);
    assert_snapshot!(user.run(&["config", "list"]).all());
}

#[test]
fn the_file_is_where_and_as_oscar_s_client_keeps_it_and_nobody_else_may_read_it() {
    let user = User::new();
    user.run(&[
        "config",
        "add",
        "farm",
        "--endpoint",
        "http://192.168.1.10:8080",
        "--user",
        "oscar",
        "--password",
        "0123",
    ]);
    let file = user.path(".oscar-cli/config.yaml");
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_snapshot!(std::fs::read_to_string(file).unwrap());
}

#[test]
fn a_file_of_oscar_s_client_is_understood_and_its_tokens_survive_a_change() {
    let user = User::new();
    let text = "oscar:\n  cloud:\n    endpoint: https://oscar.example.org\n    auth_user: \"\"\n    auth_password: \"\"\n    \
                oidc_account_name: egi\n    oidc_refresh_token: abc\n    ssl_verify: false\n    memory: 512Mi\n    \
                log_level: DEBUG\ndefault: cloud\n";
    user.write("clusters.yaml", text);
    let add = [
        "--config",
        "clusters.yaml",
        "config",
        "add",
        "farm",
        "--endpoint",
        "http://farm:8080",
    ];
    assert_eq!(user.run(&add).code, 0);
    assert_snapshot!(std::fs::read_to_string(user.path("clusters.yaml")).unwrap());
}

#[test]
fn a_broken_file_is_told_with_its_line() {
    let user = User::new();
    user.write("clusters.yaml", "oscar:\n  farm:\n    endpoint: [1, 2]\n");
    let ran = user.run(&["--config", "clusters.yaml", "config", "list"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr
            .contains("clusters.yaml is not a valid configuration"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("line 3"), "{}", ran.stderr);
}

#[test]
fn an_unknown_cluster_is_told_with_those_that_are_known() {
    let user = User::new();
    user.run(&["config", "add", "farm", "--endpoint", "http://farm:8080"]);
    assert_snapshot!(user.run(&["services", "--cluster", "barn"]).all());
}

#[test]
fn without_any_cluster_the_ways_to_get_one_are_told() {
    assert_snapshot!(User::new().run(&["services"]).all());
}
