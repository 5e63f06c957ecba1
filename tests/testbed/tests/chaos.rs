//! The proxy disturbs as it is told.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use testbed::TestDatabase;
use testbed::chaos::{Direction, Proxy};

/// A server that sends back what it gets; one thread per connection.
fn echo_server() -> std::io::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut reading = stream.try_clone().expect("a second handle");
                std::io::copy(&mut reading, &mut &stream).ok();
            });
        }
    });
    Ok(port)
}

/// A connection through a proxy to an echo server.
fn through_proxy() -> (Proxy, TcpStream) {
    let proxy = Proxy::start(echo_server().expect("a server")).expect("a proxy");
    let stream = TcpStream::connect(("127.0.0.1", proxy.port())).expect("a connection");
    (proxy, stream)
}

#[test]
fn bytes_pass_unchanged_both_ways() {
    let (proxy, mut stream) = through_proxy();
    let sent: Vec<u8> =
        (0..1_000_000u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    let mut writing = stream.try_clone().unwrap();
    let copy = sent.clone();
    let writer = thread::spawn(move || writing.write_all(&copy));
    let mut received = vec![0; sent.len()];
    stream.read_exact(&mut received).unwrap();
    writer.join().unwrap().unwrap();
    assert!(received == sent);
    assert_eq!(proxy.forwarded(Direction::ToServer), 1_000_000);
    assert_eq!(proxy.forwarded(Direction::ToClient), 1_000_000);
}

#[test]
fn connection_is_cut_after_exactly_the_asked_bytes() {
    for (bytes, each) in [(1, false), (12_345, false), (16_384, false), (20_000, true)] {
        let (proxy, mut stream) = through_proxy();
        if each {
            proxy.cut_each_after(Direction::ToClient, Some(bytes));
        } else {
            proxy.cut_after(Direction::ToClient, bytes);
        }
        let mut writing = stream.try_clone().unwrap();
        thread::spawn(move || writing.write_all(&[7; 50_000]).ok());
        let mut received = Vec::new();
        // The end may be seen as a reset, after everything that passed.
        stream.read_to_end(&mut received).ok();
        assert!(received.len() as u64 <= bytes);
        assert_eq!(proxy.forwarded(Direction::ToClient), bytes, "each: {each}");
    }
}

#[test]
fn one_cut_leaves_later_connections_alone() {
    let (proxy, mut first) = through_proxy();
    proxy.cut_after(Direction::ToServer, 3);
    first.write_all(b"abcdef").unwrap();
    let mut end = Vec::new();
    first.read_to_end(&mut end).ok();
    let mut second = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
    second.write_all(b"abcdef").unwrap();
    let mut echoed = [0; 6];
    second.read_exact(&mut echoed).unwrap();
    assert_eq!(&echoed, b"abcdef");
}

#[test]
fn pause_holds_bytes_and_keeps_the_connection() {
    let (proxy, mut stream) = through_proxy();
    proxy.pause(Direction::ToClient);
    stream.write_all(b"x").unwrap();
    proxy.wait_forwarded(Direction::ToServer, 1, Duration::from_secs(30)).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(stream.read(&mut [0; 1]).is_err());
    assert_eq!(proxy.open_connections(), 1);
    proxy.resume(Direction::ToClient);
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 1);
}

#[test]
fn delay_and_rate_slow_the_stream_down() {
    let (proxy, mut stream) = through_proxy();
    proxy.delay(Direction::ToServer, Duration::from_millis(120));
    let begun = Instant::now();
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0; 1]).unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(120));
    proxy.delay(Direction::ToServer, Duration::ZERO);
    proxy.rate(Direction::ToClient, Some(200_000));
    let begun = Instant::now();
    stream.write_all(&[1; 60_000]).unwrap();
    stream.read_exact(&mut [0; 60_000]).unwrap();
    // The last chunk is passed on before its time is waited for.
    assert!(begun.elapsed() >= Duration::from_millis(180), "{:?}", begun.elapsed());
}

#[test]
fn refusing_proxy_closes_new_connections() {
    let (proxy, _first) = through_proxy();
    proxy.refuse(true);
    let mut second = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
    let mut end = Vec::new();
    second.read_to_end(&mut end).ok();
    assert!(end.is_empty());
    proxy.wait_accepted(2, Duration::from_secs(30)).unwrap();
}

#[test]
fn server_sessions_work_through_the_proxy_and_die_with_a_cut() {
    let database = TestDatabase::create(testbed::source(), "chaos").unwrap();
    let proxy = Proxy::in_front_of(database.cluster()).unwrap();
    let psql = |sql: &str| {
        let mut command = database.cluster().installation().command("psql");
        command.args(["-XAtc", sql, &proxy.uri(database.name())]);
        testbed::process::run(&mut command, None, Duration::from_secs(60)).unwrap()
    };
    assert_eq!(psql("select count(*) from generate_series(1, 100000)").stdout.trim(), "100000");
    proxy.cut_after(Direction::ToClient, 100_000);
    let output = psql("select repeat('x', 1000) from generate_series(1, 10000)");
    assert!(!output.status.success(), "{output}");
}

#[test]
fn many_small_pieces_pass_a_delay_and_none_before_its_time() {
    let (proxy, mut stream) = through_proxy();
    let delay = Duration::from_millis(200);
    proxy.delay(Direction::ToServer, delay);
    let mut writing = stream.try_clone().unwrap();
    writing.set_nodelay(true).unwrap();
    let writer = thread::spawn(move || {
        let mut before_last = Instant::now();
        for _ in 0..20_000 {
            before_last = Instant::now();
            writing.write_all(&[1; 10]).unwrap();
        }
        before_last
    });
    let mut received = vec![0; 200_000];
    stream.read_exact(&mut received).unwrap();
    let arrived = Instant::now();
    assert!(arrived >= writer.join().unwrap() + delay);
}
