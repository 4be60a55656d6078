//! What is printed where: results on stdout; progress, notes and errors on stderr.

use std::{
    env,
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use clap::ValueEnum;
use daypass::text::plain;
use serde_json::Value;

use crate::error::{Error, Kind};

/// How a command prints.
#[derive(clap::Args, Clone, Copy)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// The format of results and errors
    #[arg(long, value_enum, global = true, default_value_t = Format::Text)]
    output: Format,
    /// Do not print progress and notes
    #[arg(long, global = true)]
    quiet: bool,
    /// When to use colours
    #[arg(long, value_enum, global = true, value_name = "WHEN", default_value_t = Color::Auto)]
    color: Color,
}

/// How results and errors are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for people
    Text,
    /// One JSON object, for programs
    Json,
    /// SARIF 2.1.0 for code scanners and editors; only of `personas check`
    Sarif,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Clone, Debug)]
pub struct Output {
    format: Format,
    quiet: bool,
    color: bool,
    /// Whether a line can be written again.
    live: bool,
    docs_url: Option<String>,
}

impl Output {
    /// As the command line says.
    pub fn new(args: OutputArgs) -> Self {
        let terminal = io::stderr().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb");
        let color = match args.color {
            Color::Auto => terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            Color::Always => true,
            Color::Never => false,
        };
        Self { format: args.output, quiet: args.quiet, color, live: terminal, docs_url: None }
    }

    /// For an error alone, as JSON.
    pub const fn json() -> Self {
        Self { format: Format::Json, quiet: true, color: false, live: false, docs_url: None }
    }

    /// For tests: as quiet as can be.
    #[cfg(test)]
    pub const fn silent() -> Self {
        Self { format: Format::Text, quiet: true, color: false, live: false, docs_url: None }
    }

    /// Errors link to this documentation from here on.
    pub fn link_to(&mut self, docs_url: Option<&str>) {
        self.docs_url = docs_url.map(str::to_owned);
    }

    /// How results are to be printed.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Prints a result in the one or the other way.
    pub fn result(&self, text: &str, json: &Value) -> Result<ExitCode, Error> {
        if self.format == Format::Text { print(text) } else { print(&json_text(json)) }
    }

    /// Says something beside the result.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            say(&self.noted(text));
        }
    }

    fn noted(&self, text: &str) -> String {
        let (dim, reset) = if self.color { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
        format!("{dim}daypass: {}{reset}\n", plain(text))
    }

    /// Says what has to be known, also when it should be quiet.
    pub fn warn(&self, text: &str) {
        say(&self.warned(text));
    }

    fn warned(&self, text: &str) -> String {
        let (yellow, reset) = if self.color { ("\x1b[33m", "\x1b[0m") } else { ("", "") };
        format!("{yellow}daypass:{reset} {}\n", plain(text))
    }

    /// Says what went wrong.
    pub fn explain(&self, error: &Error) {
        let docs_url = self.docs_url.as_deref();
        let text = if self.format == Format::Text {
            error.text(docs_url, self.color)
        } else {
            format!("{}\n", escaped(&error.json(docs_url).to_string()))
        };
        say(&text);
    }

    /// Begins something that takes a while.
    pub fn progress(&self, what: &str) -> Progress {
        let progress = Progress { shown: !self.quiet, live: self.live, what: plain(what) };
        progress.begin();
        progress
    }
}

/// Something that takes a while. On a terminal its line goes away with it.
pub struct Progress {
    shown: bool,
    live: bool,
    what: String,
}

impl Progress {
    fn begin(&self) {
        if self.shown {
            say(&if self.live {
                format!("\r\x1b[Kdaypass: {} …", self.what)
            } else {
                format!("daypass: {} …\n", self.what)
            });
        }
    }

    /// Tells how it goes; only where the line can be written again.
    pub fn goes_on(&self, how: &str) {
        if self.shown && self.live {
            say(&format!("\r\x1b[Kdaypass: {} … {how}", self.what));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown && self.live {
            say("\r\x1b[K");
        }
    }
}

/// JSON as it is printed: every character of it can be seen.
pub fn json_text(json: &Value) -> String {
    format!("{}\n", escaped(&format!("{json:#}")))
}

/// The same JSON without a character that moves a cursor, or hides or turns others: outside of ASCII they stand in texts only, where
/// they can be written as their codes.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || c == ' ' || c.is_ascii_graphic() {
            text.push(c);
        } else {
            text.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    text
}

/// Prints to stdout. Whoever stops reading, such as `head`, has read enough.
///
/// Returns the exit code of a command that succeeds.
///
/// # Errors
/// When it cannot be printed, as to a disk that is full: whoever reads it later has less than there was to say.
pub fn print(text: &str) -> Result<ExitCode, Error> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::new(Kind::Failed, format!("the result cannot be written: {error}"))
                .remedy("check where stdout goes"))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_no_character_that_cannot_be_seen() {
        let json = serde_json::json!({"reason": "x\n\u{9b}2J\u{202e}\u{2028}\u{7f}\u{1f34c}é"});
        let printed = json_text(&json);
        assert!(printed.is_ascii() && !printed.contains('\u{7f}'), "{printed}");
        assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), json);
    }

    #[test]
    fn what_is_said_is_one_line() {
        let text = "x\n::add-mask::y\u{2028}\u{202e}\u{200b}\u{1b}[2J";
        let output = Output::silent();
        for said in [output.noted(text), output.warned(text)] {
            assert_eq!(said, "daypass: x\\u{a}::add-mask::y\\u{2028}\\u{202e}\\u{200b}\\u{1b}[2J\n");
        }
        assert_eq!(output.progress(text).what, plain(text));
    }
}
