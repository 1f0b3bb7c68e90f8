//! Keys examined while clients write them: two model stores, a model journal, and every interleaving that seeds make.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use fastrand::Rng;
use http::HeaderMap;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::*;

/// Two stores, and a turn for each key.
struct World {
    rng: RefCell<Rng>,
    stores: [RefCell<BTreeMap<String, u64>>; 2],
    turns: BTreeMap<String, std::sync::Arc<Mutex<()>>>,
    right: Cell<Side>,
    /// One in so many requests fails; 0: none.
    failing: u32,
}

const KEYS: u64 = 8;

fn index(side: Side) -> usize {
    match side {
        Side::From => 0,
        Side::To => 1,
    }
}

fn key(number: u64) -> String {
    format!("key {number}")
}

impl World {
    fn new(seed: u64, failing: u32) -> Self {
        let values: BTreeMap<_, _> = (0..KEYS).map(|n| (key(n), n)).collect();
        Self {
            rng: RefCell::new(Rng::with_seed(seed)),
            stores: [RefCell::new(values.clone()), RefCell::new(values)],
            turns: (0..KEYS).map(|n| (key(n), std::sync::Arc::default())).collect(),
            right: Cell::new(Side::From),
            failing,
        }
    }

    /// Time passes, for others to do something.
    async fn pass(&self) {
        let pauses = self.rng.borrow_mut().u32(0..6);
        for _ in 0..pauses {
            tokio::task::yield_now().await;
        }
    }

    async fn request(&self) -> Result<(), String> {
        self.pass().await;
        let fails = self.failing > 0 && self.rng.borrow_mut().u32(0..self.failing) == 0;
        if fails { Err("refused".to_owned()) } else { Ok(()) }
    }

    /// As the proxy writes to both: one side, then the other, in the key's turn.
    async fn client_writes(&self, key: &str, value: Option<u64>) {
        let _turn = std::sync::Arc::clone(&self.turns[key]).lock_owned().await;
        for side in [self.right.get(), self.right.get().other()] {
            self.pass().await;
            let mut store = self.stores[index(side)].borrow_mut();
            match value {
                Some(value) => store.insert(key.to_owned(), value),
                None => store.remove(key),
            };
        }
    }

    fn is_equal(&self) -> bool {
        self.stores[0] == self.stores[1]
    }
}

impl Sides for World {
    type Turn = OwnedMutexGuard<()>;

    fn authoritative(&self, _key: &str) -> Side {
        self.right.get()
    }

    async fn read(&self, side: Side, key: &str) -> Result<Reading, String> {
        self.request().await?;
        let found = self.stores[index(side)].borrow().get(key).copied();
        self.pass().await;
        let entity = |value: u64| Entity { headers: HeaderMap::new(), body: value.to_string().into() };
        Ok(found.map_or(Reading::Absent, |value| Reading::Entity(entity(value))))
    }

    async fn write(&self, side: Side, key: &str, entity: &Entity) -> Result<(), String> {
        self.request().await?;
        let value = std::str::from_utf8(&entity.body).ok().and_then(|text| text.parse().ok()).ok_or("no number")?;
        self.stores[index(side)].borrow_mut().insert(key.to_owned(), value);
        Ok(())
    }

    async fn remove(&self, side: Side, key: &str) -> Result<(), String> {
        self.request().await?;
        self.stores[index(side)].borrow_mut().remove(key);
        Ok(())
    }

    fn repair(&self) -> Repair {
        Repair::CopyAlike
    }

    fn saw(&self, _differences: &[Difference], _written: bool) {}

    fn leave(&self) -> Leave {
        Leave::Granted(None)
    }

    async fn resend(&self, _key: &str) -> Result<(), String> {
        unreachable!("it copies")
    }

    async fn turn(&self, key: &str) -> Option<Self::Turn> {
        // Where there is much to do it is not always had.
        if self.rng.borrow_mut().u32(0..10) == 0 {
            return None;
        }
        Some(std::sync::Arc::clone(&self.turns[key]).lock_owned().await)
    }

    fn lags(&self, _key: &str) -> bool {
        false
    }

    fn is_same(&self, _turn: Self::Turn) {}
}

const LOOK: Wanted = Wanted { repair: false, in_turn: false };
const REPAIR: Wanted = Wanted { repair: true, in_turn: false };

/// Does it on this thread, with tasks that need not be sent anywhere.
fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, future)
}

