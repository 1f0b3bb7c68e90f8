//! A built-in version of the service: people in memory, in the shape of that version.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use serde_json::json;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::wire::{PlainIo, Socket};

/// Where people are asked for: `/people/7`.
pub(super) const PATH: &str = "/people/";
/// Writes that are known again when they come a second time.
const REMEMBERED: usize = 10_000;
/// Most bytes of a person.
const MAX_PERSON: usize = 4096;

/// How a version keeps a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// In one column.
    Whole,
    /// In two columns.
    FirstAndLast,
}

/// A person as a version keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Row {
    Whole(String),
    FirstAndLast(String, String),
}

/// What a version keeps.
#[derive(Debug, Default)]
struct People {
    rows: BTreeMap<String, Row>,
    /// The keys against repetition of the last writes.
    done: HashSet<String>,
    order: VecDeque<String>,
}

/// A running version; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Store {
    /// Where it answers.
    pub(super) address: SocketAddr,
    people: Arc<Mutex<People>>,
    _stop: oneshot::Sender<()>,
}

impl Row {
    fn new(shape: Shape, name: &str) -> Self {
        match shape {
            Shape::Whole => Self::Whole(name.to_owned()),
            Shape::FirstAndLast => {
                let (first, last) = name.split_once(' ').unwrap_or((name, ""));
                Self::FirstAndLast(first.to_owned(), last.to_owned())
            }
        }
    }

    /// What every version says of it.
    fn name(&self) -> String {
        match self {
            Self::Whole(name) => name.clone(),
            Self::FirstAndLast(first, last) if last.is_empty() => first.clone(),
            Self::FirstAndLast(first, last) => format!("{first} {last}"),
        }
    }
}

impl People {
    /// Whether a write with this key is new; from then on it is not.
    fn is_new(&mut self, key: Option<&str>) -> bool {
        let Some(key) = key else { return true };
        if !self.done.insert(key.to_owned()) {
            return false;
        }
        self.order.push_back(key.to_owned());
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.done.remove(&oldest);
        }
        true
    }

    fn answer(
        &mut self,
        shape: Shape,
        method: &Method,
        path: &str,
        key: Option<&str>,
        body: &[u8],
    ) -> (StatusCode, String) {
        let Some(who) = path.strip_prefix(PATH).filter(|who| !who.is_empty()) else {
            return (StatusCode::NOT_FOUND, "{}".to_owned());
        };
        match *method {
            Method::GET => match self.rows.get(who) {
                Some(row) => (StatusCode::OK, json!({ "name": row.name() }).to_string()),
                None => (StatusCode::NOT_FOUND, "{}".to_owned()),
            },
            Method::PUT => {
                let person: Option<serde_json::Value> = serde_json::from_slice(body).ok();
                let Some(name) = person.as_ref().and_then(|person| person["name"].as_str()) else {
                    return (StatusCode::BAD_REQUEST, "{}".to_owned());
                };
                if self.is_new(key) {
                    self.rows.insert(who.to_owned(), Row::new(shape, name));
                }
                (StatusCode::OK, "{}".to_owned())
            }
            _ => (StatusCode::METHOD_NOT_ALLOWED, "{}".to_owned()),
        }
    }
}

impl Store {
    /// Starts a version on a port the system chooses; it listens when this returns.
    ///
    /// # Errors
    /// If the system gives no socket or thread.
    pub(super) fn start(name: &str, shape: Shape) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let people = Arc::<Mutex<People>>::default();
        let (stop, stopped) = oneshot::channel();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let kept = Arc::clone(&people);
        std::thread::Builder::new().name(format!("demo-{name}")).spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = accept(&listener, shape, &kept) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, people, _stop: stop })
    }

    /// Everybody, as every version says it.
    pub(super) fn everybody(&self) -> BTreeMap<String, String> {
        lock(&self.people).rows.iter().map(|(who, row)| (who.clone(), row.name())).collect()
    }
}

fn lock(people: &Mutex<People>) -> MutexGuard<'_, People> {
    people.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: &tokio::net::TcpListener, shape: Shape, people: &Arc<Mutex<People>>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Most likely out of descriptors: some come free when requests end.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        // Without it answers come a little later; nothing else.
        let _ = stream.set_nodelay(true);
        let people = Arc::clone(people);
        tokio::spawn(async move {
            let service = service_fn(|request| respond(shape, Arc::clone(&people), request));
            let io = PlainIo::new(Socket::Tcp(stream), Vec::new());
            // A client that leaves in the middle is its own affair.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
        });
    }
}

async fn respond(
    shape: Shape,
    people: Arc<Mutex<People>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let (status, text) = match Limited::new(body, MAX_PERSON).collect().await {
        Ok(body) => {
            let key = idempotency_key(&parts.headers);
            lock(&people).answer(shape, &parts.method, parts.uri.path(), key, &body.to_bytes())
        }
        Err(_) => (StatusCode::BAD_REQUEST, "{}".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    Ok(response)
}

fn idempotency_key(headers: &HeaderMap) -> Option<&str> {
    headers.get("idempotency-key")?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_shapes_say_the_same_and_a_repeated_write_is_carried_out_once() {
        for shape in [Shape::Whole, Shape::FirstAndLast] {
            let mut people = People::default();
            let mut ask = |method, key, body: &str| people.answer(shape, &method, "/people/7", key, body.as_bytes());
            assert_eq!(ask(Method::GET, None, "").0, StatusCode::NOT_FOUND);
            assert_eq!(ask(Method::PUT, Some("k1"), r#"{"name":"Ada Lovelace"}"#).0, StatusCode::OK);
            assert_eq!(ask(Method::PUT, Some("k2"), r#"{"name":"Ada Byron King"}"#).0, StatusCode::OK);
            assert_eq!(ask(Method::PUT, Some("k1"), r#"{"name":"Ada Lovelace"}"#).0, StatusCode::OK);
            assert_eq!(ask(Method::GET, None, "").1, r#"{"name":"Ada Byron King"}"#);
            assert_eq!(ask(Method::PUT, None, "{}").0, StatusCode::BAD_REQUEST);
        }
    }
}
