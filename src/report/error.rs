//! Errors as people see them: once, where they are handled.

use crate::base::error::Error;

/// Logs an error at level ERROR, its details below it, as one event.
pub fn log(error: &Error) {
    tracing::error!("{}", text(error));
}

/// The error's line and its detail lines.
pub fn text(error: &Error) -> String {
    let mut lines = vec![error.to_string()];
    lines.extend(error.detail_lines());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_follow_the_one_line_text() {
        let error = Error::config("bad size").hint("Give a unit.");
        assert_eq!(text(&error), "bad size\nhint: Give a unit.");
    }
}