fn writers(world: &Rc<World>, seed: u64) -> Vec<tokio::task::JoinHandle<()>> {
    (0..3)
        .map(|writer| {
            let (world, mut rng) = (Rc::clone(world), Rng::with_seed(seed * 10 + writer));
            tokio::task::spawn_local(async move {
                for _ in 0..40 {
                    let value = rng.bool().then(|| rng.u64(0..1_000));
                    world.client_writes(&key(rng.u64(0..KEYS)), value).await;
                }
            })
        })
        .collect()
}

#[test]
fn keys_that_are_being_written_are_never_called_different() {
    run(async {
        for seed in 0..100 {
            let world = Rc::new(World::new(seed, 0));
            let writers = writers(&world, seed);
            let (mut agreed, mut n) = (0, 0);
            while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
                match examine(&*world, &Rules::default(), &key(n % KEYS), LOOK).await {
                    Outcome::Agreed => agreed += 1,
                    Outcome::Busy => {}
                    other => panic!("seed {seed}: {other:?}"),
                }
                n += 1;
            }
            assert!(agreed > 0 && world.is_equal(), "seed {seed}");
        }
    });
}

#[test]
fn what_was_damaged_is_mended_while_clients_write_and_nothing_else_is_touched() {
    run(async {
        for seed in 0..100 {
            let world = Rc::new(World::new(seed, 7));
            world.right.set(if seed % 2 == 0 { Side::From } else { Side::To });
            let damaged = index(world.right.get().other());
            let mut rng = Rng::with_seed(seed);
            for n in 0..KEYS {
                let mut store = world.stores[damaged].borrow_mut();
                match rng.u32(0..3) {
                    0 => drop(store.remove(&key(n))),
                    1 => drop(store.insert(key(n), 5_000 + n)),
                    _ => {}
                }
            }
            let writers = writers(&world, seed);
            // Refused at times, as upstreams do: asked again, as runs do. And as long as anybody writes, so that a repair out
            // of its turn would be the last word.
            let mut first = true;
            while first || !writers.iter().all(tokio::task::JoinHandle::is_finished) {
                for n in 0..KEYS {
                    loop {
                        let outcome = examine(&*world, &Rules::default(), &key(n), REPAIR).await;
                        if !first || matches!(outcome, Outcome::Agreed | Outcome::Disagreed(_, Mended::Done)) {
                            break;
                        }
                    }
                }
                first = false;
            }
            for writer in writers {
                writer.await.unwrap();
            }
            assert!(world.is_equal(), "seed {seed}: {:?}", world.stores);
        }
    });
}

#[test]
fn a_side_that_takes_a_repair_and_does_not_keep_it_is_told_of() {
    /// One whose other side says what it always said.
    struct Stubborn;
    impl Sides for Stubborn {
        type Turn = ();
        fn authoritative(&self, _key: &str) -> Side {
            Side::To
        }
        async fn read(&self, side: Side, _key: &str) -> Result<Reading, String> {
            let body = if side == Side::To { r#"{"name":"Ada"}"# } else { r#"{"name":"Eve"}"# };
            Ok(Reading::Entity(Entity { headers: HeaderMap::new(), body: body.into() }))
        }
        async fn write(&self, side: Side, _key: &str, entity: &Entity) -> Result<(), String> {
            assert_eq!(
                (side, &entity.body[..]),
                (Side::From, &br#"{"name":"Ada"}"#[..]),
                "the right one, to the other"
            );
            Ok(())
        }
        async fn remove(&self, _side: Side, _key: &str) -> Result<(), String> {
            unreachable!("it is there")
        }
        fn repair(&self) -> Repair {
            Repair::CopyAlike
        }
        fn saw(&self, _differences: &[Difference], _written: bool) {}
        fn leave(&self) -> Leave {
            Leave::Granted(None)
        }
        async fn resend(&self, _key: &str) -> Result<(), String> {
            unreachable!("it copies")
        }
        async fn turn(&self, _key: &str) -> Option<()> {
            Some(())
        }
        fn lags(&self, _key: &str) -> bool {
            true
        }
        fn is_same(&self, (): ()) {
            unreachable!("they are not")
        }
    }
    assert_eq!(run(examine(&Stubborn, &Rules::default(), "1", LOOK)), Outcome::Busy, "it may yet get there");
    let outcome = run(examine(&Stubborn, &Rules::default(), "1", REPAIR));
    let Outcome::Disagreed(found, Mended::Not(why)) = outcome else { panic!("{outcome:?}") };
    assert_eq!((found.kind, why.as_str()), (Kind::Differs, "it was taken, and still differs at $.name"));
}
