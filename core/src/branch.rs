//! What git calls a branch.

use crate::text::is_readable;

/// How many bytes the name of a branch may have: it is also the value of a tag.
pub const MAX_BRANCH_CHARS: usize = 256;

/// Whether git takes `text` as the name of a branch, which is written without `refs/heads/`.
///
/// Source of the rules: `git help check-ref-format`. Letters may be of any script, as git allows them, but neither white
/// space nor characters that cannot be read: a few letters stand for their absence.
#[must_use]
pub fn is_branch(text: &str) -> bool {
    let letter = |c: char| c.is_alphanumeric() && is_readable(c);
    let allowed = |c: char| letter(c) || (c.is_ascii_graphic() && !"~^:?*[\\".contains(c));
    let part = |part: &str| {
        let lock = part.strip_suffix(".lock").is_some();
        !part.is_empty() && !part.starts_with('.') && !part.ends_with('.') && !lock
    };
    text.len() <= MAX_BRANCH_CHARS
        && text.chars().all(allowed)
        && text.split('/').all(part)
        && !text.starts_with("refs/")
        && !text.starts_with('-')
        && !text.contains("..")
        && !text.contains("@{")
        && text != "@"
}

/// Whether `pattern`, in which `*` stands for any characters and `?` for one, can match the name of a branch.
#[must_use]
pub fn is_branch_pattern(pattern: &str) -> bool {
    // An `x` is right wherever a wildcard is, if anything is: it neither ends a part with `.lock` nor begins one with `.`.
    is_branch(&pattern.replace(['*', '?'], "x"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_patterns() {
        for good in ["main", "release/1.0", "feature/größe", "a@b", "fix-#12", "x.locks"] {
            assert!(is_branch(good) && is_branch_pattern(good), "{good}");
        }
        let long = "x".repeat(MAX_BRANCH_CHARS + 1);
        let bad = ["", "/a", "a/", "a//b", ".a", "a/.b", "a.", "a..b", "a.lock", "a.lock/b", "-a", "@", "a@{b"];
        for bad in bad.into_iter().chain(["refs/heads/a", "a b", "a~", "a^", "a:b", "a[b", "a\\b", "a\u{200b}", &long])
        {
            assert!(!is_branch(bad) && !is_branch_pattern(bad), "{bad}");
        }
        for pattern in ["*", "?", "release/*", "*/*", "*.loc?", "@*", "a.*", "*lock"] {
            assert!(!is_branch(pattern) && is_branch_pattern(pattern), "{pattern}");
        }
        for pattern in ["/*", "*/", "*.lock", "*..*", "-*", "*.", "a/.*", "*@{*", "release-[0-9]*", "refs/*"] {
            assert!(!is_branch_pattern(pattern), "{pattern}");
        }
    }
}
