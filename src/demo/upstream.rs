//! A built-in version: an HTTP server on a socket and a thread of its own that takes its time, and sometimes fails.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::oneshot;

use crate::wire::{PlainIo, Socket};

/// How long a version takes and how often it fails. Most requests take a log-normal time; a few, the tail, take a
/// multiple of one, as behind a cold cache or a lock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Profile {
    /// In seconds.
    pub(super) median: f64,
    /// Standard deviation of the logarithm.
    pub(super) spread: f64,
    /// Part of the requests that are in the tail, 0 to 1.
    pub(super) tail_share: f64,
    /// How many times longer these take.
    pub(super) tail_factor: f64,
    /// Part of the requests that fail, 0 to 1; a failure takes as long as a success.
    pub(super) failure_share: f64,
}

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Outcome {
    pub(super) after: Duration,
    pub(super) fails: bool,
}

/// Longest time a request is given, in seconds: the tail of the tail helps nobody.
const LONGEST: f64 = 2.0;

impl Profile {
    /// What becomes of the next request.
    pub(super) fn next(&self, rng: &mut fastrand::Rng) -> Outcome {
        let mut seconds = self.median * (self.spread * normal(rng)).exp();
        if rng.f64() < self.tail_share {
            seconds *= self.tail_factor;
        }
        let fails = rng.f64() < self.failure_share;
        Outcome { after: Duration::from_secs_f64(seconds.min(LONGEST)), fails }
    }
}

/// A standard normal number (Box and Muller, 1958).
fn normal(rng: &mut fastrand::Rng) -> f64 {
    // From (0, 1]: the logarithm of 0 would be none.
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}

/// A running version; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Upstream {
    /// Where it answers.
    pub(super) address: SocketAddr,
    profile: Arc<Mutex<Profile>>,
    _stop: oneshot::Sender<()>,
}

impl Upstream {
    /// Starts a version on a port the system chooses; it listens when this returns.
    ///
    /// # Errors
    /// If the system gives no socket or thread.
    pub(super) fn start(name: &'static str, profile: Profile, seed: u64) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let profile = Arc::new(Mutex::new(profile));
        let (stop, stopped) = oneshot::channel();
        let behaviour = Arc::clone(&profile);
        let (started, starting) = std::sync::mpsc::channel();
        std::thread::Builder::new().name(format!("demo-{name}")).spawn(move || {
            let runtime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
                Ok(runtime) => runtime,
                Err(error) => {
                    let _ = started.send(Err(error));
                    return;
                }
            };
            runtime.block_on(async move {
                match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => {
                        let _ = started.send(Ok(()));
                        let rng = Rc::new(RefCell::new(fastrand::Rng::with_seed(seed)));
                        tokio::select! {
                            () = accept(&listener, name, &behaviour, &rng) => {}
                            _ = stopped => {}
                        }
                    }
                    Err(error) => {
                        let _ = started.send(Err(error));
                    }
                }
            });
        })?;
        starting.recv().map_err(io::Error::other)??;
        Ok(Self { address, profile, _stop: stop })
    }

    /// From now on it behaves like this.
    pub(super) fn behave(&self, profile: Profile) {
        *self.profile.lock().unwrap_or_else(PoisonError::into_inner) = profile;
    }
}

async fn accept(
    listener: &tokio::net::TcpListener,
    name: &'static str,
    profile: &Arc<Mutex<Profile>>,
    rng: &Rc<RefCell<fastrand::Rng>>,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Most likely out of descriptors: some come free when requests end.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        // Without it answers come a little later; nothing else.
        let _ = stream.set_nodelay(true);
        let (profile, rng) = (Arc::clone(profile), Rc::clone(rng));
        tokio::task::spawn_local(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let profile = *profile.lock().unwrap_or_else(PoisonError::into_inner);
                answer(name, profile.next(&mut rng.borrow_mut()), request)
            });
            let io = PlainIo::new(Socket::Tcp(stream), Vec::new());
            // A client that leaves in the middle is its own affair.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
        });
    }
}

async fn answer(
    name: &'static str,
    outcome: Outcome,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    tokio::time::sleep(outcome.after).await;
    let user = request.headers().get("x-user-id").and_then(|user| user.to_str().ok()).unwrap_or("stranger");
    let (status, body) = if outcome.fails {
        (StatusCode::INTERNAL_SERVER_ERROR, format!("Sorry {user}, this is {name} and it failed.\n"))
    } else {
        (StatusCode::OK, format!("Hello {user}, this is {name}.\n"))
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: Profile =
        Profile { median: 0.012, spread: 0.35, tail_share: 0.0, tail_factor: 1.0, failure_share: 0.2 };

    fn sample(profile: Profile, seed: u64) -> Vec<Outcome> {
        let mut rng = fastrand::Rng::with_seed(seed);
        (0..100_000).map(|_| profile.next(&mut rng)).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_requests() {
        assert_eq!(sample(PROFILE, 1), sample(PROFILE, 1));
        assert_ne!(sample(PROFILE, 1), sample(PROFILE, 2));
    }

    #[test]
    fn times_are_log_normal_around_the_median() {
        let logs: Vec<f64> =
            sample(PROFILE, 3).iter().map(|outcome| (outcome.after.as_secs_f64() / PROFILE.median).ln()).collect();
        let n = logs.len() as f64;
        let mean = logs.iter().sum::<f64>() / n;
        let spread = (logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / n).sqrt();
        // Five standard errors each.
        assert!(mean.abs() < 5.0 * 0.35 / n.sqrt(), "{mean}");
        assert!((spread - 0.35).abs() < 5.0 * 0.35 / (2.0 * n).sqrt(), "{spread}");
    }

    #[test]
    fn failures_come_as_often_as_asked_for() {
        let failures = sample(PROFILE, 4).iter().filter(|outcome| outcome.fails).count();
        // Five standard deviations of a binomial.
        assert!((19_368..=20_632).contains(&failures), "{failures}");
    }

    #[test]
    fn the_tail_takes_a_multiple() {
        let all_tail = Profile { tail_share: 1.0, tail_factor: 5.0, ..PROFILE };
        let (plain, tail) = (sample(PROFILE, 5), sample(all_tail, 5));
        for (plain, tail) in plain.iter().zip(tail).take(100) {
            let factor = tail.after.as_secs_f64() / plain.after.as_secs_f64();
            assert!((factor - 5.0).abs() < 1e-3, "{factor}");
        }
    }
}
