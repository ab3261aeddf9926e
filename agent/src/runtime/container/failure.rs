//! Why a container did not come up, and whose doing that is.

use spillway_model::wire::link::FailureReason;

use crate::runtime::ClaimError;
use crate::runtime::core::Core;
use crate::runtime::engine::EngineError;

/// What to say of a container that started and ended before its supervisor could speak.
pub(super) async fn gone_at_start(core: &Core, container: &str, problem: &str) -> ClaimError {
    let docker = core.engine.docker();
    let facts = core
        .engine
        .call(
            "looking at the container",
            docker.inspect_container(container, None),
        )
        .await;
    let state = match facts {
        Ok(facts) => facts.state.unwrap_or_default(),
        Err(error) => {
            return ClaimError::Interrupted(format!(
                "the container is gone before it was ready ({error})"
            ));
        }
    };
    if state.oom_killed == Some(true) {
        let message = "the memory limit is too small for the container to start".into();
        return ClaimError::Failed {
            reason: FailureReason::OutOfMemory,
            message,
        };
    }
    let exit_code = state.exit_code.unwrap_or_default();
    let message = format!(
        "the supervisor did not come up in the container: {problem} (exit code {exit_code})"
    );
    // 137: killed from outside, by a restarting engine for instance.
    if exit_code == 137 || state.running == Some(true) {
        return ClaimError::Interrupted(message);
    }
    ClaimError::Failed {
        reason: FailureReason::ContainerStart,
        message,
    }
}

/// Words of an engine that has trouble of its own; all else it refuses is the service's doing.
const ENGINE_TROUBLE: [&str; 7] = [
    "no space left",
    "shutting down",
    "deadline",
    "containerd",
    "joining network",
    "non running",
    "connection refused",
];

/// Whose doing it is that a container could not be made or started.
pub(super) fn why_not_started(error: &EngineError) -> ClaimError {
    let trouble = matches!(error, EngineError::Away { .. })
        || ENGINE_TROUBLE.iter().any(|words| error.says(words));
    if trouble || error.is_not_found() {
        return engine_problem_of(error);
    }
    ClaimError::Failed {
        reason: FailureReason::ContainerStart,
        message: error.to_string(),
    }
}

#[allow(clippy::needless_pass_by_value)] // For `map_err`.
pub(super) fn engine_problem(error: EngineError) -> ClaimError {
    engine_problem_of(&error)
}

fn engine_problem_of(error: &EngineError) -> ClaimError {
    ClaimError::Interrupted(error.to_string())
}
