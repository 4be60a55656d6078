//! Where in the text of a JSON file the values stand that findings are about.

use std::{fmt, ops::Range};

use daypass::persona::{JsonPath, Location, Step};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A part of a text: lines and columns count from 1, columns count characters, and the end is the first character that
/// does not belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Region {
    pub start_line: usize,
    pub start_column: usize,
    pub end_line: usize,
    pub end_column: usize,
}

/// The text of a JSON file.
#[derive(Clone, Copy, Debug)]
pub struct Source<'t>(pub &'t str);

impl<'t> Source<'t> {
    /// What to mark for `location`: a value that is text or a number, or the key of one that is more. For what is not
    /// there, what it is missing from.
    pub fn region(self, location: &Location) -> Region {
        match location {
            Location::Text { line, column } => self.region_of(self.char_at(*line, *column)),
            Location::Value(path) => self.region_of(self.mark(path)),
        }
    }

    /// Whether there is a value at `path`.
    pub fn has(self, path: &JsonPath<'_>) -> bool {
        self.find(path).1 == path.steps().len()
    }

    /// The value at `path`, if there is one and it is a `T`.
    pub fn value<T: Deserialize<'t>>(self, path: &JsonPath<'_>) -> Option<T> {
        let (value, depth) = self.find(path);
        if depth == path.steps().len() { serde_json::from_str(value).ok() } else { None }
    }

    /// The value that `path` leads to, and how many of its steps are there.
    fn find(self, path: &JsonPath<'_>) -> (&'t str, usize) {
        let mut value = self.0.trim_ascii();
        for (depth, step) in path.steps().iter().enumerate() {
            let next = match step {
                Step::Key(key) => serde_json::from_str(value).ok().and_then(|Entries(entries)| {
                    entries.into_iter().find(|(name, _)| name == key).map(|(_, value)| value)
                }),
                Step::Index(index) => {
                    serde_json::from_str(value).ok().and_then(|items: Vec<&RawValue>| items.get(*index).copied())
                }
            };
            match next {
                Some(next) => value = next.get(),
                None => return (value, depth),
            }
        }
        (value, path.steps().len())
    }

    fn mark(self, path: &JsonPath<'_>) -> Range<usize> {
        let (value, depth) = self.find(path);
        let start = self.start_of(value);
        let has_parts = value.starts_with(['{', '[']);
        match depth.checked_sub(1).and_then(|last| path.steps().get(last)) {
            _ if !has_parts => start..start + value.len(),
            Some(Step::Key(_)) => self.key_before(start).unwrap_or(start..start + 1),
            _ => start..start + 1,
        }
    }

    /// The key of a value that is a part of the text; of a value without a key, such as an item of a list, its first character.
    pub fn mark_of(self, value: &str) -> Range<usize> {
        let start = self.start_of(value);
        self.key_before(start).unwrap_or(start..self.0.len().min(start + 1))
    }

    /// Where a part of the text begins: the difference of their addresses is its place.
    fn start_of(self, part: &str) -> usize {
        part.as_ptr().addr() - self.0.as_ptr().addr()
    }

    /// The key, with its quotes, of the value that starts at `start`.
    fn key_before(self, start: usize) -> Option<Range<usize>> {
        let before = self.0[..start].trim_ascii_end().strip_suffix(':')?.trim_ascii_end();
        let inside = before.strip_suffix('"')?;
        // A quote that is part of the key has an odd number of backslashes before it.
        let is_open = |&(at, _): &(usize, &str)| {
            let backslashes = inside[..at].bytes().rev().take_while(|&b| b == b'\\').count();
            backslashes % 2 == 0
        };
        let (open, _) = inside.rmatch_indices('"').find(is_open)?;
        Some(open..before.len())
    }

    /// The character at a place as `serde_json` counts: columns are bytes, and a line begins with column 1, or with 0 where
    /// the text ends.
    fn char_at(self, line: usize, column: usize) -> Range<usize> {
        let lines = self.0.split_inclusive('\n');
        let line_start: usize = lines.take(line.saturating_sub(1)).map(str::len).sum();
        let mut start = (line_start + column.saturating_sub(1)).min(self.0.len());
        while !self.0.is_char_boundary(start) {
            start -= 1;
        }
        start..start + self.0[start..].chars().next().map_or(0, char::len_utf8)
    }

    fn region_of(self, range: Range<usize>) -> Region {
        let place = |at: usize| {
            let before = &self.0[..at];
            let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
            (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
        };
        let ((start_line, start_column), (end_line, end_column)) = (place(range.start), place(range.end));
        Region { start_line, start_column, end_line, end_column }
    }
}

