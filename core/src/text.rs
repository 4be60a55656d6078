//! Texts of others: which of their characters can be read, and how messages repeat them: always quoted, never long, never able
//! to forge a line of a log.

use std::{fmt, ops::RangeInclusive};

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{BidiControl, DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup, WhiteSpace},
};

/// How many characters the value of a tag may have, of IAM roles and of sessions.
const TAG_VALUE_CHARS: usize = 256;

/// Where the letters of tags are looked for: Latin; Greek and Cyrillic; Hiragana, Katakana, Chinese characters, Hangul.
///
/// Tags take letters and numbers of any script, but not the marks that other scripts spell with, and Rust counts those
/// marks as alphabetic. In these blocks the two agree.
const TAG_LETTERS: [RangeInclusive<char>; 6] = [
    '\0'..='\u{2ff}',
    '\u{370}'..='\u{481}',
    '\u{48a}'..='\u{52f}',
    '\u{3041}'..='\u{30ff}',
    '\u{4e00}'..='\u{9fff}',
    '\u{ac00}'..='\u{d7a3}',
];

/// How many characters of user input a message repeats.
const QUOTED_CHARS: usize = 64;

/// The general categories whose characters are not read: controls, formats, private use, what is not assigned, and separators.
const NO_SIGNS: GeneralCategoryGroup = GeneralCategoryGroup::Other.union(GeneralCategoryGroup::Separator);

/// Whether everybody who reads a text sees `c`, as `c`, where it stands; of white space that is the space alone. Unicode's
/// properties say so: `Default_Ignorable_Code_Point`, and the general category, which `Bidi_Control` and `White_Space` follow from.
#[must_use]
pub fn is_readable(c: char) -> bool {
    is_plain(c)
        || (!NO_SIGNS.contains(CodePointMapData::<GeneralCategory>::new().get(c))
            && !CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c))
}

/// A character that cannot be read, and where it stands in its text, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    char: char,
    place: usize,
}

/// The first character of `text` that is not readable, if there is one. No text of a request may have one.
#[must_use]
pub fn unreadable(text: &str) -> Option<Unreadable> {
    text.chars().zip(1..).find(|(c, _)| !is_readable(*c)).map(|(char, place)| Unreadable { char, place })
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { char: c, place } = *self;
        let why = if CodePointSetData::new::<BidiControl>().contains(c) {
            "changes the text direction: leave it out"
        } else if CodePointSetData::new::<WhiteSpace>().contains(c) {
            "is white space other than the space: write a space, or leave it out"
        } else if CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c) {
            "is invisible: leave it out, also within an emoji"
        } else {
            "looks different to different readers: leave it out"
        };
        write!(f, "character {place} is U+{:04X}, which {why}", u32::from(c))
    }
}

/// User input as a message shows it: in backticks, cut after 64 characters, and escaped where it is not plain ASCII or
/// could end the quotation itself.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`")?;
        for c in self.0.chars().take(QUOTED_CHARS) {
            if is_plain(c) && !"`\\".contains(c) { write!(f, "{c}")? } else { write!(f, "{}", c.escape_unicode())? }
        }
        f.write_str(if self.0.chars().nth(QUOTED_CHARS).is_some() { "…`" } else { "`" })
    }
}

/// Whether `c` can be shown as it is. A look-alike letter or a right-to-left mark must be seen.
fn is_plain(c: char) -> bool {
    c.is_ascii_graphic() || c == ' '
}

/// `message`, with everything escaped that is not plain ASCII, but for the sign of a cut.
#[must_use]
pub fn plain(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    for c in message.chars() {
        if is_plain(c) || c == '…' { text.push(c) } else { text.extend(c.escape_unicode()) }
    }
    text
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
/// Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_Tag.html> (`[\p{L}\p{Z}\p{N}_.:/=+\-@]*`).
#[must_use]
pub fn tag_value(text: &str) -> String {
    let letter = |c: char| c.is_alphanumeric() && TAG_LETTERS.iter().any(|letters| letters.contains(&c));
    let allowed = |c: char| letter(c) || c == ' ' || "_.:/=+-@".contains(c);
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
        assert_eq!(Quoted("a` is fine, as is `b").to_string(), "`a\\u{60} is fine, as is \\u{60}b`");
        assert_eq!(Quoted(r"\u{a}").to_string(), r"`\u{5c}u{a}`", "not the escape of a line feed");
        assert_eq!(Quoted(&"x".repeat(65)).to_string(), format!("`{}…`", "x".repeat(64)));
    }

    #[test]
    fn what_cannot_be_read_is_told_with_a_remedy() {
        let told = |text: &str| unreadable(text).map(|it| it.to_string()).unwrap_or_default();
        assert_eq!(told("größer, 12 € – 地 👩🚀"), "");
        assert_eq!(
            told("👩\u{200d}🚀"),
            "character 2 is U+200D, which is invisible: leave it out, also within an emoji"
        );
        assert_eq!(told("ä\u{202e}b\u{200b}"), "character 2 is U+202E, which changes the text direction: leave it out");
        let space = "which is white space other than the space: write a space, or leave it out";
        assert_eq!(told("a\nb"), format!("character 2 is U+000A, {space}"));
        assert_eq!(told("a b\u{3000}"), format!("character 4 is U+3000, {space}"));
        for other in ['\0', '\u{600}', '\u{e000}', '\u{ffff}'] {
            let told = told(&other.to_string());
            assert!(told.ends_with(", which looks different to different readers: leave it out"), "{told}");
        }
    }

    #[test]
    fn plain_hides_nothing() {
        assert_eq!(plain("unknown field `a\nb\u{202e}`…"), "unknown field `a\\u{a}b\\u{202e}`…");
    }

    #[test]
    fn tag_values_hold_what_tags_may_hold() {
        assert_eq!(tag_value("alex+ci@example.com"), "alex+ci@example.com");
        assert_eq!(tag_value("fix/#12, größer\n"), "fix/_12_ größer_");
        assert_eq!(tag_value("ветка/支店/지점"), "ветка/支店/지점");
        assert_eq!(tag_value("हिन्दी"), "______", "its vowel signs are no letters to AWS");
        assert_eq!(tag_value(&"x".repeat(300)).len(), TAG_VALUE_CHARS);
    }

    #[test]
    fn shortened_cuts_between_characters() {
        assert_eq!(shortened("äöü", 2), "äö…");
        assert_eq!(shortened("äöü", 3), "äöü");
    }
}
