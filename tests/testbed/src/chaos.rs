//! A TCP proxy that disturbs what passes through it.
//!
//! ```text
//! client --> [reader thread] --queue--> [writer thread] --> server      Direction::ToServer
//! client <-- [writer thread] <--queue-- [reader thread] <-- server      Direction::ToClient
//! ```
//!
//! Each direction of each connection has a reader and a writer thread with a bounded queue
//! between them, so a delay holds every byte back for its time without lowering the rate. All
//! disturbances can be changed while connections run.

use std::collections::{HashMap, VecDeque};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::cluster::{Cluster, SUPERUSER};
use crate::percent;

/// Bytes taken from a socket at a time; small enough that limits and cuts are met closely.
const CHUNK_BYTES: usize = 16 * 1024;

/// Bytes that may wait between the reader and the writer of a direction. Bytes and not pieces are
/// limited: a peer that sends many small ones is delayed, not slowed down. 20 ms leave room for 200 MB/s.
const QUEUE_BYTES: usize = 4 << 20;

/// Which way bytes flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the program under test to the server.
    ToServer,
    /// From the server to the program under test.
    ToClient,
}

/// A running proxy in front of one server; stops with the value.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

/// What the threads of a proxy share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Told whenever the state changes.
    changed: Condvar,
}

/// Disturbances and counters.
#[derive(Debug, Default)]
struct State {
    /// What is done to each direction.
    to_server: Flow,
    to_client: Flow,
    /// New connections are closed at once.
    refuse: bool,
    /// The proxy is going away.
    closed: bool,
    /// Both sockets of every open connection.
    connections: HashMap<u64, (TcpStream, TcpStream)>,
    /// Connections accepted since the start.
    accepted: u64,
}

/// Disturbances and counters of one direction.
#[derive(Debug, Default)]
struct Flow {
    /// Bytes passed on since the start, over all connections.
    forwarded: u64,
    /// Value of `forwarded` at which all connections are cut; taken when it has happened.
    cut_at: Option<u64>,
    /// Bytes after which every single connection is cut.
    cut_each_after: Option<u64>,
    /// Time every byte is held back.
    delay: Duration,
    /// Nothing is passed on; sockets stay open.
    paused: bool,
    /// Bytes per second and connection.
    rate: Option<u64>,
}

impl State {
    /// The flow of a direction.
    fn flow(&mut self, direction: Direction) -> &mut Flow {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }

    /// Closes both sockets of every connection.
    fn cut_all(&mut self) {
        for (_, (client, server)) in self.connections.drain() {
            close(&client, &server);
        }
    }
}

impl Shared {
    /// Takes the lock, whatever happened to its last holder.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes everybody.
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

impl Proxy {
    /// Starts a proxy in front of a port on 127.0.0.1.
    ///
    /// # Errors
    /// When no socket can be opened.
    pub fn start(server_port: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("open a port for the proxy")?;
        let port = listener.local_addr().context("ask for the proxy's port")?.port();
        let shared =
            Arc::new(Shared { state: Mutex::new(State::default()), changed: Condvar::new() });
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, server_port, &of_thread));
        Ok(Self { port, shared })
    }

    /// Starts a proxy in front of a cluster.
    ///
    /// # Errors
    /// When no socket can be opened.
    pub fn in_front_of(cluster: &Cluster) -> Result<Self> {
        Self::start(cluster.port())
    }

    /// Port on 127.0.0.1 to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connection string through the proxy, as superuser.
    #[must_use]
    pub fn uri(&self, database: &str) -> String {
        let database = percent::encode(database);
        format!("postgresql://{SUPERUSER}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// Closes every connection at once.
    pub fn cut(&self) {
        self.shared.change(State::cut_all);
    }

    /// Closes every connection once this many more bytes have passed in a direction, over all
    /// connections together. Happens once; later connections live.
    pub fn cut_after(&self, direction: Direction, bytes: u64) {
        self.shared.change(|state| {
            let flow = state.flow(direction);
            flow.cut_at = Some(flow.forwarded.saturating_add(bytes));
        });
    }

    /// Closes every connection that has passed this many bytes in a direction, also later ones;
    /// `None` ends that. Counted from when each connection began.
    pub fn cut_each_after(&self, direction: Direction, bytes: Option<u64>) {
        self.shared.change(|state| state.flow(direction).cut_each_after = bytes);
    }

    /// Refuses new connections: they are closed as soon as they are made.
    pub fn refuse(&self, refuse: bool) {
        self.shared.change(|state| state.refuse = refuse);
    }

    /// Holds every byte of a direction back for a time.
    pub fn delay(&self, direction: Direction, delay: Duration) {
        self.shared.change(|state| state.flow(direction).delay = delay);
    }

    /// Limits each connection's rate in a direction, in bytes per second; `None` lifts it.
    pub fn rate(&self, direction: Direction, bytes_per_second: Option<u64>) {
        self.shared.change(|state| state.flow(direction).rate = bytes_per_second);
    }

    /// Passes nothing on in a direction while keeping all sockets open, as a lost route would.
    pub fn pause(&self, direction: Direction) {
        self.shared.change(|state| state.flow(direction).paused = true);
    }

    /// Passes bytes on again.
    pub fn resume(&self, direction: Direction) {
        self.shared.change(|state| state.flow(direction).paused = false);
    }

    /// Passes nothing on in either direction while keeping all sockets open.
    pub fn black_hole(&self) {
        self.pause(Direction::ToServer);
        self.pause(Direction::ToClient);
    }

    /// Bytes passed on in a direction since the start, over all connections.
    #[must_use]
    pub fn forwarded(&self, direction: Direction) -> u64 {
        self.shared.lock().flow(direction).forwarded
    }

    /// Number of open connections.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.shared.lock().connections.len()
    }

    /// Number of connections accepted since the start.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.lock().accepted
    }

    /// Waits until at least this many bytes have passed in a direction since the start.
    ///
    /// # Errors
    /// When they have not at the deadline.
    pub fn wait_forwarded(
        &self,
        direction: Direction,
        bytes: u64,
        deadline: Duration,
    ) -> Result<()> {
        self.wait("bytes to pass the proxy", deadline, |state| {
            state.flow(direction).forwarded >= bytes
        })
    }

    /// Waits until at least this many connections have been made since the start.
    ///
    /// # Errors
    /// When they have not at the deadline.
    pub fn wait_accepted(&self, connections: u64, deadline: Duration) -> Result<()> {
        self.wait("connections to the proxy", deadline, |state| state.accepted >= connections)
    }

    /// Waits until the state is as wanted.
    fn wait(
        &self,
        what: &str,
        deadline: Duration,
        reached: impl Fn(&mut State) -> bool,
    ) -> Result<()> {
        let (_state, outcome) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), deadline, |state| !reached(state))
            .unwrap_or_else(PoisonError::into_inner);
        ensure!(!outcome.timed_out(), "waited {deadline:.1?} in vain for {what}");
        Ok(())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.change(|state| {
            state.closed = true;
            state.cut_all();
        });
        // Wakes the thread that accepts, so that it sees the end.
        TcpStream::connect(("127.0.0.1", self.port)).ok();
    }
}

