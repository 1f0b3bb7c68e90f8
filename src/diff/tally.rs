//! Many comparisons counted: by route and place, with the noise beside them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::SystemTime;

use super::evidence::{Counts, Evidence, Gathering};
use super::report::{PlaceReport, RouteReport, SampleReport, Shares, Verdict};
use super::{Change, Comparison};
use crate::stats::{Alpha, Rate};

/// Most routes that are told apart; what comes to others is counted as `(others)`.
const MAX_ROUTES: usize = 256;
/// Most places of a route that are told apart.
const MAX_PLACES: usize = 256;
/// Most places that are told apart over all routes: with their samples they take some 3 MB at most.
const MAX_PLACES_IN_ALL: usize = 1_024;
/// Most samples of a place.
const MAX_SAMPLES: usize = 5;
/// The route that stands for all above the bound.
const OTHERS: &str = "(others)";
/// So many differences in a place are looked at one by one, later ones each time so many more have come.
const LOOKS: u64 = 64;

/// Which two answers were compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pair {
    /// One of the old version, one of the new.
    OldAndNew,
    /// Two of the old version: whatever differs there is noise.
    OldTwice,
}

/// Comparisons counted since it began.
#[derive(Debug, Clone)]
pub struct Tally {
    alpha: Alpha,
    /// Whether old is asked twice at times. Where it never is, nothing is known as noise and every difference counts.
    learns_noise: bool,
    routes: BTreeMap<String, Route>,
    /// Over all routes.
    places: usize,
}

#[derive(Debug, Clone, Default)]
struct Route {
    /// The how-manieth route this is, from 0.
    order: usize,
    /// With a difference, of so many: in any place of any kind.
    any: Counts,
    places: HashMap<String, Place>,
    /// Differences in places beyond those told apart.
    left_out: u64,
    bodies_left_out: u64,
}

#[derive(Debug, Clone)]
struct Place {
    /// The how-manieth place of its route this is, from 0: what its part of alpha comes from.
    order: usize,
    differed: u64,
    noise_differed: u64,
    changes: BTreeMap<Change, u64>,
    samples: VecDeque<SampleReport>,
    /// It was once clear, and so it stays: the bound holds over all looks together.
    clear: bool,
}

impl Tally {
    /// Nothing counted. A place is called different, though it is as noisy as between two answers of old, with
    /// probability `alpha` at most over all looks and all places of a route.
    #[must_use]
    pub fn new(alpha: Alpha, learns_noise: bool) -> Self {
        Self { alpha, learns_noise, routes: BTreeMap::new(), places: 0 }
    }

    /// Counts a comparison of two answers to a request of this route; what is to be made of the worst place in which
    /// they differ, by all that is known now.
    pub fn count(&mut self, route: &str, pair: Pair, comparison: Comparison, now: SystemTime) -> Verdict {
        let (alpha, learns_noise) = (self.alpha, self.learns_noise);
        let order = self.routes.len();
        let name = if self.routes.contains_key(route) || order < MAX_ROUTES { route } else { OTHERS };
        let route = self.routes.entry(name.to_owned()).or_insert_with(|| Route { order, ..Route::default() });
        let differs = u64::from(!comparison.differences.is_empty());
        match pair {
            Pair::OldAndNew => {
                route.any.compared += 1;
                route.any.differed += differs;
                route.bodies_left_out += u64::from(comparison.body_left_out);
            }
            Pair::OldTwice => {
                route.any.noise_compared += 1;
                route.any.noise_differed += differs;
            }
        }
        let mut worst = Verdict::Same;
        for difference in comparison.differences {
            let order = route.places.len();
            let is_full = order >= MAX_PLACES || self.places >= MAX_PLACES_IN_ALL;
            if is_full && !route.places.contains_key(&difference.place) {
                route.left_out += 1;
                worst = worst.min(Verdict::Undecided);
                continue;
            }
            let place = route.places.entry(difference.place).or_insert_with(|| {
                self.places += 1;
                Place::new(order)
            });
            match pair {
                Pair::OldTwice => place.noise_differed += 1,
                Pair::OldAndNew => {
                    place.differed += 1;
                    *place.changes.entry(difference.change).or_default() += 1;
                    if place.samples.len() == MAX_SAMPLES {
                        place.samples.pop_front();
                    }
                    let (at, change) = (milliseconds(now), difference.change);
                    let (old, new) = (difference.old, difference.new);
                    place.samples.push_back(SampleReport { at, change, old, new });
                    place.look(&route.any, alpha, learns_noise);
                }
            }
            worst = worst.min(place.verdict());
        }
        worst
    }

    /// What was counted, by route; the places that matter most first.
    #[must_use]
    pub fn report(&self) -> Vec<RouteReport> {
        self.routes.iter().map(|(name, route)| route.report(name, self.alpha)).collect()
    }

