//! User input in messages: always quoted, never long, never able to forge a line of a log.

use std::fmt;

/// How many characters of user input a message repeats.
const QUOTED_CHARS: usize = 64;

/// User input as a message shows it: in backticks, control characters escaped, cut after 64 characters.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`")?;
        for c in self.0.chars().take(QUOTED_CHARS) {
            // Whatever is not plain ASCII is escaped: a look-alike letter or a right-to-left mark must be seen.
            if c.is_ascii_graphic() || c == ' ' { write!(f, "{c}")? } else { write!(f, "{}", c.escape_unicode())? }
        }
        f.write_str(if self.0.chars().nth(QUOTED_CHARS).is_some() { "…`" } else { "`" })
    }
}

/// `message`, cut to at most `chars` characters; a cut shows as `…`.
#[must_use]
pub fn shortened(message: &str, chars: usize) -> String {
    match message.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_shows_what_is_there_and_no_more() {
        assert_eq!(Quoted("main").to_string(), "`main`");
        assert_eq!(Quoted("a\nb\u{202e}").to_string(), "`a\\u{a}b\\u{202e}`");
        assert_eq!(Quoted("p\u{430}yments").to_string(), "`p\\u{430}yments`", "a Cyrillic а is visible");
        assert_eq!(Quoted(&"x".repeat(65)).to_string(), format!("`{}…`", "x".repeat(64)));
    }

    #[test]
    fn shortened_cuts_between_characters() {
        assert_eq!(shortened("äöü", 2), "äö…");
        assert_eq!(shortened("äöü", 3), "äöü");
    }
}
