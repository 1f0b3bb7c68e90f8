//! Whole lives of a journal under crashes, deaths of both versions and failing disks: the real book, writer and redb, with
//! clocks, clients, versions and a disk that are made up. `SERIN_JOURNAL_SEEDS=200` runs as many.

mod disk;
mod side;
mod world;

use world::{Facts, World};

/// Writes that are begun in each life, at least.
const WRITES: u32 = 500;

#[test]
fn whatever_happens_both_sides_end_with_the_same_writes_in_the_same_order() {
    let seeds = std::env::var("SERIN_JOURNAL_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(10);
    let mut sum = Facts::default();
    for seed in 0..seeds {
        let mut world = World::new(seed);
        while world.facts.begun < WRITES {
            world.step();
        }
        world.heal();
        world.check();
        sum.add(&world.facts);
    }
    println!("{seeds} lives: {sum:?}");
    // It has seen what it is about.
    let Facts { crashes, acknowledged, refused, resent, delivered_again, alone, begun: _, rewrites } = sum;
    for (what, count) in [
        ("crashes", crashes),
        ("acknowledged", acknowledged),
        ("refused", refused),
        ("resent", resent),
        ("delivered again", delivered_again),
        ("alone", alone),
        ("rewrites", rewrites),
    ] {
        assert!(count > 0, "no life had any {what}: {sum:?}");
    }
}
