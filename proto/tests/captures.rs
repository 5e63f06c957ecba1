//! Real bytes from PostgreSQL 15 and libpq, see `fixtures/README.md`: what we read is what libpq
//! read, what we write is what libpq wrote.

/// Every captured scenario.
#[cfg(test)]
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
#[expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
mod tests {
    use std::path::PathBuf;

    use bytes::BytesMut;
    use proptest::prelude::*;
    use proto::backend::BackendMessage;
    use proto::copy::binary::{BinaryItem, BinaryWalker};
    use proto::copy::{CopyRelay, RelayStep, binary, text};
    use proto::frame::{Frame, next_frame};
    use proto::frontend::{self, EncodeError};
    use proto::limits::Limits;
    use proto::trace::{Detail, Trace};
    use proto::types::{FormatCode, Oid};

    use super::SCENARIOS;

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

    /// The captured bytes of the client without its StartupMessage and its Terminate.
    fn client_bytes(name: &str) -> Vec<u8> {
        let bytes = fixture(name, "frontend");
        let startup = u32::from_be_bytes(*bytes.first_chunk().unwrap()) as usize;
        bytes[startup..].strip_suffix(b"X\0\0\0\x04").unwrap().to_vec()
    }

    #[test]
    fn extended_protocol_is_encoded_as_libpq_does() {
        let mut buf = BytesMut::new();
        let sql = "SELECT $1::int4 AS a, $2::text AS b, NULL AS c";
        frontend::parse("s", sql, &[Oid(23), Oid(0)], &mut buf).unwrap();
        frontend::sync(&mut buf);
        frontend::describe_statement("s", &mut buf).unwrap();
        frontend::sync(&mut buf);
        for format in [FormatCode::Text, FormatCode::Binary] {
            let values = [Some(b"42".as_slice()), None];
            frontend::bind("", "s", &values, &[], format, &mut buf).unwrap();
            frontend::describe_portal("", &mut buf).unwrap();
            frontend::execute("", 0, &mut buf).unwrap();
            frontend::sync(&mut buf);
        }
        frontend::close_statement("s", &mut buf).unwrap();
        frontend::sync(&mut buf);
        for (sql, types, values) in [
            ("SELECT 1/$1", [Oid(23)].as_slice(), [Some(b"0".as_slice())].as_slice()),
            ("SET application_name = 'other'", &[], &[]),
        ] {
            frontend::parse("", sql, types, &mut buf).unwrap();
            frontend::bind("", "", values, &[], FormatCode::Text, &mut buf).unwrap();
            frontend::describe_portal("", &mut buf).unwrap();
            frontend::execute("", 0, &mut buf).unwrap();
            frontend::sync(&mut buf);
        }
        assert_eq!(buf, client_bytes("extended"));
    }

    // trap C-47
    #[test]
    fn a_bind_without_its_large_values_is_the_same_message_when_they_are_put_in() {
        let values = [Some(b"a".as_slice()), Some(b"large"), None, Some(b""), Some(b"larger")];
        for gap_from in 0..8 {
            let format = FormatCode::Text;
            let mut whole = BytesMut::from(b"before".as_slice());
            frontend::bind("", "s", &values, &[], format, &mut whole).unwrap();
            let bind = frontend::BindValues {
                parameters: &values,
                parameter_formats: &[],
                result_format: format,
                gap_from,
            };
            let mut buf = BytesMut::from(b"before".as_slice());
            let gaps = frontend::bind_with_gaps("", "s", &bind, &mut buf).unwrap();
            let is_large = |value: &&Option<&[u8]>| value.is_some_and(|v| v.len() >= gap_from);
            assert_eq!(gaps.len(), values.iter().filter(is_large).count());
            let mut filled = buf.to_vec();
            for gap in gaps.iter().rev() {
                let value = values[gap.parameter].unwrap();
                filled.splice(gap.at..gap.at, value.iter().copied());
            }
            assert_eq!(filled, whole, "{gap_from}");
        }
    }

