use super::*;
use proptest::prelude::*;

/// One frame.
fn frame(message_tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[message_tag], length.to_be_bytes().as_slice(), body].concat()
}

/// A CopyData frame whose payload is recognisable by `seed`.
fn data(payload_length: usize, seed: u8) -> Vec<u8> {
    let payload: Vec<u8> = (0..payload_length).map(|i| seed.wrapping_add(i as u8)).collect();
    frame(b'd', &payload)
}

/// What came out of a relay driven to the end of its input.
#[derive(Debug, Default, PartialEq)]
struct Output {
    forwarded: Vec<u8>,
    controls: Vec<Vec<u8>>,
}

/// How the relay is driven.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    Step,
    Coalesce { out_length: usize },
}

/// Feeds the pieces one after the other through a buffer, as a caller with a socket does.
fn drive<'p>(mode: Mode, pieces: impl IntoIterator<Item = &'p [u8]>) -> (CopyRelay, Output) {
    let mut relay = CopyRelay::new();
    let mut output = Output::default();
    let mut buf: Vec<u8> = Vec::new();
    let mut needed = 0;
    for piece in pieces {
        buf.extend_from_slice(piece);
        if buf.len() < needed {
            continue;
        }
        needed = loop {
            match advance(mode, &mut relay, &buf, &mut output) {
                Ok(consumed) => drop(buf.drain(..consumed)),
                Err(needed) => break needed,
            }
        };
        assert!(needed > buf.len(), "NeedMore must ask for more than there is");
    }
    assert_eq!(buf, b"", "everything was consumed");
    (relay, output)
}

/// One step: bytes consumed, or how many are needed.
fn advance(
    mode: Mode,
    relay: &mut CopyRelay,
    buf: &[u8],
    output: &mut Output,
) -> Result<usize, usize> {
    let step = match mode {
        Mode::Step => relay.step(buf).unwrap().into(),
        Mode::Coalesce { out_length } => {
            let mut out = vec![0xee; out_length];
            let step = relay.coalesce(buf, &mut out).unwrap();
            if let CoalesceStep::Merged { consumed, produced } = step {
                assert!(consumed > 0 && produced <= consumed);
                output.forwarded.extend_from_slice(&out[..produced]);
            }
            step
        }
    };
    match step {
        CoalesceStep::Merged { consumed, .. } => Ok(consumed),
        CoalesceStep::Forward(n) => {
            assert!(n > 0);
            output.forwarded.extend_from_slice(&buf[..n]);
            Ok(n)
        }
        CoalesceStep::Control { total_length, .. } => {
            output.controls.push(buf[..total_length].to_vec());
            Ok(total_length)
        }
        CoalesceStep::NeedMore { total_length } => Err(total_length),
    }
}

/// Payloads of consecutive CopyData frames.
fn payloads(mut stream: &[u8]) -> Vec<&[u8]> {
    let mut payloads = Vec::new();
    while !stream.is_empty() {
        let frame = next_frame(stream, Limits::Session).unwrap().expect("whole frames");
        assert_eq!(frame.tag, b'd');
        payloads.push(frame.body);
        stream = &stream[frame.total_length..];
    }
    payloads
}

#[test]
fn whole_frames_are_forwarded_at_once_and_the_incomplete_one_waits() {
    let mut stream = [data(10, 1), data(0, 2), data(300, 3)].concat();
    let whole = stream.len();
    stream.extend_from_slice(&data(20, 4)[..7]);
    let mut relay = CopyRelay::new();
    assert_eq!(relay.step(&stream), Ok(RelayStep::Forward(whole)));
    assert_eq!((relay.frames(), relay.payload_bytes()), (3, 310));
    assert!(!relay.frame_open());
    assert_eq!(relay.step(&stream[whole..]), Ok(RelayStep::NeedMore { total_length: 25 }));
    assert_eq!((relay.frames(), relay.payload_bytes()), (3, 310));
}

#[test]
fn fewer_than_five_bytes_need_a_header() {
    let mut relay = CopyRelay::new();
    for n in 0..5 {
        let step = relay.step(&data(9, 0)[..n]);
        assert_eq!(step, Ok(RelayStep::NeedMore { total_length: 5 }));
    }
}

