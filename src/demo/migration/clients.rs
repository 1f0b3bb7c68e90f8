//! Clients that read and write people through the proxy, each its own, and count what they are answered.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;

use super::store::PATH;
use crate::wire::{PlainIo, Socket};

/// How many there are.
pub(super) const CLIENTS: usize = 8;
/// People that each of them looks after.
pub(super) const PEOPLE: usize = 10;
/// From one request of a client to its next.
const PAUSE: Duration = Duration::from_millis(20);
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

type Error = Box<dyn std::error::Error + Send + Sync>;

/// What the clients were answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) reads: u64,
    pub(super) writes: u64,
    /// No answer, or one that is not what a client expects.
    pub(super) failed: u64,
    /// Answers of the new version.
    pub(super) by_new: u64,
    /// How often each client has written all its people.
    rounds: [u64; CLIENTS],
}

impl Counts {
    pub(super) fn requests(self) -> u64 {
        self.reads + self.writes
    }

    /// Whether everybody was written since `earlier`, by all clients.
    pub(super) fn is_round_since(self, earlier: Self) -> bool {
        // The round that was under way then does not count.
        self.rounds.iter().zip(earlier.rounds).all(|(now, then)| *now >= then + 2)
    }

    /// What came since `earlier`.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            reads: self.reads - earlier.reads,
            writes: self.writes - earlier.writes,
            failed: self.failed - earlier.failed,
            by_new: self.by_new - earlier.by_new,
            rounds: self.rounds,
        }
    }
}

/// What clients are to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Orders {
    Work,
    Rest,
    Stop,
}

/// The clients, on a thread of their own.
pub(super) struct Clients {
    counts: Arc<Mutex<Counts>>,
    orders: watch::Sender<Orders>,
    thread: JoinHandle<()>,
}

impl Clients {
    /// Starts them.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(super) fn start(proxy: SocketAddr) -> io::Result<Self> {
        let counts = Arc::<Mutex<Counts>>::default();
        let (orders, told) = watch::channel(Orders::Work);
        let counting = Arc::clone(&counts);
        let thread = std::thread::Builder::new().name("demo-clients".to_owned()).spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return tracing::error!(%error, "the clients cannot start"),
            };
            runtime.block_on(async move {
                let clients: Vec<_> = (0..CLIENTS)
                    .map(|number| {
                        let (counts, told) = (Arc::clone(&counting), told.clone());
                        tokio::task::spawn_local(work(number, proxy, counts, told))
                    })
                    .collect();
                for client in clients {
                    // One that panicked is missed in the counts.
                    let _ = client.await;
                }
            });
        })?;
        Ok(Self { counts, orders, thread })
    }

    pub(super) fn counts(&self) -> Counts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has them rest, or go on.
    pub(super) fn pause(&self, rest: bool) {
        self.orders.send_replace(if rest { Orders::Rest } else { Orders::Work });
    }

    /// Lets what is on its way be answered; the counts at the end.
    pub(super) fn finish(self) -> Counts {
        self.orders.send_replace(Orders::Stop);
        // A panic is said aloud where it happens.
        let _ = self.thread.join();
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn work(number: usize, proxy: SocketAddr, counts: Arc<Mutex<Counts>>, mut told: watch::Receiver<Orders>) {
    let mut connection = None;
    for turn in 0_usize.. {
        // Closed only where whoever gives orders is gone.
        let orders = told.wait_for(|orders| *orders != Orders::Rest).await.map_or(Orders::Stop, |orders| *orders);
        if orders == Orders::Stop {
            return;
        }
        // Each person is written, and read in the next turn.
        let (person, round) = (turn / 2 % PEOPLE, turn / 2 / PEOPLE);
        let name = (turn % 2 == 0).then(|| format!("Client{number} Round{round}"));
        let is_write = name.is_some();
        let path = format!("{PATH}{number}-{person}");
        let asked = ask(&mut connection, proxy, &path, name);
        let answer = tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err("no answer in time".into()));
        let is_well = matches!(answer, Ok((StatusCode::OK, _)));
        if !is_well {
            connection = None;
        }
        {
            let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
            counts.reads += u64::from(!is_write);
            counts.writes += u64::from(is_write);
            counts.failed += u64::from(!is_well);
            counts.by_new += u64::from(matches!(answer, Ok((StatusCode::OK, true))));
            counts.rounds[number] = round as u64;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Status, and whether the new version answered.
async fn ask(
    connection: &mut Option<SendRequest<Full<Bytes>>>,
    proxy: SocketAddr,
    path: &str,
    name: Option<String>,
) -> Result<(StatusCode, bool), Error> {
    if connection.as_ref().is_none_or(SendRequest::is_closed) {
        let stream = TcpStream::connect(proxy).await?;
        stream.set_nodelay(true)?;
        let (sender, running) = handshake(PlainIo::new(Socket::Tcp(stream), Vec::new())).await?;
        tokio::task::spawn_local(running);
        *connection = Some(sender);
    }
    let method = if name.is_some() { "PUT" } else { "GET" };
    let body = name.map(|name| serde_json::json!({ "name": name }).to_string()).unwrap_or_default();
    let request = Request::builder().method(method).uri(path).header(header::HOST, "people.example");
    let request = request.body(Full::new(Bytes::from(body)))?;
    let sender = connection.as_mut().ok_or("no connection")?;
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let by_new = response.headers().get("x-serin-version").is_some_and(|version| version == "new");
    let status = response.status();
    response.into_body().collect().await?;
    Ok((status, by_new))
}
