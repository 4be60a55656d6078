//! What a Lambda function needs: the runtime, its environment, and one HTTP client for all SDK clients of the process.

mod connect;
mod settings;

use std::{
    panic::{AssertUnwindSafe, PanicHookInfo, set_hook},
    process::ExitCode,
};

use aws_smithy_async::time::{SystemTimeSource, TimeSource};
use daypass::{
    stage::{Failure, Stage, parse_input},
    timestamp::Timestamp,
};
use futures_util::FutureExt;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde_json::value::RawValue;

pub use self::{
    connect::{connect, connect_anywhere},
    settings::{SettingError, optional_setting, personas, setting},
};

/// Runs a function: builds the stage, warms it up, and serves it until Lambda ends the process.
///
/// A stage that cannot be built (a setting is missing, personas.json is bad) ends the process at once, with the reason
/// in the log: Lambda then fails every invocation, and nothing is half-served.
///
/// A panic fails the invocation as `Panic`, and is told with its place and without its text.
pub fn main<S: Stage>(build: impl FnOnce() -> Result<S, Error>) -> ExitCode {
    set_hook(Box::new(|panic| eprintln!("{}", place_of(panic))));
    let served = build().and_then(|stage| {
        // One thread: an instance serves one invocation at a time, and a smaller runtime starts faster.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(serve(stage))
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The deployment reads the version here: it refuses functions of another one (`cdk/lib/constructs/task-function.ts`).
            eprintln!(concat!("the function of Daypass ", env!("CARGO_PKG_VERSION"), " cannot start: {}"), error);
            ExitCode::FAILURE
        }
    }
}

async fn serve<S: Stage>(stage: S) -> Result<(), Error> {
    let now = || Timestamp::from_datetime(SystemTimeSource::new().now().into());
    stage.warm_up(now()).await;
    connect::serve();
    let stage = &stage;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Box<RawValue>>| {
        invoke(stage, event.payload.get(), now()).await
    }))
    .await
}

/// Runs the stage once.
async fn invoke<S: Stage>(stage: &S, payload: &str, now: Timestamp) -> Result<S::Output, Diagnostic> {
    let run = async {
        let input = parse_input(payload)?;
        stage.run(input, now).await.map_err(|error| Failure::from(&error))
    };
    // The runtime would catch a panic as well, and send its text to the state machine. What a panic says is nobody's
    // choice: slicing a string repeats the string, `unwrap` repeats the error.
    match AssertUnwindSafe(run).catch_unwind().await {
        Ok(done) => done.map_err(diagnostic),
        Err(_) => Err(panicked()),
    }
}

/// What the log says about a panic.
fn place_of(panic: &PanicHookInfo) -> String {
    match panic.location() {
        Some(place) => format!("the function panicked at {place}"),
        None => "the function panicked".to_owned(),
    }
}

/// What the state machine is told about a panic.
fn panicked() -> Diagnostic {
    let error_message = "the function panicked; its log says where".to_owned();
    Diagnostic { error_type: "Panic".to_owned(), error_message }
}

/// What the state machine is told about a failure.
fn diagnostic(failure: Failure) -> Diagnostic {
    Diagnostic { error_type: failure.name.as_str().to_owned(), error_message: failure.message }
}

#[cfg(test)]
mod tests {
    use std::{env, process::Command};

    use daypass::{error::ErrorName, stage::Named};

    use super::*;

    /// It panics with what it is given.
    struct Panics;

    impl Stage for Panics {
        type Input = String;
        type Output = ();
        type Error = Never;

        async fn run(&self, input: String, _now: Timestamp) -> Result<(), Never> {
            panic!("{input}");
        }
    }

    #[derive(Debug, thiserror::Error)]
    enum Never {}

    impl Named for Never {
        fn name(&self) -> ErrorName {
            match *self {}
        }
    }

    #[tokio::test]
    async fn a_panic_fails_the_invocation_and_keeps_its_text() {
        let error = invoke(&Panics, r#""wJalrXUtnFEMI""#, Timestamp::from_unix_seconds(0)).await.unwrap_err();
        let told = (error.error_type.as_str(), error.error_message.as_str());
        assert_eq!(told, ("Panic", "the function panicked; its log says where"));
    }

    /// What happens with a panic is decided for a whole process, so that this test starts one that is itself.
    #[test]
    fn a_panic_is_logged_without_its_text() {
        const CHILD: &str = "DAYPASS_TEST_PANICS";
        if env::var_os(CHILD).is_some() {
            main(|| -> Result<Panics, Error> { panic!("{}", env::var(CHILD).unwrap()) });
        }
        let mut child = Command::new(env::current_exe().unwrap());
        child.args(["--exact", "--nocapture", "tests::a_panic_is_logged_without_its_text"]);
        let ended = child.env(CHILD, "wJalrXUtnFEMI").output().unwrap();
        let log = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
        assert!(log.contains("the function panicked at lambda/src/lib.rs:"), "{log}");
        assert!(!log.contains("wJalrXUtnFEMI"), "{log}");
    }
}