    #[test]
    fn copy_in_is_encoded_as_libpq_does() {
        let mut buf = BytesMut::new();
        frontend::query("CREATE TEMP TABLE t (a int, b text)", &mut buf).unwrap();
        frontend::query("COPY t FROM STDIN", &mut buf).unwrap();
        frontend::copy_data(b"1\tone\n", &mut buf).unwrap();
        frontend::copy_data(b"2\t\\N\n", &mut buf).unwrap();
        frontend::copy_done(&mut buf);
        frontend::query("COPY t FROM STDIN", &mut buf).unwrap();
        frontend::copy_fail("given up", &mut buf).unwrap();
        frontend::query("COPY t FROM STDIN", &mut buf).unwrap();
        frontend::copy_data(b"x\n", &mut buf).unwrap();
        frontend::copy_done(&mut buf);
        assert_eq!(buf, client_bytes("copy_in"));
    }

    // The layouts of the documentation, written out by hand.
    #[test]
    fn messages_that_the_captures_lack_are_as_documented() {
        let mut buf = BytesMut::new();
        frontend::ssl_request(&mut buf);
        frontend::cancel_request(7, b"\x01\x02\x03\x04", &mut buf).unwrap();
        frontend::cancel_request(7, &[9; 32], &mut buf).unwrap();
        frontend::close_portal("p", &mut buf).unwrap();
        frontend::flush(&mut buf);
        frontend::terminate(&mut buf);
        frontend::sasl_response(b"abc", &mut buf).unwrap();
        let expected: [&[u8]; 9] = [
            b"\0\0\0\x08\x04\xd2\x16\x2f",
            b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07\x01\x02\x03\x04",
            b"\0\0\0\x2c\x04\xd2\x16\x2e\0\0\0\x07",
            &[9; 32],
            b"C\0\0\0\x07Pp\0",
            b"H\0\0\0\x04",
            b"X\0\0\0\x04",
            b"p\0\0\0\x07abc",
            b"",
        ];
        assert_eq!(buf, expected.concat());
    }

    #[test]
    fn zero_bytes_are_refused_and_leave_the_buffer_as_it_was() {
        let mut buf = BytesMut::from(b"before".as_slice());
        let nul = b"a\0b".as_slice();
        let errors = [
            frontend::query(nul, &mut buf),
            frontend::parse(nul, "", &[], &mut buf),
            frontend::parse("", nul, &[], &mut buf),
            frontend::bind(nul, "", &[], &[], FormatCode::Text, &mut buf),
            frontend::bind("", nul, &[], &[], FormatCode::Text, &mut buf),
            frontend::describe_statement(nul, &mut buf),
            frontend::describe_portal(nul, &mut buf),
            frontend::execute(nul, 0, &mut buf),
            frontend::close_statement(nul, &mut buf),
            frontend::close_portal(nul, &mut buf),
            frontend::copy_fail(nul, &mut buf),
            frontend::password(nul, &mut buf),
            frontend::sasl_initial_response("a\0b", b"", &mut buf),
            frontend::startup([("user", nul)], &mut buf),
            frontend::startup([(nul, "x")], &mut buf),
        ];
        for error in errors {
            assert!(matches!(error, Err(EncodeError::InteriorNul { .. })), "{error:?}");
        }
        assert_eq!(buf, b"before".as_slice());
    }

    #[test]
    fn more_parameters_than_a_count_can_say_are_refused() {
        let mut buf = BytesMut::new();
        let text = FormatCode::Text;
        assert!(frontend::parse("", "", &vec![Oid(0); 65_535], &mut buf).is_ok());
        assert!(frontend::bind("", "", &vec![None; 65_535], &[], text, &mut buf).is_ok());
        buf.clear();
        let too_long = |result| matches!(result, Err(EncodeError::TooLong { .. }));
        assert!(too_long(frontend::parse("", "", &vec![Oid(0); 65_536], &mut buf)));
        assert!(too_long(frontend::bind("", "", &vec![None; 65_536], &[], text, &mut buf)));
        assert!(buf.is_empty());
    }

    #[test]
    fn copy_data_header_stops_at_the_servers_limit() {
        assert_eq!(frontend::copy_data_header(0), Ok(*b"d\0\0\0\x04"));
        assert_eq!(frontend::copy_data_header(0x3fff_fffe), Ok([b'd', 0x40, 0, 0, 2]));
        let too_long = EncodeError::TooLong { what: "CopyData" };
        assert_eq!(frontend::copy_data_header(0x3fff_ffff), Err(too_long));
        assert_eq!(frontend::copy_data_header(usize::MAX), Err(too_long));
    }