#[test]
fn relay_forwards_a_500_mb_frame_through_a_256_kib_buffer() {
    const PAYLOAD: u64 = 500_000_000;
    let mut relay = CopyRelay::new();
    let mut buf = vec![b'x'; 256 << 10];
    let [a, b, c, d] = u32::try_from(PAYLOAD + 4).unwrap().to_be_bytes();
    buf[..5].copy_from_slice(&[b'd', a, b, c, d]);
    assert_eq!(relay.step(&buf), Ok(RelayStep::Forward(buf.len())));
    buf.fill(b'x');
    let mut passed = buf.len() as u64 - 5;
    while passed + (buf.len() as u64) < PAYLOAD {
        assert!(relay.frame_open());
        assert_eq!(relay.step(&buf), Ok(RelayStep::Forward(buf.len())));
        passed += buf.len() as u64;
    }
    // The rest of the frame, one whole frame and the end of COPY in one buffer.
    let rest = usize::try_from(PAYLOAD - passed).unwrap();
    let end = [&buf[..rest], &data(3, 0), b"c\0\0\0\x04"].concat();
    assert_eq!(relay.step(&end), Ok(RelayStep::Forward(rest + 8)));
    assert!(!relay.frame_open());
    let step = relay.step(&end[rest + 8..]);
    assert_eq!(step, Ok(RelayStep::Control { tag: b'c', total_length: 5 }));
    assert_eq!((relay.frames(), relay.payload_bytes()), (2, PAYLOAD + 3));
}

#[test]
fn frame_of_64_kib_waits_to_be_whole_and_one_byte_more_does_not() {
    let mut relay = CopyRelay::new();
    let fits = data(WHOLE_FRAME_BYTES_MAX - 5, 0);
    let step = relay.step(&fits[..fits.len() - 1]);
    assert_eq!(step, Ok(RelayStep::NeedMore { total_length: WHOLE_FRAME_BYTES_MAX }));
    let larger = data(WHOLE_FRAME_BYTES_MAX - 4, 0);
    assert_eq!(relay.step(&larger[..5]), Ok(RelayStep::Forward(5)));
    assert!(relay.frame_open());
    assert_eq!(
        relay.step(&[]),
        Ok(RelayStep::NeedMore { total_length: 1 }),
        "inside a frame any byte helps"
    );
}

#[test]
fn control_frames_are_handed_out_whole_and_never_forwarded() {
    let notice = frame(b'N', b"SNOTICE\0Mx\0\0");
    let status = frame(b'S', b"TimeZone\0UTC\0");
    let complete = frame(b'C', b"COPY 2\0");
    let ready = frame(b'Z', b"I");
    let done = frame(b'c', b"");
    let stream = [&notice, &data(1, 1), &status, &data(2, 2), &done, &complete, &ready]
        .map(|f| &f[..])
        .concat();
    for mode in [Mode::Step, Mode::Coalesce { out_length: stream.len() }] {
        let (relay, output) = drive(mode, stream.chunks(1));
        assert_eq!(output.controls, [&notice, &status, &done, &complete, &ready].map(Clone::clone));
        assert_eq!(payloads(&output.forwarded).concat(), [1, 2, 3]);
        assert_eq!(relay.frames(), 2);
    }
}

#[test]
fn messages_that_cannot_occur_in_copy_are_refused() {
    for message_tag in [b'T', b'D', b'R', b'K', b'G', b'H', b'W', b'1', b't', b'?', 0] {
        let error = CopyRelay::new().step(&frame(message_tag, b"")).unwrap_err();
        let expected = "CopyData or the end of COPY";
        let kind = DecodeErrorKind::UnexpectedMessage { expected, tag: message_tag };
        assert_eq!(error.kind, kind);
    }
}

#[test]
fn good_frames_before_a_bad_length_are_forwarded_first() {
    for bad in [b"d\0\0\0\x03".as_slice(), b"d\x40\0\0\x03", b"d\xff\xff\xff\xff"] {
        let stream = [&data(4, 0), bad].concat();
        let mut out = vec![0; stream.len()];
        let mut relay = CopyRelay::new();
        assert_eq!(relay.step(&stream), Ok(RelayStep::Forward(9)));
        assert!(relay.step(&stream[9..]).is_err());
        let mut relay = CopyRelay::new();
        let merged = CoalesceStep::Merged { consumed: 9, produced: 9 };
        assert_eq!(relay.coalesce(&stream, &mut out), Ok(merged));
        assert!(relay.coalesce(&stream[9..], &mut out).is_err());
    }
}

