//! One role, and more than one who changes it.

use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use aws_smithy_async::rt::sleep::{AsyncSleep, SharedAsyncSleep, TokioSleep};
use aws_types::SdkConfig;
use daypass_aws::AwsError;

/// How IAM refuses a change while another change of the same role is under way.
const CONCURRENT: &str = "ConcurrentModification";

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);
/// For how long a task waits in all, however many calls it makes: a third of the time that it has.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waiting for one's turn to change a role.
///
/// IAM makes one change of a role at a time, and answers the others with `ConcurrentModification`: two tasks of the same
/// transaction, or something in the account that labels every new role. The SDK does not try such a call again, and a state
/// machine repeats the whole task, seconds later.
#[derive(Debug)]
pub struct Turns {
    sleep: SharedAsyncSleep,
    left: Cell<Duration>,
}

impl Turns {
    /// For one task, whose clients are built from `config`.
    #[must_use]
    pub fn of(config: &SdkConfig) -> Self {
        let sleep = config.sleep_impl().unwrap_or_else(|| SharedAsyncSleep::new(TokioSleep::new()));
        Self { sleep, left: Cell::new(PATIENCE) }
    }

    /// What `call` answers when it has its turn. It is made again after a pause while IAM says that somebody else has it,
    /// until the task has no patience left.
    ///
    /// # Errors
    /// As `call`.
    pub async fn wait<T>(&self, call: impl AsyncFn() -> Result<T, AwsError>) -> Result<T, AwsError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let answer = call().await;
            let has_other = answer.as_ref().is_err_and(|error| error.code() == Some(CONCURRENT));
            let Some(left) = self.left.get().checked_sub(pause).filter(|_| has_other) else { return answer };
            self.left.set(left);
            self.sleep.sleep(shortened(pause)).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }
}

/// Between half of `pause` and all of it, by chance. AWS does not say that one of two calls that meet goes through: two tasks
/// with the same pauses might meet again each time.
fn shortened(pause: Duration) -> Duration {
    // Seeded by the system, and no cryptography is at stake: no function has to carry a crate for this.
    let [chance, ..] = RandomState::new().hash_one(()).to_le_bytes();
    pause / 2 + pause / 2 * u32::from(chance) / u32::from(u8::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_smithy_async::rt::sleep::Sleep;
    use daypass_testing::samples::aws_error;

    use super::*;

    #[derive(Clone, Debug, Default)]
    struct Pauses(Arc<Mutex<Vec<Duration>>>);

    impl AsyncSleep for Pauses {
        fn sleep(&self, duration: Duration) -> Sleep {
            self.0.lock().unwrap().push(duration);
            Sleep::new(std::future::ready(()))
        }
    }

    /// Waits for a call that is refused so many times; how that ends, and the number of calls.
    async fn wait(turns: &Turns, times: usize, code: &str) -> (Result<(), AwsError>, usize) {
        let calls = Cell::new(0);
        let call = async || {
            calls.set(calls.get() + 1);
            if calls.get() > times { Ok(()) } else { Err(aws_error("iam:AttachRolePolicy", code)) }
        };
        (turns.wait(call).await, calls.get())
    }

    fn turns() -> (Turns, Pauses) {
        let pauses = Pauses::default();
        (Turns::of(&SdkConfig::builder().sleep_impl(pauses.clone()).build()), pauses)
    }

    #[tokio::test]
    async fn the_pauses_grow_up_to_a_point() {
        let (turns, pauses) = turns();
        assert!(matches!(wait(&turns, 24, CONCURRENT).await, (Ok(()), 25)));
        let pauses = pauses.0.lock().unwrap().clone();
        let longest = [50, 100, 200].into_iter().chain([400; 21]).map(Duration::from_millis);
        assert_eq!(pauses.len(), 24);
        assert!(pauses.iter().zip(longest).all(|(pause, most)| (most / 2..=most).contains(pause)), "{pauses:?}");
        assert!(pauses[3..].iter().any(|pause| *pause != pauses[3]), "they are not the same for everybody: {pauses:?}");
    }

    #[tokio::test]
    async fn patience_ends_for_all_calls_of_a_task_together() {
        let (turns, pauses) = turns();
        // What the first has left over is less than its longest pause: enough for some of the shortest.
        for most in [60, 4] {
            let (answer, calls) = wait(&turns, usize::MAX, CONCURRENT).await;
            assert_eq!(answer.unwrap_err().code(), Some(CONCURRENT));
            assert!(calls <= most, "{calls}");
        }
        let waited: Duration = pauses.0.lock().unwrap().iter().sum();
        assert!((PATIENCE / 3..=PATIENCE).contains(&waited), "{waited:?}");
    }

    #[tokio::test]
    async fn nothing_else_is_tried_again() {
        for code in ["AccessDenied", "NoSuchEntity", "DeleteConflict", "Throttling", "ServiceFailure"] {
            let (turns, pauses) = turns();
            let (answer, calls) = wait(&turns, 1, code).await;
            assert_eq!((answer.unwrap_err().code(), calls), (Some(code), 1));
            assert!(pauses.0.lock().unwrap().is_empty());
        }
    }
}
