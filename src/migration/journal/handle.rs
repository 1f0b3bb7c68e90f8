//! The journal as others hold it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

use super::book::{Book, Granted, Job, Millis, Said};
use super::store::{Folder, Redb, Store};
use super::writer::{AGAIN, LINGER, Step, lock, step};
use super::{Begun, DeadLetter, Listed, News, Outcome, Refused, Status, Write};
use crate::plan::JournalRules;
use crate::telemetry::Registry;

/// The journal of all services; cloned freely, used from any thread.
#[derive(Debug, Clone)]
pub struct Journal(Arc<Shared>);

struct Shared {
    book: Mutex<Book>,
    /// What the clock of the book counts from.
    began: (Instant, Millis),
    /// The thread that writes; none where everything is in memory.
    writer: OnceLock<Thread>,
    /// To be waited for at the end.
    thread: Mutex<Option<JoinHandle<()>>>,
    over: AtomicBool,
    /// There may be something to deliver.
    deliver: Notify,
    /// There may be news.
    changed: Notify,
    registry: Arc<Registry>,
}

/// Why no journal was opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its file cannot be read.
    #[error("cannot open the journal {}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// There is no thread to write it.
    #[error("cannot start the journal: {0}")]
    Thread(#[from] io::Error),
}

/// A write that may be sent to its authoritative side now. Dropped without a word, its outcome is [`Outcome::Unknown`].
#[derive(Debug)]
#[must_use]
pub struct Ticket {
    place: Place,
    begun: Begun,
}

/// A key nothing is sent of, to either side, until this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Hold {
    journal: Journal,
    service: Arc<str>,
    key: Arc<str>,
    repaired: bool,
}

/// A write's place in the book, which is left when this is dropped.
#[derive(Debug)]
struct Place {
    journal: Journal,
    service: Arc<str>,
    number: u64,
    /// It may have been sent.
    sent: bool,
    outcome: Outcome,
}

impl Journal {
    /// The journal in `folder` (`journal.redb`), with what was left in it; `None`: in memory.
    ///
    /// # Errors
    /// [`OpenError`]: it cannot be read, or there is no thread for it.
    pub fn open(folder: Option<&Path>, registry: Arc<Registry>) -> Result<Self, OpenError> {
        let Some(folder) = folder else { return Self::begin_with(Book::new(false), None, registry) };
        let path = folder.join(super::store::NAME);
        let unreadable = |why| OpenError::Unreadable { path: path.clone(), why };
        let (mut store, loaded) = Redb::open(Folder::new(folder)).map_err(|error| unreadable(error.0))?;
        let left = loaded.writes.len();
        let mut book = Book::new(true);
        book.restore(loaded);
        if left > 0 {
            tracing::info!(writes = left, "the journal has writes of a former process");
        } else if std::fs::metadata(&path).is_ok_and(|file| file.len() > WORTH_SHRINKING) {
            // A database keeps the size it once had.
            if let Err(error) = store.rewrite(&book.image()) {
                return Err(unreadable(error.0));
            }
        }
        Self::begin_with(book, Some(Box::new(store)), registry)
    }

