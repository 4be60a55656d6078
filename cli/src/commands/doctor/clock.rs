//! This machine's clock against AWS's.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::BeforeDeserializationInterceptorContextRef, dyn_dispatch_hint},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{
    config_bag::ConfigBag,
    date_time::{DateTime, Format},
};
use daypass::timestamp::Timestamp;

use super::check::Check;
use crate::client::time::now;

/// What AWS allows a signed request to be off.
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html>
const SIGNATURES: Duration = Duration::from_mins(5);
/// What Daypass allows an identity token to be off (docs/identity.md).
const TOKENS: Duration = Duration::from_secs(30);

const NAME: &str = "clock";

/// Two clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub ours: Timestamp,
    pub theirs: Timestamp,
}

/// Reads AWS's clock off every answer, also of refusals.
#[derive(Clone, Debug, Default)]
pub struct AwsClock(Arc<Mutex<Option<Moment>>>);

impl AwsClock {
    /// How the clocks stood at the latest answer.
    pub fn check(&self) -> Check {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(moment) => judge(moment),
            None => Check::skipped(NAME, "AWS did not answer, so its clock is unknown"),
        }
    }
}

#[dyn_dispatch_hint]
impl Intercept for AwsClock {
    fn name(&self) -> &'static str {
        "AwsClock"
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date =
            context.response().headers().get("date").and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
        if let Some(date) = date {
            let moment = Moment { ours: now(), theirs: Timestamp::from_unix_seconds(date.secs()) };
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(moment);
        }
        Ok(())
    }
}

/// How far off the clock is, and what that is enough for. AWS tells whole seconds.
pub fn judge(Moment { ours, theirs }: Moment) -> Check {
    let off = ours.since(theirs).max(theirs.since(ours));
    let direction = if ours > theirs { "ahead of" } else { "behind" };
    let detail = format!(
        "{} s {direction} AWS's; signatures allow {} s, identity tokens {} s",
        off.as_secs(),
        SIGNATURES.as_secs(),
        TOKENS.as_secs()
    );
    let remedy = "set the clock of this machine (NTP)";
    match off {
        off if off > SIGNATURES => Check::fail(NAME, detail, remedy),
        off if off > TOKENS => Check::warn(NAME, detail, remedy),
        _ => Check::ok(NAME, detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::check::Status;

    #[test]
    fn how_far_off_is_too_far() {
        let theirs = Timestamp::from_unix_seconds(1_000_000);
        for (ours, status, says) in [
            (1_000_000, Status::Ok, "0 s behind"),
            (1_000_030, Status::Ok, "30 s ahead of"),
            (999_970, Status::Ok, "30 s behind"),
            (1_000_031, Status::Warn, "31 s ahead of"),
            (999_969, Status::Warn, "31 s behind"),
            (1_000_300, Status::Warn, "300 s ahead of"),
            (1_000_301, Status::Fail, "301 s ahead of"),
            (996_400, Status::Fail, "3600 s behind"),
        ] {
            let check = judge(Moment { ours: Timestamp::from_unix_seconds(ours), theirs });
            assert_eq!(check.status, status, "{ours}: {check:?}");
            assert!(check.detail.starts_with(says), "{ours}: {check:?}");
            assert_eq!(check.remedy.is_some(), status > Status::Ok);
        }
    }

    #[test]
    fn without_an_answer_nothing_is_known() {
        assert_eq!(AwsClock::default().check().status, Status::Skipped);
    }
}
