//! When a session is renewed.

use daypass::timestamp::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};

/// The part of a session's life after which it is renewed, at random, so that many jobs that began together do not ask
/// together.
const FROM: f64 = 0.8;
const TO: f64 = 0.9;

/// When to renew a session that begins now and ends then; none where the lease ends with it.
///
/// It is renewed as if it ended with the pipeline's session, should that be sooner.
pub fn moment(now: Timestamp, ends: Timestamp, pipeline_ends: Timestamp, lease_ends: Timestamp) -> Option<Timestamp> {
    let life = ends.min(pipeline_ends).since(now);
    (ends < lease_ends).then(|| now.plus(life.mul_f64(between(FROM, TO))))
}

/// A random number between these two.
pub fn between(least: f64, most: f64) -> f64 {
    let mut bytes = [0; 4];
    // Without randomness it is the middle.
    let part = SystemRandom::new()
        .fill(&mut bytes)
        .map_or(0.5, |()| f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX));
    least + (most - least) * part
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use super::*;

    #[test]
    fn sessions_are_renewed_between_80_and_90_percent_of_their_life() {
        let now = Timestamp::from_unix_seconds(1_000_000);
        let after = |seconds| now.plus(Duration::from_secs(seconds));
        let mut seen = BTreeSet::new();
        for _ in 0..200 {
            let at = moment(now, after(3600), after(3600), after(7200)).unwrap();
            assert!((2880..=3240).contains(&at.since(now).as_secs()), "{at}");
            seen.insert(at.since(now).as_secs());
            let at = moment(now, after(3600), after(1000), after(7200)).unwrap();
            assert!((800..=900).contains(&at.since(now).as_secs()), "as if it ended with the pipeline's session: {at}");
        }
        assert!(seen.len() > 20, "not all at once: {seen:?}");
        assert_eq!(moment(now, after(3600), after(3600), after(3600)), None, "the lease ends with it");
        assert_eq!(moment(now, after(3600), after(3600), after(1800)), None, "the lease ends before it");
    }
}
