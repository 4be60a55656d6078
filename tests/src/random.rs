//! Choices that come from a seed, and from nothing else.

use std::ops::Range;

use daypass::ids::TransactionId;
use uuid::Builder;

/// `SplitMix64`: small, and the same everywhere.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// The choices of a seed.
    #[must_use]
    pub const fn of(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        it ^ (it >> 31)
    }

    /// A number of a range.
    pub fn within(&mut self, range: Range<u32>) -> u32 {
        let width = u64::from(range.end - range.start);
        range.start + u32::try_from(self.next() % width).expect("it is less than the width")
    }

    /// Whether something is so that is so `percent` times of a hundred.
    pub fn percent(&mut self, percent: u32) -> bool {
        self.within(0..100) < percent
    }

    /// One of some.
    pub fn one_of<T: Clone>(&mut self, of: &[T]) -> T {
        let count = u32::try_from(of.len()).expect("a few");
        of[self.within(0..count) as usize].clone()
    }

    /// An id of a transaction, as a pipeline makes it.
    pub fn transaction_id(&mut self) -> TransactionId {
        let bytes = (u128::from(self.next()) << 64 | u128::from(self.next())).to_be_bytes();
        Builder::from_random_bytes(bytes).into_uuid().to_string().parse().expect("a UUID of version 4")
    }

    /// Eight digits that make a name one of its own.
    pub fn digits(&mut self) -> String {
        format!("{:08x}", self.within(0..u32::MAX))
    }
}
