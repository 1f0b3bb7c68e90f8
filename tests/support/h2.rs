//! HTTP/2 on both sides: clients and upstreams made of hyper, and header blocks by hand for what hyper would not send.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, request};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use serin::wire::{PlainIo, Socket};

use super::PATIENCE;

/// Runs hyper's tasks on this thread.
#[derive(Clone, Copy)]
pub struct LocalExecutor;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// Runs asynchronous test code on this thread; [`PATIENCE`] bounds the whole.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = LocalSet::new();
    let bounded = async { tokio::time::timeout(PATIENCE, test).await.expect("within the patience of a test") };
    local.block_on(&runtime, bounded)
}

/// A body whose frames come one by one from elsewhere; it ends when the sender is dropped.
pub struct Streamed(pub mpsc::UnboundedReceiver<Frame<Bytes>>);

/// A body made of these frames.
pub struct Frames(pub VecDeque<Frame<Bytes>>);

impl Body for Streamed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}

/// Any body of this file.
pub type AnyBody = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

/// No body.
pub fn empty() -> AnyBody {
    AnyBody::new(Frames(VecDeque::new()))
}

/// A body of one piece, with trailers where there are some.
pub fn body(data: &'static str, trailers: Option<HeaderMap>) -> AnyBody {
    let data = Frame::data(Bytes::from_static(data.as_bytes()));
    AnyBody::new(Frames([data].into_iter().chain(trailers.map(Frame::trailers)).collect()))
}

/// A client connection to `address`.
pub async fn connect(address: SocketAddr) -> SendRequest<AnyBody> {
    let stream = tokio::net::TcpStream::connect(address).await.expect("connect");
    stream.set_nodelay(true).expect("nodelay");
    connect_over(Socket::Tcp(stream)).await
}

/// A client connection on one that is open already.
pub async fn connect_over(socket: Socket) -> SendRequest<AnyBody> {
    connect_as(socket, |_| {}).await
}

/// A client connection with settings of its own.
pub async fn connect_with(
    stream: tokio::net::TcpStream,
    set: impl FnOnce(&mut hyper::client::conn::http2::Builder<LocalExecutor>),
) -> SendRequest<AnyBody> {
    connect_as(Socket::Tcp(stream), set).await
}

async fn connect_as(
    socket: Socket,
    set: impl FnOnce(&mut hyper::client::conn::http2::Builder<LocalExecutor>),
) -> SendRequest<AnyBody> {
    let io = PlainIo::new(socket, Vec::new());
    let mut builder = hyper::client::conn::http2::Builder::new(LocalExecutor);
    set(&mut builder);
    let (send, connection) = builder.max_header_list_size(1 << 20).handshake(io).await.expect("a handshake");
    tokio::task::spawn_local(async move {
        // How it ends is seen by the requests on it.
        let _ = connection.await;
    });
    send
}

/// What a response brought, whole.
#[derive(Debug)]
pub struct Whole {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
}

/// Reads a response to its end.
pub async fn whole(response: Response<Incoming>) -> hyper::Result<Whole> {
    let (head, body) = response.into_parts();
    let collected = body.collect().await?;
    let trailers = collected.trailers().cloned();
    Ok(Whole { status: head.status.as_u16(), headers: head.headers, body: collected.to_bytes(), trailers })
}

/// A `GET` of `path` at `http://shop.example`.
pub fn get(path: &str) -> Request<AnyBody> {
    Request::get(format!("http://shop.example{path}")).body(empty()).expect("a request")
}

type Answer = Pin<Box<dyn Future<Output = Response<AnyBody>>>>;

/// An upstream that speaks HTTP/2 with prior knowledge.
pub struct H2Upstream {
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<request::Parts>>>,
}

impl H2Upstream {
    /// Answers every request by `answer`, on a thread of its own.
    pub fn answering<F>(answer: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static) -> Self
    where
        F: Future<Output = Response<AnyBody>> + 'static,
    {
        Self::answering_with(|_| {}, answer)
    }

    /// The same, with settings of its own.
    pub fn answering_with<F>(
        set: impl Fn(&mut hyper::server::conn::http2::Builder<LocalExecutor>) + Clone + Send + 'static,
        answer: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Response<AnyBody>> + 'static,
    {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("nonblocking");
        let address = listener.local_addr().expect("its address");
        let heads = Arc::<Mutex<Vec<request::Parts>>>::default();
        let seen = Arc::clone(&heads);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            LocalSet::new().block_on(&runtime, async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                while let Ok((stream, _)) = listener.accept().await {
                    let (seen, answer) = (Arc::clone(&seen), answer.clone());
                    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                        let (parts, body) = request.into_parts();
                        seen.lock().expect("no one panics with it").push(parts.clone());
                        let answer: Answer = Box::pin(answer(Request::from_parts(parts, body)));
                        async move { Ok::<_, Infallible>(answer.await) }
                    });
                    let io = PlainIo::new(Socket::Tcp(stream), Vec::new());
                    let mut builder = hyper::server::conn::http2::Builder::new(LocalExecutor);
                    set(&mut builder);
                    tokio::task::spawn_local(async move {
                        let _ = builder.serve_connection(io, service).await;
                    });
                }
            });
        });
        Self { address, heads }
    }

    /// Its address as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads of the requests so far.
    pub fn heads(&self) -> Vec<request::Parts> {
        self.heads.lock().expect("no one panics with it").clone()
    }
}

/// A header block of literal fields, none of them compressed (RFC 7541, section 6.2.2).
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            let length = u8::try_from(text.len()).ok().filter(|length| *length < 127).expect("a short field");
            block.push(length);
            block.extend(text.bytes());
        }
    }
    block
}

/// The status of a response's header block, where it is one of the indexed ones (RFC 7541, appendix A).
pub fn indexed_status(block: &[u8]) -> Option<u16> {
    // A change of the table's size may come first.
    let first = block.iter().find(|byte| **byte & 0xe0 != 0x20)?;
    Some(match first {
        0x88 => 200,
        0x89 => 204,
        0x8c => 400,
        0x8d => 404,
        0x8e => 500,
        _ => return None,
    })
}