    fn begin_with(book: Book, store: Option<Box<dyn Store>>, registry: Arc<Registry>) -> Result<Self, OpenError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let this = Self(Arc::new(Shared {
            book: Mutex::new(book),
            began: (Instant::now(), u64::try_from(now.as_millis()).unwrap_or_default()),
            writer: OnceLock::new(),
            thread: Mutex::default(),
            over: AtomicBool::new(false),
            deliver: Notify::new(),
            changed: Notify::new(),
            registry,
        }));
        let weak = Arc::downgrade(&this.0);
        this.0.registry.journal().read_from(move || weak.upgrade().map(|shared| shared.figures()).unwrap_or_default());
        if let Some(store) = store {
            let shared = Arc::clone(&this.0);
            let thread = std::thread::Builder::new().name("journal".to_owned()).spawn(move || shared.write(store))?;
            // Set once, here.
            let _ = this.0.writer.set(thread.thread().clone());
            *this.0.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        }
        Ok(this)
    }

    /// The rules of every service that has a journal, with every new plan. What is left of others is kept and not sent.
    pub fn configure(&self, rules: impl IntoIterator<Item = (Arc<str>, Arc<JournalRules>)>) {
        let now = self.0.now();
        self.0.change(|book| book.configure(rules, now));
    }

    /// Journals a write, and waits until it is on the disk and its turn has come: at most [`JournalRules::wait`]. Dropped
    /// meanwhile, the write is forgotten.
    ///
    /// # Errors
    /// [`Refused`]: it must not be sent.
    pub async fn begin(&self, write: Write) -> Result<Ticket, Refused> {
        let (service, now) = (Arc::clone(&write.service), self.0.now());
        let (begun, wait) = {
            let mut book = self.0.book();
            let begun = book.begin(write, now);
            (begun, book.wait(&service))
        };
        self.0.wake();
        let (number, granted) = begun?;
        let (journal, outcome) = (self.clone(), Outcome::Unknown);
        let mut place = Place { journal, service, number, sent: false, outcome };
        let why = match tokio::time::timeout(wait, granted).await {
            Ok(Ok(Granted::Go(begun))) => {
                place.sent = true;
                return Ok(Ticket { place, begun });
            }
            // It has left the book already.
            Ok(Ok(Granted::Not(why))) => why,
            Ok(Err(_)) => Refused::Closed,
            Err(_) => {
                self.0.book().count(&place.service, Refused::Busy);
                Refused::Busy
            }
        };
        Err(why)
    }

    /// How the journal of a service is; all zero where it has none.
    #[must_use]
    pub fn status(&self, service: &str) -> Status {
        self.0.book().status(service, self.0.now())
    }

    /// Whether there is anything of a key in the journal.
    #[must_use]
    pub fn is_pending(&self, service: &str, key: &str) -> bool {
        self.0.book().is_pending(service, key)
    }

    /// Up to `limit` keys to be reconciled, by name, after `after`.
    #[must_use]
    pub fn to_reconcile(&self, service: &str, after: Option<&str>, limit: usize) -> Vec<Listed> {
        self.0.book().to_reconcile(service, after, limit, self.0.now())
    }

    /// A key was reconciled: it is listed no more, unless it was listed anew since `stamp`. Gives whether it is gone.
    #[must_use]
    pub fn reconciled(&self, service: &str, key: &str, stamp: u64) -> bool {
        self.0.change(|book| book.reconciled(service, key, stamp))
    }

    /// All keys of a service were reconciled: forgets that there were more than are listed.
    pub fn all_reconciled(&self, service: &str) {
        self.0.change(|book| book.all_reconciled(service));
    }

    /// Up to `limit` dead letters with numbers above `after`.
    #[must_use]
    pub fn dead_letters(&self, service: &str, after: u64, limit: usize) -> Vec<DeadLetter> {
        self.0.book().dead_letters(service, after, limit, self.0.now())
    }

    /// Has a dead letter delivered again, with all its tries. Gives whether there is one of that number.
    #[must_use]
    pub fn retry(&self, service: &str, number: u64) -> bool {
        let now = self.0.now();
        self.0.change(|book| book.retry(service, number, now))
    }

    /// Gives up a dead letter: its key goes on without it, and is listed for reconciliation. Gives whether there is one.
    #[must_use]
    pub fn give_up(&self, service: &str, number: u64) -> bool {
        let now = self.0.now();
        self.0.change(|book| book.give_up(service, number, now))
    }

    /// Waits until nothing of a key is on its way, and lets nothing set out until the [`Hold`] is dropped. Writes that are to be
    /// delivered later wait as well.
    ///
    /// # Errors
    /// [`Refused::Busy`] after `wait`, or where another holds it; [`Refused::NoJournal`], [`Refused::Closed`].
    pub async fn hold(&self, service: &str, key: &str, wait: Duration) -> Result<Hold, Refused> {
        let granted = self.0.book().hold(service, key)?;
        let hold = Hold { journal: self.clone(), service: service.into(), key: key.into(), repaired: false };
        match tokio::time::timeout(wait, granted).await {
            Ok(Ok(())) => Ok(hold),
            Ok(Err(_)) | Err(_) => Err(Refused::Busy),
        }
    }

    /// What happened since this was asked last, oldest first; at most 1000 are kept.
    #[must_use]
    pub fn take_news(&self) -> Vec<News> {
        self.0.book().take_news()
    }

    /// Services and keys of writes applied since this was asked last, at most 1000 of them: some of what is written.
    #[must_use]
    pub fn take_seen(&self) -> Vec<(Arc<str>, Arc<str>)> {
        self.0.book().take_seen()
    }

    /// Waits until there may be news. For one waiter.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Takes no more writes, waits up to `limit` until everything is delivered but what was tried in vain already, and writes
    /// down the rest. Blocks.
    pub fn close(&self, limit: Duration) {
        self.0.change(Book::close);
        let end = Instant::now() + limit;
        while !self.0.book().is_done() && Instant::now() < end {
            std::thread::sleep(LINGER.min(end.saturating_duration_since(Instant::now())));
        }
        self.0.over.store(true, Ordering::Release);
        self.0.wake();
        self.0.deliver.notify_one();
        let thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // It ends where it has written everything, or cannot; it does not panic.
        let _ = thread.map(JoinHandle::join);
    }

    /// The next write to be sent from here.
    pub(in crate::migration) fn take_job(&self) -> Option<Job> {
        self.0.book().take_job(self.0.now())
    }

    /// How long until there may be another; `None`: as long as nothing happens.
    pub(in crate::migration) fn next_job(&self) -> Option<Duration> {
        let due = self.0.book().due()?;
        Some(Duration::from_millis(due.saturating_sub(self.0.now())))
    }

    /// Waits until there may be a write to be sent. For one waiter.
    pub(in crate::migration) async fn job_wanted(&self) {
        self.0.deliver.notified().await;
    }

    /// What came of a job.
    pub(in crate::migration) fn report(&self, job: &Job, said: Said) {
        let (now, draw) = (self.0.now(), fastrand::f64());
        self.0.change(|book| book.report(job, said, now, draw));
    }

    /// Whether nothing more is to be sent.
    pub(in crate::migration) fn is_over(&self) -> bool {
        self.0.over.load(Ordering::Acquire)
    }
}

