//! One log event with its fields collected, and its text and JSON forms.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};

use super::severity::Severity;

/// A log event, ready to be written in any form.
#[derive(Debug)]
pub(super) struct Record {
    /// How bad it is.
    pub(super) severity: Severity,
    /// Source file and line.
    pub(super) position: Position,
    /// The prose.
    pub(super) message: String,
    /// Fields in the order given, `error` first.
    pub(super) fields: Vec<(&'static str, String)>,
}

/// A place in the source code.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    /// File.
    pub(super) file: &'static str,
    /// Line.
    pub(super) line: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Paths of dependencies are absolute; the last two parts tell them apart well enough.
        let start = self.file.rmatch_indices('/').nth(1).map_or(0, |(index, _)| index + 1);
        let short = self.file.get(start..).unwrap_or(self.file);
        f.pad(&format!("{short}:{}", self.line))
    }
}

/// What stands in front of a message in a text line.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextStyle {
    /// Colour the level.
    pub(super) colour: bool,
    /// Pad the level to 6 and the position to 25 columns.
    pub(super) padded: bool,
    /// Write the source position.
    pub(super) position: bool,
}

impl Record {
    /// Collects an event.
    pub(super) fn of(event: &tracing::Event<'_>) -> Self {
        let metadata = event.metadata();
        let mut collector = Collector::default();
        event.record(&mut collector);
        let Collector { message, mut fields } = collector;
        // The key for errors comes first whatever order the call had; the sort is stable.
        fields.sort_by_key(|(name, _)| *name != "error");
        Self {
            severity: Severity::of(metadata),
            position: Position {
                file: metadata.file().unwrap_or("?"),
                line: metadata.line().unwrap_or(0),
            },
            message,
            fields,
        }
    }

    /// The prose with the fields appended as `name=value`.
    pub(super) fn sentence(&self) -> String {
        let mut text = self.message.clone();
        for (name, value) in &self.fields {
            let separator = if text.is_empty() { "" } else { " " };
            let _ = write!(text, "{separator}{name}={}", quote_value(value));
        }
        text
    }

    /// The event as text: one line per line of the message, each complete, newline included.
    pub(super) fn text(&self, time: &str, pid: u32, style: TextStyle) -> String {
        let name = self.severity.name();
        let (start, end) = match style.colour {
            true => (format!("\x1b[{}m", self.severity.colour()), "\x1b[0m"),
            false => (String::new(), ""),
        };
        let level = if style.padded { format!("{name:6}") } else { name.to_owned() };
        let position = match (style.position, style.padded) {
            (false, _) => String::new(),
            (true, false) => format!("{} ", self.position),
            (true, true) => format!("{:25} ", self.position),
        };
        let mut text = String::new();
        for line in self.sentence().lines() {
            let _ = writeln!(text, "{time} {pid} {start}{level}{end} {position}{}", visible(line));
        }
        text
    }

    /// The event as one JSON object, newline included.
    ///
    /// The first seven keys are those that scripts know; `fields` is ours and absent when empty.
    pub(super) fn json(&self, time: &str, pid: u32) -> String {
        let mut object = serde_json::Map::new();
        object.insert("timestamp".into(), time.into());
        object.insert("pid".into(), pid.into());
        object.insert("error_level".into(), self.severity.number().into());
        object.insert("error_severity".into(), self.severity.name().into());
        object.insert("file_name".into(), self.position.file.into());
        object.insert("file_line_num".into(), self.position.line.into());
        object.insert("message".into(), self.sentence().into());
        if !self.fields.is_empty() {
            let fields: serde_json::Map<String, serde_json::Value> = self
                .fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_str().into()))
                .collect();
            object.insert("fields".into(), fields.into());
        }
        serde_json::Value::from(object).to_string() + "\n"
    }
}

/// Quotes a field's value where it would run into the next one.
fn quote_value(value: &str) -> String {
    let plain = |character: char| !character.is_whitespace() && character != '"';
    if !value.is_empty() && value.chars().all(plain) {
        value.to_owned()
    } else {
        format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// Writes control characters as escapes, so that no server can steer the terminal.
fn visible(line: &str) -> String {
    if !line.chars().any(char::is_control) {
        return line.to_owned();
    }
    let mut text = String::with_capacity(line.len());
    for character in line.chars() {
        match character {
            '\t' => text.push(character),
            character if character.is_control() => text.extend(character.escape_default()),
            character => text.push(character),
        }
    }
    text
}

/// Takes the values of an event.
#[derive(Default)]
struct Collector {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Collector {
    /// Takes one value as text.
    fn take(&mut self, field: &Field, value: String) {
        if field.name() == "message" {
            self.message = value;
        } else {
            self.fields.push((field.name(), value));
        }
    }
}

impl Visit for Collector {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.take(field, value.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: TextStyle = TextStyle { colour: false, padded: true, position: false };

    fn record(message: &str, fields: &[(&'static str, &str)]) -> Record {
        Record {
            severity: Severity::Info,
            position: Position { file: "src/job/copy/mod.rs", line: 7 },
            message: message.into(),
            fields: fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        }
    }

    #[test]
    fn level_is_padded_to_six_and_fields_follow_the_message() {
        let line = record("copied table", &[("relation", "public.t"), ("bytes", "42")]);
        assert_eq!(
            line.text("07:05:09.042", 99, PLAIN),
            "07:05:09.042 99 INFO   copied table relation=public.t bytes=42\n"
        );
    }

    #[test]
    fn position_is_padded_to_25_columns() {
        let style = TextStyle { position: true, ..PLAIN };
        assert_eq!(
            record("x", &[]).text("t", 1, style),
            "t 1 INFO   copy/mod.rs:7             x\n"
        );
    }

    #[test]
    fn file_lines_are_not_padded_and_colours_wrap_the_level() {
        let style = TextStyle { colour: true, padded: false, position: true };
        assert_eq!(
            record("x", &[]).text("t", 1, style),
            "t 1 \x1b[32mINFO\x1b[0m copy/mod.rs:7 x\n"
        );
    }

    #[test]
    fn values_with_blanks_are_quoted() {
        let line = record("m", &[("a", "b c"), ("d", ""), ("e", "say \"x\"")]);
        assert_eq!(line.sentence(), "m a=\"b c\" d=\"\" e=\"say \\\"x\\\"\"");
    }

    #[test]
    fn every_line_of_a_message_is_a_complete_log_line() {
        assert_eq!(
            record("first\nhint: second", &[]).text("t", 1, PLAIN),
            "t 1 INFO   first\nt 1 INFO   hint: second\n"
        );
    }

    // trap X-26
    #[test]
    fn control_characters_cannot_reach_the_terminal() {
        let text = record("a\x1b[2Jb\rc", &[]).text("t", 1, PLAIN);
        assert_eq!(text, "t 1 INFO   a\\u{1b}[2Jb\\rc\n");
    }

    #[test]
    fn json_has_the_seven_keys_in_order_and_our_fields_last() {
        let text = record("m", &[("bytes", "42")]).json("2026-03-01 07:05:09.042", 99);
        let keys: Vec<String> = serde_json::from_str::<serde_json::Value>(&text)
            .expect("valid JSON")
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect();
        let mut expected = vec![
            "timestamp",
            "pid",
            "error_level",
            "error_severity",
            "file_name",
            "file_line_num",
            "message",
            "fields",
        ];
        expected.sort_unstable();
        assert_eq!(keys, expected);
        assert!(text.ends_with("}\n") && !text.trim_end().contains('\n'));
    }
}