/// Accepts connections until the proxy is dropped.
fn accept(listener: &TcpListener, server_port: u16, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.lock().closed {
            return;
        }
        // A failing connection is the client's to notice.
        client.and_then(|client| connect(client, server_port, shared)).ok();
    }
}

/// Connects a client to the server and starts the threads of both directions.
fn connect(client: TcpStream, server_port: u16, shared: &Arc<Shared>) -> std::io::Result<()> {
    let refuse = {
        let mut state = shared.lock();
        state.accepted += 1;
        state.refuse
    };
    shared.changed.notify_all();
    if refuse {
        return client.shutdown(Shutdown::Both);
    }
    let server = TcpStream::connect(("127.0.0.1", server_port))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let handles = (client.try_clone()?, server.try_clone()?);
    let id = {
        let mut state = shared.lock();
        let id = state.accepted;
        state.connections.insert(id, handles);
        id
    };
    pump(id, Direction::ToServer, &client, &server, shared)?;
    pump(id, Direction::ToClient, &server, &client, shared)
}

/// A piece of the stream, and when it may be passed on.
struct Chunk {
    bytes: Vec<u8>,
    read_at: Instant,
}

/// Pieces on their way from the reader to the writer of a direction.
#[derive(Default)]
struct Queue {
    state: Mutex<Queued>,
    changed: Condvar,
}

/// What is on its way.
#[derive(Default)]
struct Queued {
    chunks: VecDeque<Chunk>,
    bytes: usize,
    /// The reader has read the end, or the writer is gone.
    closed: bool,
}

impl Queue {
    /// Takes the lock, whatever happened to its last holder.
    fn lock(&self) -> MutexGuard<'_, Queued> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a piece; waits while there is no room. `false` when the writer is gone.
    fn push(&self, chunk: Chunk) -> bool {
        let full = |state: &mut Queued| !state.closed && state.bytes >= QUEUE_BYTES;
        let waited = self.changed.wait_while(self.lock(), full);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return false;
        }
        state.bytes += chunk.bytes.len();
        state.chunks.push_back(chunk);
        self.changed.notify_all();
        true
    }

    /// Takes the next piece; `None` when the reader has ended and everything is taken.
    fn pop(&self) -> Option<Chunk> {
        let empty = |state: &mut Queued| !state.closed && state.chunks.is_empty();
        let waited = self.changed.wait_while(self.lock(), empty);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        let chunk = state.chunks.pop_front()?;
        state.bytes -= chunk.bytes.len();
        self.changed.notify_all();
        Some(chunk)
    }

    /// Ends the queue: nothing is added any more.
    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}