// trap V-33
#[test]
fn narrow_rows_become_frames_of_nearly_64_kib() {
    let stream = data(29, 7).repeat(7_000);
    let (relay, output) = drive(Mode::Coalesce { out_length: stream.len() }, [stream.as_slice()]);
    let merged = payloads(&output.forwarded);
    // 2259 payloads of 29 bytes are 65 511 bytes; 3 such frames and the rest.
    assert_eq!(merged.iter().map(|p| p.len()).collect::<Vec<_>>(), [65_511, 65_511, 65_511, 6_467]);
    assert_eq!(merged.concat(), payloads(&stream).concat());
    assert_eq!((relay.frames(), relay.payload_bytes()), (7_000, 203_000));
}

#[test]
fn wide_frames_between_narrow_ones_pass_verbatim() {
    let wide = data(VERBATIM_PAYLOAD_BYTES_MIN, 9);
    let stream = [data(5, 1), data(6, 2), wide.clone(), wide.clone(), data(7, 3)].concat();
    let (relay, output) = drive(Mode::Coalesce { out_length: stream.len() }, [stream.as_slice()]);
    let lengths: Vec<_> = payloads(&output.forwarded).iter().map(|p| p.len()).collect();
    assert_eq!(lengths, [11, VERBATIM_PAYLOAD_BYTES_MIN, VERBATIM_PAYLOAD_BYTES_MIN, 7]);
    assert_eq!(relay.frames(), 5);
}

/// Payload lengths around every threshold: empty, block size, verbatim, whole-frame limit.
fn payload_length() -> impl Strategy<Value = usize> {
    prop_oneof![
        8 => 0_usize..200,
        2 => (COPY_BLOCK_BYTES - 2)..(COPY_BLOCK_BYTES + 3),
        1 => (VERBATIM_PAYLOAD_BYTES_MIN - 2)..(VERBATIM_PAYLOAD_BYTES_MIN + 3),
        1 => (WHOLE_FRAME_BYTES_MAX - 8)..(WHOLE_FRAME_BYTES_MAX + 3),
        1 => 1000_usize..200_000,
    ]
}

/// A stream of data frames and notices, ended by CopyDone.
fn stream() -> impl Strategy<Value = Vec<(bool, usize)>> {
    prop::collection::vec((prop::bool::weighted(0.9), payload_length()), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_the_stream_gives_the_same_data(
        messages in stream(),
        cuts in prop::collection::vec(1_usize..70_000, 1..40),
        small_cuts: bool,
    ) {
        let mut bytes = Vec::new();
        let mut expected = Output::default();
        let mut frames = 0;
        for (i, (is_data, length)) in messages.into_iter().enumerate() {
            if is_data {
                let frame = data(length, i as u8);
                bytes.extend_from_slice(&frame);
                expected.forwarded.extend_from_slice(&frame);
                frames += 1;
            } else {
                let notice = frame(b'N', &vec![b'n'; length % 300]);
                bytes.extend_from_slice(&notice);
                expected.controls.push(notice);
            }
        }
        bytes.extend_from_slice(b"c\0\0\0\x04");
        expected.controls.push(b"c\0\0\0\x04".to_vec());
        let mut pieces = Vec::new();
        let mut rest = bytes.as_slice();
        for cut in cuts.iter().map(|cut| if small_cuts { cut % 100 + 1 } else { *cut }).cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, tail) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = tail;
        }
        let (relay, output) = drive(Mode::Step, pieces.iter().copied());
        prop_assert!(output == expected, "verbatim");
        prop_assert_eq!(relay.frames(), frames);
        let payload = payloads(&expected.forwarded).concat();
        prop_assert_eq!(relay.payload_bytes(), payload.len() as u64);
        for out_length in [bytes.len().max(WHOLE_FRAME_BYTES_MAX), WHOLE_FRAME_BYTES_MAX] {
            let (relay, output) = drive(Mode::Coalesce { out_length }, pieces.iter().copied());
            prop_assert!(payloads(&output.forwarded).concat() == payload, "merged");
            prop_assert_eq!(&output.controls, &expected.controls);
            prop_assert_eq!(relay.frames(), frames);
            prop_assert_eq!(relay.payload_bytes(), payload.len() as u64);
        }
    }
}
