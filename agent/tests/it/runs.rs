//! Attempts from lease to completion.

use spillway_model::wire::link::{FailureReason, InputFile, Outcome, OutputContent};

use crate::node::{Node, inline, texts, timeout};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_gets_its_input_and_event_and_its_outputs_are_published() {
    let mut node = Node::start().await;
    let script = "cat > \"$TMP_OUTPUT_DIR/event\"; mkdir \"$TMP_OUTPUT_DIR/sub\"\n\
                  cat \"$INPUT_FILE_PATH\" > \"$TMP_OUTPUT_DIR/sub/copy.txt\"\n\
                  echo \"$JOB_UUID $STORAGE_OBJECT_KEY\"; echo \"$EVENT\" >&2; touch \"$INPUT_FILE_PATH.2\" \"$TMPDIR/x\"\n";
    let definition = node.service(script, |_| {});
    let attempt = node.grant(&definition, |lease| {
        lease.input = Some(inline("a file.txt", b"hello"));
        lease
            .environment
            .insert("STORAGE_OBJECT_KEY".to_owned(), "in/a file.txt".to_owned());
    });
    let end = node.gateway.completion(&attempt).await;
    assert_eq!(end.outcome, Outcome::Succeeded, "{}", end.log);
    let expected = [
        ("out/of/event".to_owned(), "{\"an\":\"event\"}".to_owned()),
        ("out/of/sub/copy.txt".to_owned(), "hello".to_owned()),
    ];
    assert_eq!(texts(&end.outputs), expected);
    assert_eq!(end.outputs[1].content_type, "text/plain");
    assert!(
        end.log
            .contains(&format!("Z {} in/a file.txt\n", attempt.job)),
        "{}",
        end.log
    );
    assert!(end.log.contains("Z {\"an\":\"event\"}\n"), "{}", end.log);
    assert_eq!((end.usage.input_bytes, end.usage.output_bytes), (5, 19));
    assert!(
        !end.spans.warm && end.spans.container_us > 0 && end.spans.run_us > 0,
        "{:?}",
        end.spans
    );
    assert!(end.started_at.unwrap() <= end.finished_at);

    let second = node.grant(&definition, |lease| lease.input = Some(inline("b", b"bye")));
    let end = node.gateway.completion(&second).await;
    assert!(end.spans.warm, "{:?}", end.spans);
    assert_eq!(texts(&end.outputs)[1].1, "bye");
    node.gateway
        .until("empty ledger", |known| {
            known.heartbeats.last()?.running.is_empty().then_some(())
        })
        .await;
    assert!(node.left_in("staging").is_empty() && node.left_in("outbox").is_empty());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_told_apart_and_publish_nothing() {
    let mut node = Node::start().await;
    let make = "touch $TMP_OUTPUT_DIR/out; ";
    let exits = node.service(&format!("{make} echo why; exit 3"), |_| {});
    let hangs = node.service(&format!("{make} sleep 60"), |it| {
        it.edge = Some(timeout("1s"));
    });
    let eats = node.service(&format!("{make} head -c 200000000 /dev/zero | tr '\\0' x | dd bs=200M count=1 iflag=fullblock of=/dev/null"), |_| {});
    let missing = node.service("true", |it| {
        it.image = "spillway-agent-test/none:1".to_owned();
    });
    check(&node, &exits, FailureReason::ExitCode, "exit code 3").await;
    check(&node, &hangs, FailureReason::TimedOut, "timed out after 1s").await;
    check(
        &node,
        &missing,
        FailureReason::ImageMissing,
        "spillway-agent-test/none:1",
    )
    .await;
    if node.gateway.know().joins[0].engine.memory_limits {
        check(
            &node,
            &eats,
            FailureReason::OutOfMemory,
            "exceeded its memory limit of 64Mi",
        )
        .await;
    }
    node.stop().await;

    async fn check(
        node: &Node,
        of: &spillway_model::wire::link::ServiceDefinition,
        expected: FailureReason,
        words: &str,
    ) {
        let attempt = node.grant(of, |_| {});
        let end = node.gateway.completion(&attempt).await;
        match &end.outcome {
            Outcome::Failed { reason, message } => {
                assert_eq!(*reason, expected, "{message}\n{}", end.log);
                assert!(
                    message.to_lowercase().contains(&words.to_lowercase()),
                    "{message:?} has no {words:?}"
                );
            }
            outcome => panic!("{outcome:?} instead of {expected:?}\n{}", end.log),
        }
        assert!(end.outputs.is_empty());
        assert!(
            end.log.lines().any(|line| line.contains("Z spillway: ")),
            "the log explains itself:\n{}",
            end.log
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_files_stream_through_and_go_up_once_for_all_their_outputs() {
    let mut node = Node::start().await;
    let definition = node.service(
        "cp $INPUT_FILE_PATH $TMP_OUTPUT_DIR/copy.jpg; echo small > $TMP_OUTPUT_DIR/a.txt",
        |it| {
            let mut second = it.output[0].clone();
            second.path = "other".to_owned();
            second.suffix = vec![".jpg".to_owned()];
            it.output.push(second);
        },
    );
    let size = 300 * 1024 * 1024;
    let attempt = node.grant(&definition, |lease| {
        lease.input = Some(InputFile {
            name: "big.bin".to_owned(),
            size,
            inline: None,
        });
        node.gateway
            .know()
            .input_sizes
            .insert(lease.attempt.clone(), size);
    });
    let end = node.gateway.completion(&attempt).await;
    assert_eq!(end.outcome, Outcome::Succeeded, "{}", end.log);
    assert_eq!(node.gateway.know().blobs, [size]);
    let copy = OutputContent::Staged("blob-1".to_owned());
    let places: Vec<_> = end
        .outputs
        .iter()
        .map(|it| (it.bucket.as_str(), it.key.as_str(), it.content == copy))
        .collect();
    assert_eq!(
        places,
        [
            ("out", "of/a.txt", false),
            ("out", "of/copy.jpg", true),
            ("other", "copy.jpg", true)
        ]
    );
    assert_eq!(end.usage.input_bytes, size);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_huge_log_is_cut_in_the_middle_and_a_long_run_shows_it_live() {
    let mut node = Node::start().await;
    let definition = node.service("echo first; sleep 3; seq 1 400000; echo; echo last", |_| {});
    let attempt = node.grant(&definition, |_| {});
    node.gateway
        .until("the live log", |known| {
            known
                .live
                .get(&attempt)?
                .contains("Z first\n")
                .then_some(())
        })
        .await;
    assert!(node.gateway.know().completions.is_empty());
    let end = node.gateway.completion(&attempt).await;
    assert_eq!(end.outcome, Outcome::Succeeded);
    assert!(
        end.log.len() <= 1024 * 1024 + 1024,
        "{} bytes",
        end.log.len()
    );
    let lines: Vec<&str> = end
        .log
        .lines()
        .filter_map(|line| Some(line.split_once(' ')?.1))
        .collect();
    assert_eq!(
        (lines[0], lines[1], *lines.last().unwrap()),
        ("first", "1", "last")
    );
    assert!(end.log.contains("bytes of output are left out here"));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_are_carried_out_side_by_side() {
    let mut node = Node::start().await;
    // Each waits for the file of the other, through what both can see of the event: they must run at once.
    let definition = node.service("sleep 2", |_| {});
    let (one, two) = (
        node.grant(&definition, |_| {}),
        node.grant(&definition, |_| {}),
    );
    let (one, two) = (
        node.gateway.completion(&one).await,
        node.gateway.completion(&two).await,
    );
    assert!(one.started_at.unwrap() < two.finished_at && two.started_at.unwrap() < one.finished_at);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outputs_that_cannot_be_published_fail_the_attempt() {
    let mut node = Node::start().await;
    let definition = node.service(
        "i=0; while [ $i -le 4000 ]; do : > $TMP_OUTPUT_DIR/$i; i=$((i+1)); done",
        |_| {},
    );
    let attempt = node.grant(&definition, |_| {});
    let end = node.gateway.completion(&attempt).await;
    let Outcome::Failed {
        reason: FailureReason::StageOut,
        message,
    } = &end.outcome
    else {
        panic!("{:?}", end.outcome)
    };
    assert!(message.contains("more than 4000 files"), "{message}");
    node.stop().await;
}
