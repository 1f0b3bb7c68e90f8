//! Open-loop traffic: requests come when they come, whether or not earlier ones have been answered.
//!
//! Arrivals are a Poisson process, as of many independent users, and latency counts from the moment a request was meant
//! to be sent. A stall of the proxy therefore shows in every request that should have been sent during it; a client that
//! waits for one answer before it asks again would hide all but one (coordinated omission).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, oneshot};

use super::VERSIONS;
use super::tally::{Answer, Ended, Tally};
use crate::wire::{PlainIo, Socket};

/// Requests per second, on average.
pub(super) const RATE: f64 = 400.0;
/// Keep-alive connections, which also bounds the requests in flight.
const CONNECTIONS: usize = 64;
/// Most requests that wait for a connection; more are skipped, and counted.
const WAITING: usize = 1024;
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long requests in flight may take at the end.
const LAST_WAIT: Duration = Duration::from_secs(3);
const SEED: u64 = 3;
const HOST: &str = "shop.example";
const USER_ID: &str = "x-user-id";

type Error = Box<dyn std::error::Error + Send + Sync>;

/// One request that is to be sent.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Arrival {
    /// Since the beginning.
    at: Duration,
    /// Who asks.
    user: usize,
}

/// The arrivals: exponential times between them, each of a random user.
struct Arrivals {
    rng: fastrand::Rng,
    seconds: f64,
    users: usize,
}

impl Iterator for Arrivals {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        // From (0, 1]: the logarithm of 0 would be none.
        self.seconds -= (1.0 - self.rng.f64()).ln() / RATE;
        Some(Arrival { at: Duration::from_secs_f64(self.seconds), user: self.rng.usize(..self.users) })
    }
}

/// The traffic, on a thread of its own.
#[derive(Debug)]
pub(super) struct Traffic {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Traffic {
    /// Begins to ask `target` in the name of `users`.
    ///
    /// # Errors
    /// If the system gives no thread or runtime.
    pub(super) fn start(target: SocketAddr, users: &[HeaderValue], tally: &Arc<Mutex<Tally>>) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (users, tally) = (users.to_vec(), Arc::clone(tally));
        let (started, starting) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name("demo-traffic".to_owned()).spawn(move || {
            match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
                Ok(runtime) => {
                    let _ = started.send(Ok(()));
                    runtime.block_on(run(target, users, tally, stopped));
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            }
        })?;
        starting.recv().map_err(io::Error::other)??;
        Ok(Self { stop, thread })
    }

