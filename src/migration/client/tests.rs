use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU32;

use http::Method;
use hyper::service::service_fn;
use tokio::net::TcpListener;

use super::connections::Executor;
use super::*;
use crate::wire::{PlainIo, Socket};

const LIMIT: Duration = Duration::from_secs(10);

/// A version that answers with the version of HTTP, the authority or host, and what it was sent; and how many connections
/// it has taken.
async fn version(protocol: Protocol) -> (UpstreamSpec, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let spec = spec(listener.local_addr().expect("its address"), protocol);
    let taken = Arc::<AtomicU32>::default();
    let count = Arc::clone(&taken);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let io = PlainIo::new(Socket::Tcp(stream), Vec::new());
            if protocol == Protocol::H2 {
                let serving = hyper::server::conn::http2::Builder::new(Executor).serve_connection(io, service_fn(echo));
                tokio::spawn(serving);
            } else {
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service_fn(echo)));
            }
        }
    });
    (spec, taken)
}

async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = head.uri.authority().map(Authority::as_str).or(host).unwrap_or_default();
    let path = head.uri.path_and_query().map(http::uri::PathAndQuery::as_str).unwrap_or_default();
    let said = format!("{:?} {} {host} {path} {}", head.version, head.method, String::from_utf8_lossy(&body));
    Ok(Response::new(said.into()))
}

fn spec(address: SocketAddr, protocol: Protocol) -> UpstreamSpec {
    UpstreamSpec { addresses: vec![Address::Ip(address)], protocol, tls: None }
}

fn request(host: Option<&'static str>) -> Request<Bytes> {
    let mut request = Request::new(Bytes::from_static(b"hello"));
    *request.method_mut() = Method::PUT;
    *request.uri_mut() = Uri::from_static("/items/1?a=b");
    if let Some(host) = host {
        request.headers_mut().insert(HOST, HeaderValue::from_static(host));
    }
    request
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_and_connections_are_used_again() {
    for (protocol, name) in [(Protocol::Auto, "HTTP/1.1"), (Protocol::Http1, "HTTP/1.1"), (Protocol::H2, "HTTP/2.0")] {
        let (spec, taken) = version(protocol).await;
        let client = Client::default();
        for _ in 0..3 {
            let answer = client.send(&spec, request(Some("shop.example")), LIMIT, 1000).await.expect("an answer");
            assert_eq!(answer.body(), &format!("{name} PUT shop.example /items/1?a=b hello"));
        }
        assert_eq!(taken.load(Ordering::SeqCst), 1, "{protocol:?}");
        let answer = client.send(&spec, request(None), LIMIT, 1000).await.expect("an answer");
        let said = String::from_utf8_lossy(answer.body()).into_owned();
        assert!(said.contains(&format!(" {} ", spec.addresses[0])), "{said}");
    }
}

#[tokio::test]
async fn nobody_there_is_told_from_no_answer_and_from_too_long_a_one() {
    let client = Client::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let silent = spec(address, Protocol::Http1);
    let failed = client.send(&silent, request(None), Duration::from_millis(50), 1000).await;
    assert!(matches!(failed, Err(Unanswered::NoAnswer(_))), "{failed:?}");
    drop(listener);
    let failed = client.send(&silent, request(None), LIMIT, 1000).await;
    assert!(matches!(failed, Err(Unanswered::NotReached(_))), "{failed:?}");
    let (spec, _) = version(Protocol::Http1).await;
    let failed = client.send(&spec, request(None), LIMIT, 10).await;
    assert_eq!(failed.err(), Some(Unanswered::TooLong { status: StatusCode::OK, max: 10 }));
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_not_used() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let spec = spec(listener.local_addr().expect("its address"), Protocol::Http1);
    let (closed, was_closed) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut closed = Some(closed);
        while let Ok((stream, _)) = listener.accept().await {
            let io = PlainIo::new(Socket::Tcp(stream), Vec::new());
            // One request each, without a word about it.
            let mut serving =
                Box::pin(hyper::server::conn::http1::Builder::new().serve_connection(io, service_fn(echo)));
            let _ = tokio::time::timeout(Duration::from_millis(100), &mut serving).await;
            drop(serving);
            if let Some(closed) = closed.take() {
                let _ = closed.send(());
            }
        }
    });
    let client = Client::default();
    client.send(&spec, request(None), LIMIT, 1000).await.expect("an answer");
    was_closed.await.expect("it is closed");
    client.send(&spec, request(None), LIMIT, 1000).await.expect("an answer on another connection");
}

#[tokio::test]
async fn a_request_that_cannot_be_written_is_not_sent() {
    let (spec, taken) = version(Protocol::H2).await;
    let failed = Client::default().send(&spec, request(Some("no host")), LIMIT, 1000).await;
    assert!(matches!(failed, Err(Unanswered::NotReached(_))), "{failed:?}");
    assert_eq!(taken.load(Ordering::SeqCst), 0);
}
