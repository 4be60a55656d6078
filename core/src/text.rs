//! User input in messages: always quoted, never long, never able to forge a line of a log.

use std::fmt;

/// How many characters the value of a tag may have, of IAM roles and of sessions.
const TAG_VALUE_CHARS: usize = 256;

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

/// `text` as the value of a tag: what tags may not have becomes `_`, and a long text is cut.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html> (letters, digits, spaces and `_.:/=+-@`).
#[must_use]
pub fn tag_value(text: &str) -> String {
    let allowed = |c: char| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c);
    text.chars().take(TAG_VALUE_CHARS).map(|c| if allowed(c) { c } else { '_' }).collect()
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
    fn tag_values_hold_what_tags_may_hold() {
        assert_eq!(tag_value("alex+ci@example.com"), "alex+ci@example.com");
        assert_eq!(tag_value("fix/#12, größer\n"), "fix/_12_ größer_");
        assert_eq!(tag_value(&"x".repeat(300)).len(), TAG_VALUE_CHARS);
    }

    #[test]
    fn shortened_cuts_between_characters() {
        assert_eq!(shortened("äöü", 2), "äö…");
        assert_eq!(shortened("äöü", 3), "äöü");
    }
}