/// Starts the two threads of a direction of a connection.
fn pump(
    id: u64,
    direction: Direction,
    from: &TcpStream,
    to: &TcpStream,
    shared: &Arc<Shared>,
) -> std::io::Result<()> {
    let queue = Arc::new(Queue::default());
    let (reading, writing) = (from.try_clone()?, to.try_clone()?);
    let (shared, filled) = (Arc::clone(shared), Arc::clone(&queue));
    thread::spawn(move || read_chunks(reading, &filled));
    thread::spawn(move || write_chunks(id, direction, writing, &queue, &shared));
    Ok(())
}

/// Reads until the sender closes or the writer is gone.
fn read_chunks(mut from: TcpStream, queue: &Queue) {
    let mut buffer = vec![0; CHUNK_BYTES];
    while let Ok(length) = from.read(&mut buffer) {
        let bytes = buffer.get(..length).unwrap_or_default().to_vec();
        let chunk = Chunk { bytes, read_at: Instant::now() };
        if length == 0 || !queue.push(chunk) {
            break;
        }
    }
    queue.close();
}

/// Passes chunks on, as the disturbances of the moment allow.
fn write_chunks(id: u64, direction: Direction, mut to: TcpStream, queue: &Queue, shared: &Shared) {
    let mut passed = 0;
    while let Some(chunk) = queue.pop() {
        let Some(allowed) = allowed_bytes(id, direction, passed, &chunk, shared) else { break };
        let (now, cut) = (chunk.bytes.get(..allowed), allowed < chunk.bytes.len());
        if to.write_all(now.unwrap_or_default()).is_err() {
            break;
        }
        passed += allowed as u64;
        let rate = note_passed(direction, allowed, shared);
        if cut || reached_cut(direction, passed, shared) {
            break;
        }
        if let Some(rate) = rate {
            thread::sleep(Duration::from_secs_f64(allowed as f64 / rate.max(1) as f64));
        }
    }
    queue.close();
    finish(id, direction, passed, &to, shared);
}

/// Waits as long as the direction is paused or the chunk delayed, then tells how much of it may
/// pass before a cut; `None` when the connection was cut meanwhile.
fn allowed_bytes(
    id: u64,
    direction: Direction,
    passed: u64,
    chunk: &Chunk,
    shared: &Shared,
) -> Option<usize> {
    let mut state = shared.lock();
    loop {
        if !state.connections.contains_key(&id) {
            return None;
        }
        let flow = state.flow(direction);
        let held = flow.delay.checked_sub(chunk.read_at.elapsed());
        if flow.paused {
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        } else if let Some(held) = held.filter(|held| !held.is_zero()) {
            let waited = shared.changed.wait_timeout(state, held);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        } else {
            let length = chunk.bytes.len() as u64;
            let until_cut = flow.cut_at.map_or(length, |at| at.saturating_sub(flow.forwarded));
            let until_own =
                flow.cut_each_after.map_or(length, |after| after.saturating_sub(passed));
            return usize::try_from(length.min(until_cut).min(until_own)).ok();
        }
    }
}

/// Counts bytes passed on; returns the rate limit.
fn note_passed(direction: Direction, bytes: usize, shared: &Shared) -> Option<u64> {
    let mut state = shared.lock();
    let flow = state.flow(direction);
    flow.forwarded += bytes as u64;
    let rate = flow.rate;
    drop(state);
    shared.changed.notify_all();
    rate
}

/// Whether a limit that cuts has been met exactly.
fn reached_cut(direction: Direction, passed: u64, shared: &Shared) -> bool {
    let mut state = shared.lock();
    let flow = state.flow(direction);
    flow.cut_at.is_some_and(|at| flow.forwarded >= at)
        || flow.cut_each_after.is_some_and(|after| passed >= after)
}

/// Ends a direction: cuts what a limit says, else passes the sender's end of stream on.
fn finish(id: u64, direction: Direction, passed: u64, to: &TcpStream, shared: &Shared) {
    shared.change(|state| {
        let flow = state.flow(direction);
        if flow.cut_at.is_some_and(|at| flow.forwarded >= at) {
            flow.cut_at = None;
            state.cut_all();
        } else if flow.cut_each_after.is_some_and(|after| passed >= after) {
            if let Some((client, server)) = state.connections.remove(&id) {
                close(&client, &server);
            }
        } else if direction == Direction::ToClient {
            // PostgreSQL's protocol has no half-closed sessions: the server's end is the end.
            if let Some((client, server)) = state.connections.remove(&id) {
                close(&client, &server);
            }
        } else {
            to.shutdown(Shutdown::Write).ok();
        }
    });
}

/// Closes both sockets, which ends the threads that use them.
fn close(client: &TcpStream, server: &TcpStream) {
    // An error says that the other end was faster.
    client.shutdown(Shutdown::Both).ok();
    server.shutdown(Shutdown::Both).ok();
}