    /// How many places of a route there are of each verdict, by [`Verdict::ALL`].
    #[must_use]
    pub fn places(&self, route: &str) -> [u64; Verdict::ALL.len()] {
        let mut counts = [0; _];
        for place in self.routes.get(route).into_iter().flat_map(|route| route.places.values()) {
            counts[place.verdict() as usize] += 1;
        }
        counts
    }

    /// Whether new differs from old in more than `most` of the requests over and above noise, 0 to 1, in any one place.
    /// A place apart: where every answer carries a timestamp, each pair differs somehow, of old as of new, and what else
    /// is wrong would not show in a count of pairs that differ.
    ///
    /// Wrong with probability `alpha` at most, over all places and looks: half of it is for the differences in any place,
    /// half for the places, routes and places coming up one by one.
    #[must_use]
    pub fn evidence(&self, most: f64, alpha: Alpha) -> Evidence {
        let any = self.routes.values().fold(Counts::default(), |sum, route| sum.plus(&route.any));
        let mut gathering = Gathering::new(any, self.learns_noise, most);
        gathering.add(None, &any, alpha.split(2));
        for (name, route) in &self.routes {
            let of_route = in_turn(alpha.split(2), route.order);
            for (place, found) in &route.places {
                gathering.add(Some((name, place)), &found.counts(&route.any), in_turn(of_route, found.order));
            }
        }
        gathering.finish()
    }

    /// Whether anything is called different.
    #[must_use]
    pub fn finds_differences(&self) -> bool {
        self.routes.values().any(|route| route.places.values().any(|place| place.clear))
    }
}

/// The part of alpha of the how-manieth of things that come up one by one: 1/(1·2) + 1/(2·3) + … is 1.
fn in_turn(alpha: Alpha, order: usize) -> Alpha {
    alpha.split((order + 1) * (order + 2))
}

fn milliseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Route {
    fn report(&self, name: &str, alpha: Alpha) -> RouteReport {
        let mut places: Vec<PlaceReport> =
            self.places.iter().map(|(name, place)| place.report(name, &self.any, alpha)).collect();
        places.sort_by(|a, b| {
            let rank = |place: &PlaceReport| (place.verdict, std::cmp::Reverse(place.differed));
            rank(a).cmp(&rank(b)).then_with(|| a.place.cmp(&b.place))
        });
        RouteReport {
            route: name.to_owned(),
            compared: self.any.compared,
            differed: self.any.differed,
            noise_compared: self.any.noise_compared,
            noise_differed: self.any.noise_differed,
            bodies_left_out: self.bodies_left_out,
            places_left_out: self.left_out,
            verdict: places.first().map_or(Verdict::Same, |place| place.verdict),
            places,
        }
    }
}

impl Place {
    fn new(order: usize) -> Self {
        Self { order, differed: 0, noise_differed: 0, changes: BTreeMap::new(), samples: VecDeque::new(), clear: false }
    }

    fn verdict(&self) -> Verdict {
        match self {
            Self { clear: true, .. } => Verdict::Different,
            Self { noise_differed: 0, .. } => Verdict::Undecided,
            _ => Verdict::Noise,
        }
    }

    /// One more difference was counted. The bound holds over all looks, so that it may be looked at whenever one likes.
    fn look(&mut self, any: &Counts, alpha: Alpha, learns_noise: bool) {
        if self.clear || (self.differed > LOOKS && !self.differed.is_multiple_of(LOOKS / 4)) {
            return;
        }
        let counts = self.counts(any);
        self.clear = !learns_noise || counts.noise().is_exceeded_by(&counts.rate(), 0.0, in_turn(alpha, self.order));
    }

    fn counts(&self, any: &Counts) -> Counts {
        Counts { differed: self.differed, noise_differed: self.noise_differed, ..*any }
    }

