//! The clock of this machine, as timestamps of the contract.

use std::time::{Duration, SystemTime};

use daypass::timestamp::Timestamp;

pub fn now() -> Timestamp {
    Timestamp::from_datetime(SystemTime::now().into())
}

/// Zero for a moment that has passed.
pub fn until(moment: Timestamp) -> Duration {
    moment.since(now())
}
