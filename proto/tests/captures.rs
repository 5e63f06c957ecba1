//! Real bytes from PostgreSQL 15, see `fixtures/README.md`: what we read from them is what libpq
//! read from them.

use std::path::PathBuf;

use proto::backend::BackendMessage;
use proto::frame::{Frame, next_frame};
use proto::limits::Limits;
use proto::trace::{Detail, Trace};

/// Every captured scenario.
const SCENARIOS: [&str; 12] = [
    "startup_trust",
    "startup_scram",
    "startup_md5",
    "startup_password",
    "startup_wrong_password",
    "startup_no_database",
    "simple",
    "extended",
    "copy_out_text",
    "copy_out_binary",
    "copy_out_fails",
    "copy_in",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str, extension: &str) -> Vec<u8> {
        let path: PathBuf =
            [env!("CARGO_MANIFEST_DIR"), "tests", "fixtures", &format!("{name}.{extension}")]
                .iter()
                .collect();
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn frames(mut bytes: &[u8]) -> Vec<Frame<'_>> {
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let frame = next_frame(bytes, Limits::Session).unwrap().expect("whole frames");
            bytes = &bytes[frame.total_length..];
            frames.push(frame);
        }
        frames
    }

    /// What libpq printed for one sender, without its quirks and without secrets.
    fn libpq_trace(name: &str, sender: &str) -> Vec<String> {
        String::from_utf8(fixture(name, "trace"))
            .unwrap()
            .lines()
            .filter(|line| line.starts_with(sender))
            .map(without_secrets)
            .collect()
    }

    fn without_secrets(line: &str) -> String {
        let line = line.strip_suffix(r" \x00").unwrap_or(line);
        let mut columns: Vec<&str> = line.split('\t').collect();
        match columns[2] {
            "PasswordMessage" | "SASLInitialResponse" | "SASLResponse" => {
                columns.splice(2.., ["AuthenticationResponse", " <hidden>"]);
            }
            "AuthenticationSASLContinue" | "AuthenticationSASLFinal" => columns[3] = " <hidden>",
            "AuthenticationMD5Password" => columns.push(" <hidden>"),
            "BackendKeyData" => {
                let (process, _key) = columns[3].rsplit_once(' ').unwrap();
                return format!("{}\t{process} <hidden>", columns[..3].join("\t"));
            }
            _ => {}
        }
        columns.join("\t")
    }

    #[test]
    fn trace_of_the_server_is_what_libpq_printed() {
        for name in SCENARIOS {
            let bytes = fixture(name, "backend");
            let ours: Vec<_> = frames(&bytes)
                .into_iter()
                .map(|frame| Trace::backend(frame.tag, frame.body, Detail::Rows).to_string())
                .filter(|line| !line.contains("AuthenticationOk"))
                .collect();
            assert_eq!(ours, libpq_trace(name, "B"), "{name}");
        }
    }

    #[test]
    fn trace_of_the_client_is_what_libpq_printed() {
        for name in SCENARIOS {
            let bytes = fixture(name, "frontend");
            let length = u32::from_be_bytes(*bytes.first_chunk().unwrap()) as usize;
            let mut ours = vec![Trace::startup(&bytes[4..length], Detail::Rows).to_string()];
            for frame in frames(&bytes[length..]) {
                ours.push(Trace::frontend(frame.tag, frame.body, Detail::Rows).to_string());
            }
            assert_eq!(ours, libpq_trace(name, "F"), "{name}");
        }
    }

    #[test]
    fn every_message_of_a_real_server_is_decoded() {
        for name in SCENARIOS {
            for frame in frames(&fixture(name, "backend")) {
                let message = BackendMessage::decode(frame.tag, frame.body);
                assert!(
                    !matches!(message, Err(_) | Ok(BackendMessage::Unknown { .. })),
                    "{name}: {message:?}"
                );
            }
        }
    }

    #[test]
    fn truncating_any_message_of_a_real_server_is_an_error() {
        for name in SCENARIOS {
            let bytes = fixture(name, "backend");
            // CopyData has no inner structure; authentication data is for the mechanism to judge.
            for frame in frames(&bytes).into_iter().filter(|f| f.tag != b'd' && f.tag != b'R') {
                for n in 0..frame.body.len() {
                    let message = BackendMessage::decode(frame.tag, &frame.body[..n]);
                    let key_of_another_length = frame.tag == b'K' && n >= 8;
                    assert!(message.is_err() || key_of_another_length, "{name}: {message:?}");
                }
            }
        }
    }
}
