//! The command `spillway`.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Only an earlier call can make this fail, and then a provider is there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    spillway_cli::run()
}
