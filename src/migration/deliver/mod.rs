//! Taking writes to the version that does not have them yet, on a thread of its own.
//!
//! The journal says what is to be sent next, to which version; this sends it and says what came of it. What an answer means is
//! in `verdict`.

mod verdict;

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Uri};
use tokio::task::LocalSet;

use super::Client;
use super::journal::{Job, Journal, Said, Write};
use crate::plan::UpstreamSpec;

/// Where a version of a service answers, by the plan in force; `None`: there is no such version.
pub type Whereabouts = Box<dyn Fn(&str, &str) -> Option<Arc<UpstreamSpec>> + Send>;

/// Most bytes of an answer; nobody reads them, but a connection can be used again only after them.
const MAX_ANSWER: usize = 1 << 20;
/// Tells a version which of them it is, as the request path does.
const VERSION: HeaderName = HeaderName::from_static("x-serin-version");

/// Starts the thread. It ends when the journal is closed.
///
/// # Errors
/// Where the system gives no thread or no runtime.
pub fn start(journal: &Journal, whereabouts: Whereabouts) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let journal = journal.clone();
    let thread = std::thread::Builder::new().name("deliver".to_owned());
    thread.spawn(move || LocalSet::new().block_on(&runtime, run(journal, whereabouts)))?;
    Ok(())
}

async fn run(journal: Journal, whereabouts: Whereabouts) {
    let client = Client::default();
    while !journal.is_over() {
        while let Some(job) = journal.take_job() {
            let spec = whereabouts(&job.write.service, job.version());
            let (journal, client) = (journal.clone(), client.clone());
            tokio::task::spawn_local(async move {
                let said = match spec {
                    Some(spec) => send(&client, &spec, &job).await,
                    None => Said::Nothing("there is no such version".to_owned()),
                };
                journal.report(&job, said);
            });
        }
        let wait = journal.next_job();
        let due = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = journal.job_wanted() => {}
            () = due => {}
        }
    }
}

async fn send(client: &Client, spec: &UpstreamSpec, job: &Job) -> Said {
    match request(&job.write, job.version()) {
        Ok(request) => {
            let answer = client.send(spec, request, job.timeout, MAX_ANSWER).await;
            verdict::of(&job.write.method, answer.map(|answer| answer.status()))
        }
        Err(error) => Said::Never(format!("it cannot be sent: {error}")),
    }
}

fn request(write: &Write, version: &str) -> http::Result<Request<Bytes>> {
    let mut request = Request::new(write.body.clone());
    *request.method_mut() = write.method.clone();
    *request.uri_mut() = Uri::try_from(&write.target)?;
    *request.headers_mut() = write.headers.clone();
    let (name, value) = write.idempotency.clone();
    request.headers_mut().insert(name, value);
    request.headers_mut().insert(VERSION, HeaderValue::from_str(version)?);
    Ok(request)
}
