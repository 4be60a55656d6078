//! Durations as people write them: `1h`, `30m`, `90s`, `1h30m`.

use std::time::Duration;

/// Reads a duration of whole hours, minutes and seconds, the larger units first.
///
/// # Errors
/// When the text is none, or nothing at all (`0s`).
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration, such as 1h, 30m, 90s or 1h30m");
    let (mut rest, mut seconds) = (text, 0_u64);
    for (unit, length) in [('h', 3600), ('m', 60), ('s', 1)] {
        let Some((number, after)) = rest.split_once(unit) else { continue };
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(length));
        seconds = part.and_then(|part| seconds.checked_add(part)).ok_or_else(wrong)?;
        rest = after;
    }
    if rest.is_empty() && seconds > 0 { Ok(Duration::from_secs(seconds)) } else { Err(wrong()) }
}

/// A duration as [`parse`] reads it, in whole seconds.
pub fn text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    parts.map(|(number, unit)| if number > 0 { format!("{number}{unit}") } else { String::new() }).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [("1h", 3600), ("30m", 1800), ("90s", 90), ("1h30m", 5400), ("1h1s", 3601), ("0h5s", 5)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for (seconds, written) in [(3600, "1h"), (5400, "1h30m"), (59, "59s"), (90, "1m30s"), (90_061, "25h1m1s")] {
            let duration = Duration::from_secs(seconds);
            assert_eq!((text(duration).as_str(), parse(&text(duration))), (written, Ok(duration)));
        }
        let bad =
            ["", "1", "h", "0s", "1d", "30m1h", "1h 30m", "-1h", "+1h", "1.5h", "1h1h", "99999999999999999h", "１h"];
        for text in bad {
            assert!(parse(text).is_err_and(|error| error.contains("1h30m")), "{text}");
        }
    }
}
