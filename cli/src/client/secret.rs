//! Text that is nobody else's business.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// A secret. Its memory is wiped when it is dropped, and it does not show in debug output.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// Keeps this secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for whoever it is for.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_show_and_are_wiped() {
        fn wiped_when_dropped<T: ZeroizeOnDrop>() {}
        wiped_when_dropped::<Secret>();
        let mut secret = Secret::new("wJalrXUtnFEMI");
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)).matches("wJalr").count(), 0);
        secret.zeroize();
        assert_eq!(secret.expose(), "");
    }
}
