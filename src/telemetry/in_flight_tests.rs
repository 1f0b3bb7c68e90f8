use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    /// Time passes; a request begins so long ago (nearly always now).
    Begin(u64, u64),
    /// The request at this place among those in flight ends.
    End(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let pause = (0u32..40, any::<u64>()).prop_map(|(bits, fill)| fill & ((1 << bits) - 1));
    let late = prop_oneof![9 => Just(0u64), 1 => 0u64..1 << 34];
    prop_oneof![3 => (pause, late).prop_map(|(pause, late)| Step::Begin(pause, late)), 2 => any::<usize>().prop_map(Step::End)]
}

proptest! {
    #[test]
    fn every_request_in_flight_is_counted_once_within_the_bounds_of_its_group(steps in vec(step(), 0..400)) {
        let (table, mut now, mut flying) = (InFlight::default(), 0u64, Vec::new());
        for step in steps {
            match step {
                Step::Begin(pause, late) => {
                    now += pause;
                    let began = now.saturating_sub(late);
                    flying.push((began, table.enter(began)));
                }
                Step::End(place) if !flying.is_empty() => table.leave(flying.swap_remove(place % flying.len()).1),
                Step::End(_) => {}
            }
            let mut groups = Vec::new();
            table.read(&mut groups);
            prop_assert_eq!(groups.iter().map(|group| group.count).sum::<u64>(), flying.len() as u64);
            // Sorted by their beginnings, each group takes those next in line: bounds that hold for all orders.
            let mut earliest: Vec<u64> = spread(&groups, |group| group.earliest_nanos);
            let mut latest: Vec<u64> = spread(&groups, |group| group.latest_nanos);
            let mut began: Vec<u64> = flying.iter().map(|(began, _)| *began).collect();
            for list in [&mut earliest, &mut latest, &mut began] {
                list.sort_unstable();
            }
            for ((earliest, latest), began) in earliest.iter().zip(&latest).zip(&began) {
                prop_assert!(earliest <= began && began <= latest, "{earliest} {began} {latest}");
            }
        }
    }

    /// What began on time is known to a quarter of its age, or to a millisecond, for as long as 275 seconds.
    #[test]
    fn an_age_is_never_overstated_and_at_most_a_quarter_short(pauses in vec(0u64..1 << 32, 1..100)) {
        let (table, mut now) = (InFlight::default(), 0);
        let mut began = Vec::new();
        for pause in pauses {
            now += pause;
            let _ = table.enter(now);
            began.push(now);
            let mut groups = Vec::new();
            table.read(&mut groups);
            let mut ages = spread(&groups, |group| now.saturating_sub(group.latest_nanos));
            ages.sort_unstable_by(|a, b| b.cmp(a));
            for (age, began) in ages.into_iter().zip(&began) {
                let truth = now - began;
                prop_assert!(age <= truth);
                prop_assert!(truth > 270_000_000_000 || truth - age <= (truth / 4).max(1 << FIRST_BITS), "{age} of {truth}");
            }
        }
    }
}

fn spread(groups: &[BeganTogether], of: impl Fn(&BeganTogether) -> u64) -> Vec<u64> {
    groups.iter().flat_map(|group| std::iter::repeat_n(of(group), group.count as usize)).collect()
}

#[test]
fn a_reader_beside_the_writer_never_counts_more_than_are_in_flight() {
    let table = InFlight::default();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut flying = std::collections::VecDeque::new();
            for n in 0..200_000u64 {
                flying.push_back(table.enter(n << 17));
                if flying.len() > 300 {
                    table.leave(flying.pop_front().unwrap());
                }
            }
        });
        while !writer.is_finished() {
            let mut groups = Vec::new();
            table.read(&mut groups);
            // It reads slot after slot, so what moves on behind it and what begins before it add up, but no more.
            let most: u64 = groups.iter().map(|group| group.count).sum();
            assert!(most <= 301 + 64 * 8, "{most}");
        }
    });
    let mut groups = Vec::new();
    table.read(&mut groups);
    assert_eq!(groups.iter().map(|group| group.count).sum::<u64>(), 300);
}
