//! A whole cluster from one command, against the real container engine: these tests need Docker and the Debian
//! package `busybox-static`, and fail without.

mod cluster;

use std::process::Command;

use cluster::Cluster;

const SERVICE: &str = "
functions:
  oscar:
  - local:
      name: shout
      image: IMAGE
      memory: 64Mi
      cpu: 0.1
      script: shout.sh
      input:
      - { storage_provider: minio.default, path: shout/in }
      output:
      - { storage_provider: minio.default, path: shout/out }
      edge: { network: none, retries: 0 }
";

const SCRIPT: &str = r#"
echo "about $(basename "$INPUT_FILE_PATH")"
case "$INPUT_FILE_PATH" in *bad*) exit 7;; esac
tr a-z A-Z < "$INPUT_FILE_PATH" > "$TMP_OUTPUT_DIR/$(basename "$INPUT_FILE_PATH")"
"#;

#[test]
fn a_file_goes_in_and_its_result_comes_out() {
    let cluster = Cluster::start();
    let user = &cluster.user;
    user.write("shout.yaml", &SERVICE.replace("IMAGE", &cluster.image));
    user.write("shout.sh", SCRIPT);
    assert_eq!(user.run(&["apply", "shout.yaml"]).code, 0);
    assert!(
        user.run(&["apply", "shout.yaml"])
            .stdout
            .contains("updated")
    );
    assert_eq!(user.run(&["services", "-q"]).stdout, "shout\n");

    user.write("blatt grün.txt", "hello");
    let put = user.run(&["put", "shout", "blatt grün.txt", "--wait"]);
    assert_eq!(put.code, 0, "{}", put.stderr);
    assert!(
        put.stdout.contains("shout/out/blatt grün.txt"),
        "{}",
        put.stdout
    );
    assert_eq!(
        user.run(&["get-file", "shout/out/blatt grün.txt", "-"])
            .stdout,
        "HELLO"
    );
    assert_eq!(
        user.run(&["get-file", "shout", "--latest", "result.txt"])
            .code,
        0
    );
    assert_eq!(
        std::fs::read_to_string(user.path("result.txt")).unwrap(),
        "HELLO"
    );
    assert_eq!(
        user.run(&["logs", "shout"]).stdout,
        "about blatt grün.txt\n"
    );

    let name = user.run(&["jobs", "shout", "-q"]).stdout.trim().to_owned();
    let shown = user.run(&["jobs", "show", &name]).stdout;
    assert!(
        shown.contains("container (cold)") && shown.contains("total"),
        "{shown}"
    );

    let job = user.run(&["job", "shout", "--text", "by hand", "--wait"]);
    assert_eq!(job.code, 0, "{}", job.stderr);
    assert!(job.stdout.starts_with("about "), "{}", job.stdout);

    assert_eq!(user.run(&["rm", "shout/out/nothing"]).code, 3);
    assert_eq!(user.run(&["rm", "shout/out", "--recursive"]).code, 0);
    assert_eq!(user.run(&["get-file", "shout", "--latest"]).code, 3);
    assert_eq!(user.run(&["delete", "shout"]).code, 0);
    assert_eq!(user.run(&["get", "shout"]).code, 3);
    cluster.stop();
}

#[test]
fn a_job_that_fails_is_told_kept_and_tried_again() {
    let cluster = Cluster::start();
    let user = &cluster.user;
    user.write("shout.yaml", &SERVICE.replace("IMAGE", &cluster.image));
    user.write("shout.sh", SCRIPT);
    assert_eq!(user.run(&["apply", "shout.yaml"]).code, 0);
    user.write("bad.txt", "boo");

    let put = user.run(&["put", "shout", "bad.txt", "--wait"]);
    assert_eq!(put.code, 6, "{}", put.stderr);
    assert!(put.stderr.contains("exit_code"), "{}", put.stderr);
    let letters = user.run(&["dead-letters", "list", "-q"]).stdout;
    assert!(letters.starts_with("shout-"), "{letters}");

    user.write("shout.sh", &SCRIPT.replace("exit 7", "true"));
    assert_eq!(user.run(&["apply", "shout.yaml"]).code, 0);
    let retry = user.run(&["dead-letters", "retry", letters.trim()]);
    assert_eq!(retry.code, 0, "{}", retry.stderr);
    assert_eq!(user.run(&["logs", "shout", "--follow", "--latest"]).code, 0);
    assert_eq!(
        user.run(&["get-file", "shout/out/bad.txt", "-"]).stdout,
        "BOO"
    );
    assert_eq!(user.run(&["dead-letters", "list", "-q"]).stdout, "");
    cluster.stop();
}

#[test]
fn folders_and_standard_input_are_uploaded() {
    let cluster = Cluster::start();
    let user = &cluster.user;
    user.write("shout.yaml", &SERVICE.replace("IMAGE", &cluster.image));
    user.write("shout.sh", SCRIPT);
    assert_eq!(user.run(&["apply", "shout.yaml"]).code, 0);
    std::fs::create_dir_all(user.path("pictures/deep")).unwrap();
    // More than one part of a multipart upload.
    let large: Vec<u8> = (0..20_000_000_u32).map(|i| i.to_le_bytes()[1]).collect();
    std::fs::write(user.path("pictures/large.bin"), &large).unwrap();
    user.write("pictures/deep/empty.txt", "");

    let put = user.run(&["put", "shout/kept/", "pictures", "--recursive"]);
    assert_eq!(put.code, 0, "{}", put.stderr);
    let listed = user.run(&["ls", "shout/kept", "--recursive", "-q"]).stdout;
    assert_eq!(
        listed,
        "kept/pictures/deep/empty.txt\nkept/pictures/large.bin\n"
    );
    assert_eq!(
        user.run(&["get-file", "shout/kept/", "back", "--recursive"])
            .code,
        0
    );
    assert_eq!(
        std::fs::read(user.path("back/pictures/large.bin")).unwrap(),
        large
    );
    assert_eq!(
        std::fs::read(user.path("back/pictures/deep/empty.txt")).unwrap(),
        b""
    );

    let put = Command::new("/bin/sh")
        .args([
            "-c",
            "echo from a pipe | \"$0\" put shout/kept/pipe.txt -",
            env!("CARGO_BIN_EXE_spillway"),
        ])
        .env_clear()
        .env("HOME", user.home.path())
        .output()
        .unwrap();
    assert!(
        put.status.success(),
        "{}",
        String::from_utf8_lossy(&put.stderr)
    );
    assert_eq!(
        user.run(&["get-file", "shout/kept/pipe.txt", "-"]).stdout,
        "from a pipe\n"
    );
    cluster.stop();
}
