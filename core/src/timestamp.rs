//! Points in time as they stand on the wire, in policies and in the table.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// A moment in UTC, in whole seconds, written as RFC 3339 (`2026-11-23T09:00:00Z`).
///
/// Whole seconds because IAM's date conditions, the Wait state and the sort keys of the table all read the same text.
/// A fraction in the input is dropped, so a moment is never later than what was meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(OffsetDateTime);

/// The text is no RFC 3339 date and time, or none that can be written in UTC.
#[derive(Debug, thiserror::Error)]
#[error("expected a date and time as RFC 3339, for example `2026-11-23T09:00:00Z`")]
pub struct TimestampError(#[source] Option<time::error::Parse>);

impl Timestamp {
    /// The moment `at`, in UTC, without its fraction of a second; nothing when RFC 3339 has no year for it.
    fn new(at: OffsetDateTime) -> Option<Self> {
        let utc = at.checked_to_offset(UtcOffset::UTC).filter(|utc| (0..=9999).contains(&utc.year()))?;
        Some(Self(utc - time::Duration::nanoseconds(i64::from(utc.nanosecond()))))
    }

    /// The moment `at`, in UTC, without its fraction of a second; the beginning of 1970 when that cannot be written.
    #[must_use]
    pub fn from_datetime(at: OffsetDateTime) -> Self {
        Self::new(at).unwrap_or(Self(OffsetDateTime::UNIX_EPOCH))
    }

    /// The moment `seconds` after the beginning of 1970, as AWS counts; the beginning itself when that cannot be written.
    #[must_use]
    pub fn from_unix_seconds(seconds: i64) -> Self {
        Self::from_datetime(OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH))
    }

    /// The same as AWS counts: in seconds from the beginning of 1970.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.unix_timestamp()
    }

    /// The moment `after` later than this one; the last moment that can be written when that lies beyond it.
    #[must_use]
    pub fn plus(self, after: Duration) -> Self {
        let after = time::Duration::try_from(after).unwrap_or(time::Duration::MAX);
        Self::from_datetime(self.0.saturating_add(after))
    }

    /// How long it is from `earlier` to this moment; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::try_from(self.0 - earlier.0).unwrap_or(Duration::ZERO)
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|error| TimestampError(Some(error)))?;
        Self::new(at).ok_or(TimestampError(None))
    }
}

impl TryFrom<String> for Timestamp {
    type Error = TimestampError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(at: Timestamp) -> Self {
        at.to_string()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, time) = (self.0.date(), self.0.time());
        let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
        write!(f, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", time.hour(), time.minute(), time.second())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    #[test]
    fn reads_rfc_3339_and_writes_whole_seconds_in_utc() {
        assert_eq!(at("2026-11-23T09:24:46.999Z").to_string(), "2026-11-23T09:24:46Z");
        assert_eq!(at("2026-11-23T10:24:46+01:00").to_string(), "2026-11-23T09:24:46Z");
        let beyond = ["9999-12-31T23:59:59-00:01", "0000-01-01T00:00:00+00:01"];
        for bad in ["", "tomorrow", "2026-11-23", "2026-11-23T09:24:46", "2026-13-01T00:00:00Z"].iter().chain(&beyond) {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }

    #[test]
    fn counts_from_1970() {
        assert_eq!(Timestamp::from_unix_seconds(1_795_425_886).to_string(), "2026-11-23T09:24:46Z");
        for unwritable in [i64::MIN, -62_167_219_201, 253_402_300_800, i64::MAX] {
            assert_eq!(Timestamp::from_unix_seconds(unwritable).to_string(), "1970-01-01T00:00:00Z");
        }
    }

    #[test]
    fn adds_and_measures() {
        let start = at("2026-11-23T09:00:00Z");
        let end = start.plus(Duration::from_hours(24));
        assert_eq!(end.to_string(), "2026-11-24T09:00:00Z");
        assert_eq!(end.since(start), Duration::from_hours(24));
        assert_eq!(start.since(end), Duration::ZERO);
        assert_eq!(start.plus(Duration::MAX).to_string(), "9999-12-31T23:59:59Z");
    }
}