    /// The rows that CommandComplete says, and the payload of the CopyData frames before it.
    fn copied(name: &str) -> (Option<u64>, Vec<u8>) {
        let bytes = fixture(name, "backend");
        let start = frames(&bytes)
            .iter()
            .take_while(|frame| frame.tag != b'd')
            .fold(0, |n, f| n + f.total_length);
        let mut relay = CopyRelay::new();
        let RelayStep::Forward(n) = relay.step(&bytes[start..]).unwrap() else {
            panic!("nothing to forward")
        };
        let payload = frames(&bytes[start..][..n])
            .iter()
            .map(|frame| frame.body)
            .collect::<Vec<_>>()
            .concat();
        assert_eq!(relay.payload_bytes(), payload.len() as u64);
        let after = frames(&bytes[start + n..]);
        let rows = after.iter().find(|frame| frame.tag == b'C').and_then(|frame| {
            match BackendMessage::decode(frame.tag, frame.body) {
                Ok(BackendMessage::CommandComplete(tag)) => tag.rows(),
                other => panic!("{other:?}"),
            }
        });
        (rows, payload)
    }

    #[test]
    fn rows_found_in_a_real_copy_stream_are_those_its_tag_counts() {
        let (rows, payload) = copied("copy_out_binary");
        let mut walker = BinaryWalker::new();
        walker.feed(&payload).unwrap();
        assert_eq!(walker.finish().ok(), rows);
        let (rows, payload) = copied("copy_out_text");
        let lines = payload.split_inclusive(|byte| *byte == b'\n').count();
        assert_eq!(u64::try_from(lines).ok(), rows);
    }

    #[test]
    fn text_and_binary_copies_of_the_same_rows_agree() {
        let (_, binary) = copied("copy_out_binary");
        let (_, text) = copied("copy_out_text");
        let mut rest = &binary[binary::read_header(&binary).unwrap().unwrap()..];
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let (item, length) = binary::read_item(rest).unwrap().unwrap();
            rest = &rest[length..];
            let BinaryItem::Tuple(tuple) = item else { panic!("too few rows") };
            let raw = text::raw_fields(line.strip_suffix(b"\n").unwrap());
            let fields: Vec<_> = raw.map(|raw| text::decode_field(raw).unwrap()).collect();
            // The first column is an integer, the other two are text and the same in both.
            let number =
                u32::from_be_bytes(tuple.iter().next().unwrap().unwrap().try_into().unwrap());
            assert_eq!(fields[0].as_deref(), Some(number.to_string().as_bytes()));
            assert!(tuple.iter().skip(1).eq(fields.iter().skip(1).map(|field| field.as_deref())));
        }
        assert_eq!(binary::read_item(rest), Ok(Some((BinaryItem::Trailer, rest.len()))));
    }

    #[test]
    fn copy_that_fails_half_way_ends_with_the_error() {
        let (rows, payload) = copied("copy_out_fails");
        assert_eq!((rows, payload.as_slice()), (None, b"5\n10\n".as_slice()));
    }

    proptest! {
        #[test]
        fn any_split_of_a_real_stream_gives_the_same_frames(
            scenario in prop::sample::select(SCENARIOS.as_slice()),
            cuts in prop::collection::vec(1_usize..60, 1..20),
        ) {
            let bytes = fixture(scenario, "backend");
            let expected: Vec<_> =
                frames(&bytes).iter().map(|frame| (frame.tag, frame.body.to_vec())).collect();
            let mut found = Vec::new();
            let mut buf: Vec<u8> = Vec::new();
            let mut rest = bytes.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, tail) = rest.split_at((*cut).min(rest.len()));
                rest = tail;
                buf.extend_from_slice(piece);
                while let Some(frame) = next_frame(&buf, Limits::Session).unwrap() {
                    found.push((frame.tag, frame.body.to_vec()));
                    let consumed = frame.total_length;
                    buf.drain(..consumed);
                }
            }
            prop_assert_eq!(found, expected);
        }
    }
}
