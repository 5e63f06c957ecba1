//! Ends that are not PostgreSQL, and signals.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use crate::support::{program, run};

#[test]
fn ping_names_each_end_that_refuses_and_exits_12() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let server = std::thread::spawn(move || {
        for _ in 0..2 {
            refuse(&listener);
        }
    });
    let end = format!("host=127.0.0.1 port={port} user=u dbname=d password=x sslmode=disable");
    let run = run(&["ping", "--quiet", "--source", &end, "--target", &end]);
    server.join().expect("both ends connected");
    assert_eq!((run.code, run.stdout.as_str()), (Some(12), ""), "{}", run.stderr);
    for side in ["source: ", "target: "] {
        let named = run
            .stderr
            .lines()
            .any(|line| line.contains(side) && line.contains("FATAL 28P01: wrong in every way"));
        assert!(named, "{}", run.stderr);
    }
}

/// Accepts a connection, reads its startup message, answers with FATAL 28P01.
fn refuse(listener: &TcpListener) {
    let (mut stream, _) = listener.accept().expect("a connection");
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("a length");
    let mut startup = vec![0; u32::from_be_bytes(length) as usize - 4];
    stream.read_exact(&mut startup).expect("a startup message");
    let fields = b"SFATAL\0VFATAL\0C28P01\0Mwrong in every way\0\0";
    let length = u32::try_from(fields.len() + 4).expect("a short message");
    let message = [b"E".as_slice(), &length.to_be_bytes(), fields].concat();
    stream.write_all(&message).expect("writable");
}

// trap X-12
#[test]
fn hangups_are_ignored_and_the_second_interrupt_ends_the_run() {
    // An end that accepts connections and never says anything keeps the program waiting.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let end = format!("host=127.0.0.1 port={port} user=u dbname=d connect_timeout=60");
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().to_str().expect("UTF-8");
    let arguments = ["clone", "--source", &end, "--target", &end, "--dir", directory, "-d"];
    let mut child = program(&arguments).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let mut wait_for = |text: &str| {
        let found = lines.by_ref().any(|line| line.expect("UTF-8").contains(text));
        assert!(found, "the program ended without saying \"{text}\"");
    };
    wait_for("listening to signals");
    for (signal, said) in [
        ("HUP", "ignored a signal, the run goes on signal=SIGHUP"),
        ("INT", "stopping: no new work starts"),
        ("TERM", "stopping fast: "),
    ] {
        send(signal, child.id());
        wait_for(said);
    }
    assert_eq!(child.wait().expect("an exit code").code(), Some(12));
}

/// Sends a signal to a process that this test has started.
fn send(signal: &str, pid: u32) {
    let status = Command::new("sh").args(["-c", &format!("kill -{signal} {pid}")]).status();
    assert!(status.expect("a shell").success());
}