    fn report(&self, name: &str, any: &Counts, alpha: Alpha) -> PlaceReport {
        let (counts, alpha) = (self.counts(any), in_turn(alpha, self.order));
        let shares = |rate: Rate, n: u64| {
            let interval = rate.interval(alpha);
            Shares { estimate: rate.estimate(), low: interval.low, high: interval.high, n }
        };
        PlaceReport {
            place: name.to_owned(),
            verdict: self.verdict(),
            differed: self.differed,
            noise_differed: self.noise_differed,
            rate: shares(counts.rate(), any.compared),
            noise: shares(counts.noise(), any.noise_compared),
            changes: self.changes.clone(),
            samples: self.samples.iter().cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Difference, Finding};
    use super::*;

    fn differing(places: &[&str]) -> Comparison {
        let difference = |place: &&str| Difference {
            place: (*place).to_owned(),
            change: Change::Value,
            old: "1".to_owned(),
            new: "2".to_owned(),
        };
        Comparison { differences: places.iter().map(difference).collect(), body_left_out: false }
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    fn tally() -> Tally {
        Tally::new(Alpha::DEFAULT, true)
    }

    #[test]
    fn a_place_is_different_once_that_is_clearly_more_than_noise() {
        let mut tally = tally();
        for number in 0..200 {
            tally.count("r", Pair::OldAndNew, differing(&["$.at", "$.total"]), now());
            if number % 10 == 0 {
                tally.count("r", Pair::OldTwice, differing(&["$.at"]), now());
            }
        }
        let [route] = &tally.report()[..] else { panic!("one route") };
        let verdicts: Vec<_> = route.places.iter().map(|place| (place.place.as_str(), place.verdict)).collect();
        assert_eq!(verdicts, [("$.total", Verdict::Different), ("$.at", Verdict::Noise)]);
        assert_eq!((route.compared, route.noise_compared, route.verdict), (200, 20, Verdict::Different));
        assert_eq!(route.places[0].samples.len(), MAX_SAMPLES);
    }

    #[test]
    fn without_evidence_of_noise_nothing_is_decided_unless_noise_is_not_learned() {
        let mut learns = tally();
        let mut does_not = Tally::new(Alpha::DEFAULT, false);
        for _ in 0..100 {
            learns.count("r", Pair::OldAndNew, differing(&["status"]), now());
            does_not.count("r", Pair::OldAndNew, differing(&["status"]), now());
        }
        assert_eq!(learns.report()[0].verdict, Verdict::Undecided);
        assert_eq!(learns.evidence(0.001, Alpha::DEFAULT).finding, Finding::Unknown);
        assert_eq!(does_not.report()[0].verdict, Verdict::Different);
        assert_eq!(does_not.evidence(0.001, Alpha::DEFAULT).finding, Finding::Exceeds);
    }

    #[test]
    fn what_a_service_can_make_up_is_bounded() {
        let mut tally = tally();
        for number in 0..1_000 {
            tally.count(&format!("route {number}"), Pair::OldAndNew, differing(&["status"]), now());
            tally.count("one", Pair::OldAndNew, differing(&[&format!("$.key{number}")]), now());
        }
        let report = tally.report();
        assert!(report.len() <= MAX_ROUTES + 1, "{}", report.len());
        assert_eq!(report.iter().map(|route| route.compared).sum::<u64>(), 2_000);
        assert!(report.iter().map(|route| route.places.len()).sum::<usize>() <= MAX_PLACES_IN_ALL);
        let one = report.iter().find(|route| route.route == "one").expect("it came early");
        assert_eq!(one.places.len(), MAX_PLACES);
        assert_eq!(one.places_left_out, 1_000 - MAX_PLACES as u64);
    }

    #[test]
    fn noise_everywhere_does_not_hide_what_is_wrong_from_a_gate() {
        let mut tally = tally();
        for number in 0..600 {
            // Each pair differs, of old as of new: in its time.
            tally.count("r", Pair::OldAndNew, differing(&["$.at", "$.total"]), now());
            if number % 5 == 0 {
                tally.count("r", Pair::OldTwice, differing(&["$.at"]), now());
            }
        }
        let found = tally.evidence(0.01, Alpha::DEFAULT);
        assert_eq!(found.finding, Finding::Exceeds);
        let worst = found.worst.expect("a place");
        assert_eq!((worst.route.as_deref(), worst.place.as_deref()), (Some("r"), Some("$.total")));
        assert!(worst.excess.low > 0.9, "{worst:?}");
    }

    #[test]
    fn a_gate_holds_once_every_place_is_shown_to_be_within_it() {
        let mut tally = tally();
        let mut holds_from = None;
        for number in 0..20_000 {
            let places: &[&str] = if number % 10 == 0 { &["$.at"] } else { &[] };
            tally.count("r", Pair::OldAndNew, differing(places), now());
            tally.count("r", Pair::OldTwice, differing(places), now());
            if number % 100 == 0 && tally.evidence(0.05, Alpha::DEFAULT).finding == Finding::Within {
                holds_from.get_or_insert(number);
            }
        }
        let from = holds_from.expect("within in the end");
        assert!((500..5_000).contains(&from), "{from}");
    }

    #[test]
    fn a_pair_is_as_bad_as_its_worst_place() {
        let mut tally = tally();
        assert_eq!(tally.count("r", Pair::OldAndNew, differing(&[]), now()), Verdict::Same);
        assert_eq!(tally.count("r", Pair::OldAndNew, differing(&["$.a"]), now()), Verdict::Undecided);
        for _ in 0..100 {
            tally.count("r", Pair::OldTwice, differing(&["$.b"]), now());
            tally.count("r", Pair::OldAndNew, differing(&["$.a"]), now());
        }
        assert_eq!(tally.count("r", Pair::OldAndNew, differing(&["$.b"]), now()), Verdict::Noise);
        assert_eq!(tally.count("r", Pair::OldAndNew, differing(&["$.a", "$.b"]), now()), Verdict::Different);
        assert_eq!(tally.places("r"), [1, 0, 1, 0]);
    }
}
