use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::*;
use crate::base::error::Side;
use crate::connect::client::Session;
use crate::connect::conninfo::{ConnInfo, Environment};

/// Stands in for what no line may show: rows, parameters, statements, secrets.
const CANARY: &str = "CANARY";

/// Keeps the messages of TRACE events of sessions.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Lines {
    /// As the program's log does, which refuses what is asked about anything but events.
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _context: Context<'_, S>) -> bool {
        metadata.is_event()
    }

    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        if *metadata.level() == Level::TRACE && metadata.target().starts_with("pgcopydb::connect") {
            event.record(&mut self.clone());
        }
    }
}

impl Visit for Lines {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0.lock().unwrap().push(format!("{value:?}"));
        }
    }
}

/// A frame of a server.
fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + LENGTH_WORD_BYTES).unwrap();
    [&[tag], &length.to_be_bytes()[..], body].concat()
}

/// Answers the n-th message of one client with the n-th text, then closes.
async fn serve(listener: UnixListener, answers: Vec<Vec<u8>>) {
    let (mut client, _) = listener.accept().await.unwrap();
    for answer in answers {
        // A small write to a unix socket arrives as a whole.
        assert!(client.read(&mut [0; 8192]).await.unwrap() > 0);
        client.write_all(&answer).await.unwrap();
    }
}

/// What the server of the test says: log-in with a password, a query with a notice, a COPY that
/// fails in the middle of its rows.
fn script() -> Vec<Vec<u8>> {
    let ready = frame(b'Z', b"I");
    vec![
        frame(b'R', b"\0\0\0\x03"),
        [
            frame(b'R', b"\0\0\0\0"),
            frame(b'S', b"server_version\x0017.2\0"),
            frame(b'K', b"\0\0\x10\x92CANARY"),
            ready.clone(),
        ]
        .concat(),
        [
            frame(b'1', b""),
            frame(b'2', b""),
            frame(b'D', b"\0\x02\0\0\0\x06CANARY\xff\xff\xff\xff"),
            frame(b'N', b"SNOTICE\0C00000\0MCANARY\0DCANARY\0\0"),
            frame(b'C', b"SELECT 1\0"),
            ready.clone(),
        ]
        .concat(),
        [
            frame(b'H', b"\0\0\x01\0\0"),
            frame(b'd', b"CANARY\n"),
            frame(b'E', b"SERROR\0C57014\0MCANARY\0\0"),
            ready,
        ]
        .concat(),
    ]
}

/// Lives through [`script`].
async fn session_work(socket_directory: &str) {
    let uri = format!("host={socket_directory} port=1 user=me dbname=db password={CANARY}");
    let info = ConnInfo::parse(&uri, &Environment::empty()).unwrap();
    let mut session = Session::connect(Side::Source, &info, "test").await.unwrap();
    let rows = session.query("select 'CANARY', $1", &[Some(CANARY)]).await.unwrap();
    assert_eq!(rows.one().unwrap().text(0).unwrap(), CANARY);
    session.copy_start("copy \"CANARY\" to stdout").await.unwrap();
    let copy_data = frame(b'd', b"CANARY\n").len();
    session.take(copy_data);
    let length = frame(b'E', b"SERROR\0C57014\0MCANARY\0\0").len();
    let error = session.take_control(b'E', length).unwrap().unwrap();
    assert_eq!(error.sqlstate(), Some("57014"));
    session.copy_end().await.unwrap();
}

// trap X-26
#[tokio::test]
async fn every_frame_is_logged_once_by_its_shape() {
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join(".s.PGSQL.1")).unwrap();
    let lines = Lines::default();
    let subscriber = tracing_subscriber::registry().with(lines.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    tokio::join!(serve(listener, script()), session_work(dir.path().to_str().unwrap()));

    let lines = lines.0.lock().unwrap();
    let (first, rest) = lines.split_first().unwrap();
    assert!(first.starts_with("[source] F\t") && first.contains("\tStartupMessage\t 3 0 "));
    assert!(!first.contains(CANARY), "{first}");
    // Lengths: of the word itself, 4, and of the body.
    let expected = [
        "[source] B\t8\tAuthenticationCleartextPassword",
        "[source] F\t11\tAuthenticationResponse\t <hidden>",
        "[source] B\t8\tAuthenticationOk",
        "[source] B\t24\tParameterStatus\t \"server_version\" \"17.2\"",
        "[source] B\t14\tBackendKeyData\t 4242 <hidden>",
        "[source] B\t5\tReadyForQuery\t I",
        "[source 4242] F\t27\tParse\t \"\" <19 bytes> 0",
        "[source 4242] F\t26\tBind\t \"\" \"\" 1 0 1 6 1 0",
        "[source 4242] F\t9\tExecute\t \"\" 0",
        "[source 4242] F\t4\tSync",
        "[source 4242] B\t4\tParseComplete",
        "[source 4242] B\t4\tBindComplete",
        "[source 4242] B\t20\tDataRow\t 2 6 -1",
        "[source 4242] B\t36\tNoticeResponse\t S \"NOTICE\" C \"00000\" M <6 bytes> D <6 bytes>",
        "[source 4242] B\t13\tCommandComplete\t \"SELECT 1\"",
        "[source 4242] B\t5\tReadyForQuery\t I",
        "[source 4242] F\t28\tQuery\t <23 bytes>",
        "[source 4242] B\t9\tCopyOutResponse\t \\x00 1 0",
        "[source 4242] B\t27\tErrorResponse\t S \"ERROR\" C \"57014\" M <6 bytes>",
        "[source 4242] B\t5\tReadyForQuery\t I",
    ];
    for (line, expected) in rest.iter().zip(expected) {
        assert_eq!(line, expected);
    }
    assert_eq!(rest.len(), expected.len(), "{rest:#?}");
}

#[test]
fn encoded_frames_are_split_whatever_their_length() {
    let long = vec![b'x'; 3 << 20];
    let frames = [frame(b'Q', &long), frame(b'X', b"")].concat();
    let (tag, body, rest) = split_frame(&frames).unwrap();
    assert_eq!((tag, body.len()), (b'Q', long.len()));
    let (tag, body, rest) = split_frame(rest).unwrap();
    assert_eq!((tag, body, rest), (b'X', b"".as_slice(), b"".as_slice()));
    for cut in 0..frame(b'X', b"").len() {
        assert_eq!(split_frame(&frame(b'X', b"")[..cut]), None);
    }
}
