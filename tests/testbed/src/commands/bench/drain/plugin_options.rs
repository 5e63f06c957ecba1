//! The options that a program of ours asked an output plugin for, as the server's log has them.
//!
//! The bare limit has to read the very same stream, so nothing is written down twice: what ours sent is
//! read from the source's log (`log_replication_commands`).

use anyhow::{Context, Result};

/// Options of the last START_REPLICATION on a slot: names and values.
///
/// Shape: `START_REPLICATION SLOT "slot" LOGICAL 0/0 ("name" 'value', …)`, quotes doubled inside.
///
/// # Errors
/// When the log has no such command.
pub(super) fn last_options(log: &str, slot: &str) -> Result<Vec<(String, String)>> {
    let lead = format!("START_REPLICATION SLOT \"{slot}\" LOGICAL ");
    let found = log.lines().rev().find_map(|line| Some(line.split_once(&lead)?.1));
    let line = found.with_context(|| format!("the log names no stream from slot {slot}"))?;
    let mut rest = line.split_once('(').map_or("", |(_, rest)| rest);
    let mut options = Vec::new();
    while let Some((name, after)) = quoted(rest, '"') {
        let (value, after) = quoted(after, '\'').context("an option without a value")?;
        options.push((name, value));
        rest = after;
    }
    Ok(options)
}

/// The next quoted text, and what follows it.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let (before, mut rest) = text.split_once(quote)?;
    if before.chars().any(|between| !matches!(between, ' ' | ',')) {
        return None;
    }
    let mut value = String::new();
    loop {
        let (part, after) = rest.split_once(quote)?;
        value.push_str(part);
        match after.strip_prefix(quote) {
            Some(more) => {
                value.push(quote);
                rest = more;
            }
            None => return Some((value, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_command_of_the_slot_counts_and_quotes_are_undone() {
        let log = "\
LOG:  received replication command: START_REPLICATION SLOT \"a\" LOGICAL 0/0 (\"x\" '1')
LOG:  received replication command: START_REPLICATION SLOT \"a\" LOGICAL 0/8 (\"proto_version\" '2', \"names\" '\"p\",\"it''s\"')
LOG:  received replication command: START_REPLICATION SLOT \"b\" LOGICAL 0/8
";
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [pair("proto_version", "2"), pair("names", "\"p\",\"it's\"")];
        assert_eq!(last_options(log, "a").unwrap(), expected);
        assert_eq!(last_options(log, "b").unwrap(), []);
        assert!(last_options(log, "c").is_err());
    }
}
