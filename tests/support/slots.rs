//! An upstream that works on so many requests at a time and lets the others wait in a line without end, as most do.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::Thread;
use std::time::Duration;

/// An upstream on a port of its own.
pub struct Slots {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// How long a request takes; `None`: until the test says so.
    time: Option<Duration>,
}

#[derive(Default)]
struct State {
    free: usize,
    /// Requests that wait for a slot.
    line: VecDeque<Arc<Waiting>>,
    /// In order of arrival.
    paths: Vec<String>,
    in_flight: usize,
    most: usize,
    connections: usize,
}

/// A request that waits, and its thread.
struct Waiting {
    thread: Thread,
    called: AtomicBool,
}

impl Slots {
    /// Works on `slots` requests at a time, on each for so long.
    pub fn timed(slots: usize, time: Duration) -> Self {
        Self::start(slots, Some(time))
    }

    /// Answers only as many requests as it is told to, in order of arrival.
    pub fn held() -> Self {
        Self::start(0, None)
    }

    fn start(free: usize, time: Option<Duration>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let state = Mutex::new(State { free, ..State::default() });
        let shared = Arc::new(Shared { state, time });
        let all = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&all);
                shared.state().connections += 1;
                let serve = move || {
                    let _ = stream.set_nodelay(true);
                    shared.serve(stream);
                };
                // Thousands of them wait at a time: they need little.
                std::thread::Builder::new().stack_size(64 * 1024).spawn(serve).expect("a thread");
            }
        });
        Self { address, shared }
    }

    /// Answers so many more requests.
    pub fn release(&self, count: usize) {
        let mut state = self.shared.state();
        state.free += count;
        state.call();
    }

    /// Its address as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Paths of the requests so far, in order of arrival.
    pub fn paths(&self) -> Vec<String> {
        self.shared.state().paths.clone()
    }

    /// Most requests there were at a time, worked on or waiting.
    pub fn most(&self) -> usize {
        self.shared.state().most
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.state().connections
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no one panics with it")
    }

    /// Answers GETs until the connection ends.
    fn serve(&self, mut stream: TcpStream) {
        let (mut head, mut chunk) = (Vec::new(), [0; 4096]);
        while let Ok(length @ 1..) = stream.read(&mut chunk) {
            head.extend_from_slice(&chunk[..length]);
            if !head.ends_with(b"\r\n\r\n") {
                continue;
            }
            let path = String::from_utf8_lossy(&head).split(' ').nth(1).unwrap_or_default().to_owned();
            head.clear();
            self.work(path);
            if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_err() {
                return;
            }
        }
    }

    fn work(&self, path: String) {
        let waiting = Arc::new(Waiting { thread: std::thread::current(), called: AtomicBool::new(false) });
        {
            let mut state = self.state();
            state.paths.push(path);
            state.line.push_back(Arc::clone(&waiting));
            state.in_flight += 1;
            state.most = state.most.max(state.in_flight);
            state.call();
        }
        while !waiting.called.load(Ordering::Acquire) {
            std::thread::park();
        }
        if let Some(time) = self.time {
            std::thread::sleep(time);
        }
        let mut state = self.state();
        state.in_flight -= 1;
        if self.time.is_some() {
            state.free += 1;
            state.call();
        }
    }
}

impl State {
    /// Gives free slots to those that waited longest.
    fn call(&mut self) {
        while self.free > 0
            && let Some(next) = self.line.pop_front()
        {
            self.free -= 1;
            next.called.store(true, Ordering::Release);
            next.thread.unpark();
        }
    }
}