/// Where parts of a text stand, which are given in the order of their beginnings: together they cost one pass over the text.
pub fn regions(text: &str, ranges: impl Iterator<Item = Range<usize>>) -> Vec<Region> {
    /// A place in the text, with the line and column of the character there.
    #[derive(Clone, Copy)]
    struct Place(usize, usize, usize);

    let advance = |Place(from, mut line, mut column): Place, to: usize| {
        for c in text.get(from..to).unwrap_or_default().chars() {
            (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        Place(to, line, column)
    };
    let mut place = Place(0, 1, 1);
    let region = |range: Range<usize>| {
        place = advance(place, range.start);
        let end = advance(place, range.end);
        Region { start_line: place.1, start_column: place.2, end_line: end.1, end_column: end.2 }
    };
    ranges.map(region).collect()
}

/// The entries of an object, repeated keys included, with their values as they stand in the text.
pub struct Entries<'t>(pub Vec<(String, &'t RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "{\n  \"a\": [ 1, \"zwölf\", {\"x\\\"y\" : {\"ü\": null, \"z\": {}}} ],\n  \"a\": 2, \"\": \"\"\n}\n";

    /// What the region of `path` holds.
    fn marked(path: &JsonPath<'_>) -> String {
        let Region { start_line, start_column, end_line, end_column } =
            Source(TEXT).region(&Location::Value(path.to_static()));
        assert_eq!(start_line, end_line, "nothing here goes over lines");
        let line = TEXT.lines().nth(start_line - 1).expect("a line");
        line.chars().skip(start_column - 1).take(end_column - start_column).collect()
    }

    #[test]
    fn every_value_is_found() {
        let root = JsonPath::default();
        let a = root.join("a");
        let object = a.join(2).join("x\"y");
        let cases = [
            (root.clone(), "{"),
            (a.clone(), "\"a\""),
            (a.join(0), "1"),
            (a.join(1), "\"zwölf\""),
            (a.join(2), "{"),
            (object.clone(), "\"x\\\"y\""),
            (object.join("ü"), "null"),
            (object.join("z"), "\"z\""),
            (root.join(""), "\"\""),
            // What is not there is marked by what it is missing from.
            (root.join("b"), "{"),
            (object.join("b").join("c"), "\"x\\\"y\""),
            (a.join(3), "\"a\""),
            (a.join("b"), "\"a\""),
        ];
        for (path, text) in cases {
            assert_eq!(marked(&path), text, "{path}");
        }
        assert!(Source(TEXT).has(&object) && Source(TEXT).has(&root) && !Source(TEXT).has(&a.join(3)));
    }

    #[test]
    fn columns_count_characters() {
        let path = JsonPath::default().join("a").join(2).join("x\"y");
        let region = Source(TEXT).region(&Location::Value(path));
        assert_eq!(region, Region { start_line: 2, start_column: 23, end_line: 2, end_column: 29 });
        let broken = "{\n\"ö\": }";
        let error = serde_json::from_str::<serde_json::Value>(broken).expect_err("no JSON");
        let region = Source(broken).region(&Location::Text { line: error.line(), column: error.column() });
        assert_eq!(region, Region { start_line: 2, start_column: 6, end_line: 2, end_column: 7 });
    }

    #[test]
    fn regions_are_those_of_single_values() {
        let root = JsonPath::default();
        let paths = [root.join("a"), root.join("a").join(1), root.join("a").join(2).join("x\"y")];
        let source = Source(TEXT);
        let ranges: Vec<_> = paths.iter().map(|path| source.mark(path)).collect();
        let single: Vec<_> = paths.iter().map(|path| source.region(&Location::Value(path.to_static()))).collect();
        assert_eq!(regions(TEXT, ranges.into_iter()), single);
    }

    #[test]
    fn no_place_is_outside_of_the_text() {
        for text in ["", "\n", "{", "{\n", "ü"] {
            for (line, column) in [(0, 0), (1, 0), (1, 1), (1, 2), (2, 0), (9, 9)] {
                let Region { start_line, start_column, .. } = Source(text).region(&Location::Text { line, column });
                assert!(start_line >= 1 && start_column >= 1, "{text:?} {line} {column}");
            }
        }
    }
}
