use super::*;
use proptest::prelude::*;

/// A stream of these rows, with the header and the trailer.
fn stream(rows: &[Vec<Option<Vec<u8>>>]) -> Vec<u8> {
    let mut buf = BytesMut::new();
    put_header(&mut buf);
    for row in rows {
        let fields: Vec<_> = row.iter().map(Option::as_deref).collect();
        put_tuple(&fields, &mut buf).unwrap();
    }
    put_trailer(&mut buf);
    buf.to_vec()
}

// The layout given in the documentation of COPY, written out by hand.
#[test]
fn stream_of_one_row_is_what_the_documentation_says() {
    let expected = b"PGCOPY\n\xff\r\n\0\
        \0\0\0\0\0\0\0\0\
        \0\x03\0\0\0\x02hi\xff\xff\xff\xff\0\0\0\0\
        \xff\xff";
    assert_eq!(stream(&[vec![Some(b"hi".to_vec()), None, Some(Vec::new())]]), expected);
    assert_eq!(read_header(expected), Ok(Some(19)));
    let (item, length) = read_item(&expected[19..]).unwrap().unwrap();
    let BinaryItem::Tuple(tuple) = item else { panic!("no tuple") };
    assert_eq!(tuple.iter().collect::<Vec<_>>(), [Some(b"hi".as_slice()), None, Some(b"")]);
    assert_eq!(read_item(&expected[19 + length..]), Ok(Some((BinaryItem::Trailer, 2))));
}

#[test]
fn header_extension_is_skipped() {
    let mut bytes = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\x03abc".to_vec();
    assert_eq!(read_header(&bytes[..21]), Ok(None));
    assert_eq!(read_header(&bytes), Ok(Some(22)));
    bytes.extend_from_slice(b"\xff\xff");
    let mut walker = BinaryWalker::new();
    walker.feed(&bytes).unwrap();
    assert_eq!(walker.finish(), Ok(0));
}

#[test]
fn rows_without_columns_are_counted() {
    let bytes = stream(&[vec![], vec![], vec![]]);
    let mut walker = BinaryWalker::new();
    walker.feed(&bytes).unwrap();
    assert_eq!(walker.finish(), Ok(3));
}

#[test]
fn malformed_streams_are_refused_with_the_offset_of_the_fault() {
    let header = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
    let cases: [(&[u8], usize); 6] = [
        (b"\xff\xfe", 21),                     // field count −2
        (b"\x06\x81", 21),                     // 1665 fields
        (b"\0\x01\xff\xff\xff\xfe", 25),       // field length −2
        (b"\xff\xffx", 21),                    // bytes behind the trailer
        (b"\0\x01\0\0\0\x01x\xff\xfe", 28),    // field count −2 after a row
        (b"\0\x01\xff\xff\xff\xff\x80\0", 27), // field count −32768 after a row
    ];
    for (tail, offset) in cases {
        let bytes = [header.as_slice(), tail].concat();
        let mut walker = BinaryWalker::new();
        let error = walker.feed(&bytes).unwrap_err();
        assert_eq!(error.offset, offset, "{}", tail.escape_ascii());
    }
    for bytes in [
        b"PGCOPY\n\xff\r\r\0\0\0\0\0\0\0\0\0".as_slice(), // newline translated
        b"PGCOPY\n\xff\r\n\0\0\x01\0\0\0\0\0\0",          // critical flag 16 (OIDs)
        b"PGCOPY\n\xff\r\n\0\0\0\0\0\xff\xff\xff\xff",    // negative extension
    ] {
        assert!(read_header(bytes).is_err());
        assert!(BinaryWalker::new().feed(bytes).is_err());
    }
}

#[test]
fn stream_that_stops_before_the_trailer_is_not_finished() {
    let bytes = stream(&[vec![Some(b"abc".to_vec())]]);
    for n in 0..bytes.len() {
        let mut walker = BinaryWalker::new();
        walker.feed(&bytes[..n]).unwrap();
        assert!(walker.finish().is_err(), "{n} bytes");
    }
}

#[test]
fn row_wider_than_a_table_can_be_is_not_written() {
    let mut buf = BytesMut::new();
    assert!(put_tuple(&[None; 1665], &mut buf).is_err());
    assert!(buf.is_empty());
    assert!(put_tuple(&[None; 1664], &mut buf).is_ok());
}

proptest! {
    #[test]
    fn any_split_of_the_stream_counts_the_same_rows(
        rows in prop::collection::vec(
            prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..30)), 0..5),
            0..10,
        ),
        cuts in prop::collection::vec(1_usize..40, 1..20),
    ) {
        let bytes = stream(&rows);
        let mut walker = BinaryWalker::new();
        let mut rest = bytes.as_slice();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, tail) = rest.split_at((*cut).min(rest.len()));
            walker.feed(piece).unwrap();
            rest = tail;
        }
        prop_assert_eq!(walker.finish(), Ok(rows.len() as u64));

        let mut rest = &bytes[read_header(&bytes).unwrap().unwrap()..];
        let mut back = Vec::new();
        while let Some((BinaryItem::Tuple(tuple), length)) = read_item(rest).unwrap() {
            back.push(tuple.iter().map(|field| field.map(<[u8]>::to_vec)).collect::<Vec<_>>());
            rest = &rest[length..];
        }
        prop_assert_eq!(back, rows);
        prop_assert_eq!(rest, b"\xff\xff");
    }
}
