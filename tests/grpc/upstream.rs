//! A gRPC server in HTTP/2's own words: every call is answered by a script that may also end its connection.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response, request};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

/// What a script may do to the connection it was called on.
pub(crate) enum Do {
    /// Close it as gRPC servers do: GOAWAY, streams in flight finish.
    GoAway,
    /// Close it at once.
    Die,
}

/// One call.
pub(crate) struct Call {
    pub(crate) head: request::Parts,
    pub(crate) body: RecvStream,
    pub(crate) respond: SendResponse<Bytes>,
    pub(crate) connection: mpsc::UnboundedSender<Do>,
    /// From 0, in the order they came.
    pub(crate) connection_number: usize,
    /// What scripts tell the test.
    pub(crate) told: Told,
}

pub(crate) type Told = Arc<Mutex<Vec<String>>>;

/// Where the calls go.
pub(crate) struct GrpcUpstream {
    pub(crate) address: SocketAddr,
    heads: Arc<Mutex<Vec<request::Parts>>>,
    told: Told,
}

impl GrpcUpstream {
    pub(crate) fn scripted<F>(script: impl Fn(Call) -> F + Clone + Send + 'static) -> Self
    where
        F: Future<Output = ()> + 'static,
    {
        Self::taking(1000, script)
    }

    /// Takes so many calls at a time on one connection.
    pub(crate) fn taking<F>(calls: u32, script: impl Fn(Call) -> F + Clone + Send + 'static) -> Self
    where
        F: Future<Output = ()> + 'static,
    {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("nonblocking");
        let address = listener.local_addr().expect("its address");
        let (heads, told) = (Arc::<Mutex<Vec<_>>>::default(), Told::default());
        let (seen, telling) = (Arc::clone(&heads), Arc::clone(&told));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            LocalSet::new().block_on(&runtime, async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                for connection_number in 0.. {
                    let Ok((stream, _)) = listener.accept().await else { return };
                    let (seen, told, script) = (Arc::clone(&seen), Arc::clone(&telling), script.clone());
                    tokio::task::spawn_local(async move {
                        let mut builder = h2::server::Builder::new();
                        let handshake = builder.max_concurrent_streams(calls).handshake(stream);
                        let Ok(mut calls) = handshake.await else { return };
                        let (connection, mut wishes) = mpsc::unbounded_channel();
                        loop {
                            let (request, respond): (Request<RecvStream>, _) = tokio::select! {
                                call = calls.accept() => match call {
                                    Some(Ok(call)) => call,
                                    _ => return,
                                },
                                wish = wishes.recv() => match wish {
                                    Some(Do::GoAway) => {
                                        calls.graceful_shutdown();
                                        continue;
                                    }
                                    _ => return,
                                },
                            };
                            let (head, body) = request.into_parts();
                            seen.lock().expect("no one panics with it").push(head.clone());
                            let (connection, told) = (connection.clone(), Arc::clone(&told));
                            let call = Call { head, body, respond, connection, connection_number, told };
                            tokio::task::spawn_local(script(call));
                        }
                    });
                }
            });
        });
        Self { address, heads, told }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads of the calls so far.
    pub(crate) fn heads(&self) -> Vec<request::Parts> {
        self.heads.lock().expect("no one panics with it").clone()
    }

    /// What scripts have told so far.
    pub(crate) fn told(&self) -> Vec<String> {
        self.told.lock().expect("no one panics with it").clone()
    }
}

impl Call {
    pub(crate) fn tell(&self, what: impl Into<String>) {
        self.told.lock().expect("no one panics with it").push(what.into());
    }

    /// The head of an answer whose messages follow.
    pub(crate) fn answer(&mut self, content_type: &str) -> h2::SendStream<Bytes> {
        let head = Response::builder().header("content-type", content_type).body(()).expect("a response");
        self.respond.send_response(head, false).expect("the call is still there")
    }

    /// An answer that is nothing but a head.
    pub(crate) fn refuse(&mut self, head: Response<()>) {
        self.respond.send_response(head, true).expect("the call is still there");
    }

    /// Waits until the caller resets the call; gives the reason.
    pub(crate) async fn reset(&mut self) -> h2::Reason {
        std::future::poll_fn(|cx| self.respond.poll_reset(cx)).await.expect("a reset")
    }
}

/// Trailers with this status.
pub(crate) fn status(code: &'static str) -> HeaderMap {
    HeaderMap::from_iter([("grpc-status".parse().expect("a name"), code.parse().expect("a value"))])
}

/// One message in its frame.
pub(crate) fn message(text: &str) -> Bytes {
    let length = u32::try_from(text.len()).expect("a short message").to_be_bytes();
    [&[0][..], &length, text.as_bytes()].concat().into()
}
