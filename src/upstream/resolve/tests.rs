use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::*;

type Asked = (String, oneshot::Sender<Found>);

/// A resolver whose look-ups are answered by hand, running for as long as the third value lives.
fn by_hand(interval: Duration) -> (Arc<Resolver>, mpsc::UnboundedReceiver<Asked>, Running) {
    let (ask, asked) = mpsc::unbounded_channel();
    let resolver = Arc::new(Resolver::asking(move |name, _| {
        let (answer, answered) = oneshot::channel();
        ask.send((name.to_string(), answer)).expect("somebody answers");
        Box::pin(async move { answered.await.unwrap_or_else(|_| Err(io::ErrorKind::NotFound.into())) })
    }));
    let running = Arc::clone(&resolver);
    (resolver, asked, Running(tokio::spawn(async move { running.run(|| interval).await })))
}

struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn addresses(of: &[u8]) -> Vec<SocketAddr> {
    of.iter().map(|last| SocketAddr::from(([10, 0, 0, *last], 80))).collect()
}

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_silent_name_holds_up_no_other() {
    let (resolver, mut asked, _running) = by_hand(HOUR);
    let known: Vec<_> = (0..AT_ONCE * 2).map(|i| resolver.watch(&format!("name-{i}").into(), 80)).collect();
    let mut open = BTreeMap::new();
    while open.len() < AT_ONCE {
        open.extend(asked.recv().await);
    }
    // Only so many at once; each that is answered makes room for another one.
    let silent = open.pop_first().expect("the first");
    let mut answered = 0;
    while answered < known.len() - 1 {
        let (_, answer) = match open.pop_first() {
            Some(next) => next,
            None => asked.recv().await.expect("the next"),
        };
        answer.send(Ok(addresses(&[1]))).expect("it waits");
        answered += 1;
    }
    for resolved in &known {
        if resolved.load().is_empty() {
            continue;
        }
        resolved.looked_up().await;
    }
    assert!(asked.try_recv().is_err(), "nobody is asked for twice");
    // One that is new meanwhile does not wait for it either.
    let new = resolver.watch(&"new".into(), 80);
    let (name, answer) = asked.recv().await.expect("a question");
    assert_eq!(name, "new");
    answer.send(Ok(addresses(&[2]))).expect("it waits");
    new.looked_up().await;
    assert_eq!(*new.load(), addresses(&[2]));
    drop(silent);
}

#[tokio::test]
async fn answers_that_change_are_followed_and_an_outage_changes_nothing() {
    let (resolver, mut asked, _running) = by_hand(Duration::from_millis(1));
    let name = resolver.watch(&"shop.internal".into(), 80);
    let mut answer = async |found: Found| {
        let (_, answer) = asked.recv().await.expect("a question");
        answer.send(found).expect("it waits");
    };
    answer(Ok(addresses(&[2, 1, 2]))).await;
    resolver.changed().await;
    assert_eq!(*name.load(), addresses(&[1, 2]), "sorted, each once");
    answer(Ok(addresses(&[2, 3]))).await;
    resolver.changed().await;
    assert_eq!(*name.load(), addresses(&[2, 3]));
    for nothing in [Ok(Vec::new()), Err(io::ErrorKind::TimedOut.into()), Ok(addresses(&[3, 2]))] {
        answer(nothing).await;
        assert_eq!(*name.load(), addresses(&[2, 3]));
    }
    answer(Ok(addresses(&[4]))).await;
    resolver.changed().await;
    assert_eq!(*name.load(), addresses(&[4]));
}

#[tokio::test]
async fn a_first_look_up_in_vain_is_a_change() {
    let (resolver, mut asked, _running) = by_hand(HOUR);
    let name = resolver.watch(&"nowhere".into(), 80);
    assert!(!name.is_looked_up());
    drop(asked.recv().await);
    resolver.changed().await;
    assert!(name.is_looked_up() && name.load().is_empty());
}

#[tokio::test]
async fn a_name_that_nobody_holds_is_not_looked_up() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let resolver = Resolver::asking(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(addresses(&[1])) })
    });
    let kept = resolver.watch(&"kept".into(), 80);
    drop(resolver.watch(&"dropped".into(), 80));
    let same = resolver.watch(&"kept".into(), 80);
    assert!(Arc::ptr_eq(&kept, &same));
    let running = resolver.run(|| HOUR);
    tokio::select! {
        () = running => {}
        () = kept.looked_up() => {}
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
}