/// A database larger than this, with nothing in it, is begun anew at the start.
const WORTH_SHRINKING: u64 = 8 << 20;

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }

    fn now(&self) -> Millis {
        let (began, at) = self.began;
        at + u64::try_from(began.elapsed().as_millis()).unwrap_or_default()
    }

    /// Changes the book, and wakes whoever has to do with that.
    fn change<T>(&self, work: impl FnOnce(&mut Book) -> T) -> T {
        let done = work(&mut self.book());
        self.wake();
        done
    }

    fn wake(&self) {
        let (writes, news, jobs) = {
            let book = self.book();
            (book.has_work(), book.has_news(), book.due().is_some())
        };
        if let Some(writer) = self.writer.get()
            && (writes || self.over.load(Ordering::Acquire))
        {
            writer.unpark();
        }
        if news {
            self.changed.notify_one();
        }
        if jobs {
            self.deliver.notify_one();
        }
    }

    /// The life of the writing thread.
    fn write(&self, mut store: Box<dyn Store>) {
        loop {
            let over = self.over.load(Ordering::Acquire);
            let done = step(&self.book, &mut *store, || self.now());
            match done {
                Step::Wrote(took) => {
                    self.registry.journal().committed(took);
                    self.wake_others();
                }
                Step::Failed => {
                    self.wake_others();
                    if over {
                        tracing::error!("the journal could not be written to the end");
                        return;
                    }
                    // Whatever happens meanwhile: a disk that fails is not asked all the time.
                    let again = Instant::now() + AGAIN;
                    while !self.over.load(Ordering::Acquire) && Instant::now() < again {
                        std::thread::park_timeout(again.saturating_duration_since(Instant::now()));
                    }
                    continue;
                }
                Step::Nothing if over => return,
                Step::Nothing => {}
            }
            self.rest();
        }
    }

    /// Until somebody waits for the disk, or the rest has waited long enough.
    fn rest(&self) {
        let mut end = None;
        loop {
            let (urgent, work) = {
                let book = self.book();
                (book.is_urgent(), book.has_work())
            };
            if urgent || self.over.load(Ordering::Acquire) {
                return;
            }
            match (work, end) {
                (false, _) => std::thread::park(),
                (true, None) => end = Some(Instant::now() + LINGER),
                (true, Some(end)) if Instant::now() >= end => return,
                (true, Some(end)) => std::thread::park_timeout(end.saturating_duration_since(Instant::now())),
            }
        }
    }

    fn wake_others(&self) {
        if self.book().has_news() {
            self.changed.notify_one();
        }
        self.deliver.notify_one();
    }

    fn figures(&self) -> Vec<crate::telemetry::JournalOf> {
        let statuses = self.book().statuses(self.now());
        statuses.into_iter().map(|(service, status)| status.figures(service)).collect()
    }
}

impl Ticket {
    /// Where the write goes.
    #[must_use]
    pub fn begun(&self) -> Begun {
        self.begun
    }

    /// Whether it goes to the authoritative side alone.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.begun == Begun::Alone
    }

    /// Its number in the journal.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.place.number
    }

    /// What the authoritative side made of it. Not waited for: it is on the disk with the next group commit.
    pub fn settle(mut self, outcome: Outcome) {
        self.place.outcome = outcome;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let now = self.journal.0.now();
        self.journal.0.change(|book| {
            if self.sent {
                book.settle(&self.service, self.number, self.outcome, now);
            } else {
                book.cancel(&self.service, self.number, now);
            }
        });
    }
}

impl Hold {
    /// The other side was given what the authoritative side has: everything of the key that was applied and not delivered, dead
    /// letters as well, has become superfluous, and the key is no longer listed.
    pub fn repaired(mut self) {
        self.repaired = true;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let now = self.journal.0.now();
        self.journal.0.change(|book| book.release(&self.service, &self.key, self.repaired, now));
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("book", &self.book).finish_non_exhaustive()
    }
}