    /// Sends no more requests and waits for the answers that are due, for a few seconds at most.
    pub(super) fn finish(self) {
        // Where the thread is gone already there is nothing to stop; the panic that ended it has been reported.
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

/// What all connections share.
struct Clients {
    target: SocketAddr,
    users: Vec<HeaderValue>,
    tally: Arc<Mutex<Tally>>,
    waiting: RefCell<VecDeque<Due>>,
    wake: Notify,
    /// Nothing more will come.
    closed: Cell<bool>,
}

/// A request that is due.
#[derive(Debug, Clone, Copy)]
struct Due {
    user: usize,
    step: usize,
    intended: Instant,
}

async fn run(target: SocketAddr, users: Vec<HeaderValue>, tally: Arc<Mutex<Tally>>, stop: oneshot::Receiver<()>) {
    let arrivals = Arrivals { rng: fastrand::Rng::with_seed(SEED), seconds: 0.0, users: users.len() };
    let clients = Rc::new(Clients {
        target,
        users,
        tally,
        waiting: RefCell::default(),
        wake: Notify::new(),
        closed: Cell::new(false),
    });
    let connections: Vec<_> =
        (0..CONNECTIONS).map(|_| tokio::task::spawn_local(Rc::clone(&clients).connection())).collect();
    tokio::select! {
        () = clients.arrive(arrivals) => {}
        _ = stop => {}
    }
    clients.closed.set(true);
    clients.wake.notify_waiters();
    let all_answered = async {
        for connection in connections {
            // A connection that panicked has been reported; the others still have answers due.
            let _ = connection.await;
        }
    };
    let _ = tokio::time::timeout(LAST_WAIT, all_answered).await;
}

impl Clients {
    async fn arrive(&self, arrivals: Arrivals) {
        let begin = Instant::now();
        for Arrival { at, user } in arrivals {
            let intended = begin + at;
            tokio::time::sleep_until(intended.into()).await;
            let mut waiting = self.waiting.borrow_mut();
            let mut tally = self.tally();
            if waiting.len() < WAITING {
                waiting.push_back(Due { user, step: tally.step(), intended });
                self.wake.notify_one();
            } else {
                tally.skipped += 1;
            }
        }
    }

    /// The next request; `None` once there will be no more.
    async fn next(&self) -> Option<Due> {
        loop {
            if let Some(due) = self.waiting.borrow_mut().pop_front() {
                return Some(due);
            }
            if self.closed.get() {
                return None;
            }
            self.wake.notified().await;
        }
    }

    /// One connection at work; it is opened again where it was lost.
    async fn connection(self: Rc<Self>) {
        let mut connection = None;
        while let Some(Due { user, step, intended }) = self.next().await {
            let sent = Instant::now();
            let asking = self.ask(&mut connection, &self.users[user]);
            let answer = tokio::time::timeout(PATIENCE, asking).await;
            let answer = answer.map_err(Error::from).flatten();
            let done = Instant::now();
            if let Err(error) = &answer {
                tracing::debug!(%error, "a request got no answer");
                connection = None;
            }
            let ended = Ended { user, step, sent, done, latency: done - intended, answer: answer.ok() };
            self.tally().record(&ended);
        }
    }

    async fn ask(
        &self,
        connection: &mut Option<SendRequest<Empty<Bytes>>>,
        user: &HeaderValue,
    ) -> Result<Answer, Error> {
        let open = match connection.take().filter(|open| !open.is_closed()) {
            Some(open) => open,
            None => connect(self.target).await?,
        };
        let open = connection.insert(open);
        open.ready().await?;
        let request = Request::get("/").header(header::HOST, HOST).header(USER_ID, user).body(Empty::new())?;
        let response = open.send_request(request).await?;
        let failed = response.status().is_server_error();
        let named = response.headers().get("x-serin-version");
        let version = VERSIONS.iter().position(|version| named.is_some_and(|named| named == version));
        response.into_body().collect().await?;
        // serin's own answers, such as a 502, may come without a version.
        let version = version.ok_or("the answer names no version")?;
        Ok(Answer { version, failed })
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn connect(target: SocketAddr) -> Result<SendRequest<Empty<Bytes>>, Error> {
    let stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    let (open, connection) = handshake(PlainIo::new(Socket::Tcp(stream), Vec::new())).await?;
    tokio::task::spawn_local(async move {
        // Whoever waits for an answer on it is told what was wrong.
        let _ = connection.await;
    });
    Ok(open)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(n: usize) -> Vec<Arrival> {
        Arrivals { rng: fastrand::Rng::with_seed(SEED), seconds: 0.0, users: 2000 }.take(n).collect()
    }

    #[test]
    fn the_schedule_is_the_same_every_time() {
        assert_eq!(arrivals(1000), arrivals(1000));
    }

    #[test]
    fn arrivals_are_a_poisson_process_of_the_rate() {
        let arrivals = arrivals(100_000);
        let gaps: Vec<f64> =
            arrivals.windows(2).map(|pair| (pair[1].at.as_secs_f64() - pair[0].at.as_secs_f64()) * RATE).collect();
        let n = gaps.len() as f64;
        let mean = gaps.iter().sum::<f64>() / n;
        assert!((mean - 1.0).abs() < 5.0 / n.sqrt(), "{mean}");
        // Exponential times: one in e is longer than the mean. Five standard deviations of a binomial.
        let longer = gaps.iter().filter(|gap| **gap > 1.0).count() as f64 / n;
        let expected = (-1.0_f64).exp();
        assert!((longer - expected).abs() < 5.0 * (expected * (1.0 - expected) / n).sqrt(), "{longer}");
    }

    #[test]
    fn every_user_has_a_turn() {
        let mut seen = vec![false; 2000];
        for arrival in arrivals(40_000) {
            seen[arrival.user] = true;
        }
        assert!(seen.iter().all(|seen| *seen));
    }
}
