use spillway_model::report::{InputReport, JobReport, JobState};
use spillway_model::wire::link::{Spans, Usage};

use super::text;

fn job() -> JobReport {
    JobReport {
        name: "grayify-0192f0c1".into(),
        service: "grayify".into(),
        state: JobState::Succeeded,
        attempt: 1,
        failures: 0,
        interruptions: 0,
        node: "pi-1".into(),
        created_at: "2026-11-22T10:00:00Z".parse().unwrap(),
        started_at: Some("2026-11-22T10:00:00.010Z".parse().unwrap()),
        finished_at: Some("2026-11-22T10:00:00.150Z".parse().unwrap()),
        ready_at: None,
        reason: String::new(),
        message: String::new(),
        event: "s3:ObjectCreated:Put".into(),
        input: Some(InputReport {
            path: "grayify/in/leaf 1.png".into(),
            size: 12_345,
        }),
        usage: Usage {
            cpu_us: 98_000,
            peak_memory_bytes: 31 << 20,
            input_bytes: 12_345,
            output_bytes: 8_000,
        },
        spans: Spans {
            container_us: 400,
            stage_in_us: 1_200,
            run_us: 120_000,
            stage_out_us: 3_400,
            warm: true,
        },
        queued_us: 5_000,
        outputs: vec!["grayify/out/leaf 1.png".into()],
        output_count: 1,
    }
}

#[test]
fn a_finished_job_tells_where_its_time_went() {
    insta::assert_snapshot!(text(&job()).unwrap());
}

#[test]
fn a_job_that_waits_for_its_next_try_tells_when_and_why() {
    let job = JobReport {
        state: JobState::Queued,
        failures: 1,
        attempt: 1,
        finished_at: None,
        ready_at: Some("2026-11-22T10:00:02Z".parse().unwrap()),
        reason: "exit_code".into(),
        message: "the script ended with exit code 7".into(),
        ..job()
    };
    insta::assert_snapshot!(text(&job).unwrap());
}
