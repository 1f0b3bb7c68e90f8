//! Many comparisons counted: by route and place, with the noise beside them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::SystemTime;

use super::report::{PlaceReport, RouteReport, SampleReport, Shares, Verdict};
use super::{Change, Comparison};
use crate::stats::{Alpha, Rate};

/// Most routes that are told apart; what comes to others is counted as `(others)`.
const MAX_ROUTES: usize = 256;
/// Most places of a route that are told apart.
const MAX_PLACES: usize = 256;
/// Most samples of a place.
const MAX_SAMPLES: usize = 5;
/// The route that stands for all above the bound.
const OTHERS: &str = "(others)";

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
}

#[derive(Debug, Clone, Default)]
struct Route {
    /// With a difference, of so many: in any place of any kind.
    any: Counts,
    /// With a difference in a place that is called different.
    places: HashMap<String, Place>,
    /// Differences in places beyond those told apart.
    left_out: u64,
    bodies_left_out: u64,
}

/// Of old-and-new pairs and of old-twice pairs.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    compared: u64,
    differed: u64,
    noise_compared: u64,
    noise_differed: u64,
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
        Self { alpha, learns_noise, routes: BTreeMap::new() }
    }

    /// Counts a comparison of two answers to a request of this route.
    pub fn count(&mut self, route: &str, pair: Pair, comparison: Comparison, now: SystemTime) {
        let name = if self.routes.contains_key(route) || self.routes.len() < MAX_ROUTES { route } else { OTHERS };
        let route = self.routes.entry(name.to_owned()).or_default();
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
        for difference in comparison.differences {
            let order = route.places.len();
            if order >= MAX_PLACES && !route.places.contains_key(&difference.place) {
                route.left_out += 1;
                continue;
            }
            let place = route.places.entry(difference.place).or_insert_with(|| Place::new(order));
            match pair {
                Pair::OldTwice => place.noise_differed += 1,
                Pair::OldAndNew => {
                    place.differed += 1;
                    *place.changes.entry(difference.change).or_default() += 1;
                    if place.samples.len() == MAX_SAMPLES {
                        place.samples.pop_front();
                    }
                    let (change, old, new) = (difference.change.label(), difference.old, difference.new);
                    place.samples.push_back(SampleReport { at: now, change, old, new });
                    place.look(&route.any, self.alpha, self.learns_noise);
                }
            }
        }
    }

    /// What was counted, by route; the places that matter most first.
    #[must_use]
    pub fn report(&self) -> Vec<RouteReport> {
        self.routes.iter().map(|(name, route)| route.report(name, self.alpha)).collect()
    }

    /// The share of pairs of old and new that differ, over all routes, less what is noise: from how much to how much it
    /// may be. What a gate of a rollout looks at.
    #[must_use]
    pub fn excess(&self) -> Shares {
        let any = self.routes.values().fold(Counts::default(), |sum, route| Counts {
            compared: sum.compared + route.any.compared,
            differed: sum.differed + route.any.differed,
            noise_compared: sum.noise_compared + route.any.noise_compared,
            noise_differed: sum.noise_differed + route.any.noise_differed,
        });
        any.excess(self.alpha, self.learns_noise)
    }
}

impl Counts {
    fn rate(&self) -> Rate {
        Rate::new(self.differed, self.compared)
    }

    fn noise(&self) -> Rate {
        Rate::new(self.noise_differed, self.noise_compared)
    }

    fn excess(&self, alpha: Alpha, learns_noise: bool) -> Shares {
        let (rate, noise) = (self.rate(), self.noise());
        let interval = if learns_noise { noise.difference(&rate, alpha) } else { rate.interval(alpha) };
        let estimate = rate.estimate().map(|rate| rate - noise.estimate().unwrap_or(0.0));
        Shares { estimate, low: interval.low, high: interval.high, n: self.compared }
    }
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

    /// Its part of alpha: places come up one by one, and 1/(1·2) + 1/(2·3) + … is 1.
    fn alpha(&self, alpha: Alpha) -> Alpha {
        alpha.split((self.order + 1) * (self.order + 2))
    }

    fn look(&mut self, any: &Counts, alpha: Alpha, learns_noise: bool) {
        self.clear = self.clear
            || !learns_noise
            || self.noise(any).is_exceeded_by(&Rate::new(self.differed, any.compared), 0.0, self.alpha(alpha));
    }

    fn noise(&self, any: &Counts) -> Rate {
        Rate::new(self.noise_differed, any.noise_compared)
    }

    fn report(&self, name: &str, any: &Counts, alpha: Alpha) -> PlaceReport {
        let alpha = self.alpha(alpha);
        let verdict = match self {
            Self { clear: true, .. } => Verdict::Different,
            Self { noise_differed: 0, .. } => Verdict::Undecided,
            _ => Verdict::Noise,
        };
        let shares = |rate: Rate, n: u64| {
            let interval = rate.interval(alpha);
            Shares { estimate: rate.estimate(), low: interval.low, high: interval.high, n }
        };
        PlaceReport {
            place: name.to_owned(),
            verdict,
            differed: self.differed,
            noise_differed: self.noise_differed,
            rate: shares(Rate::new(self.differed, any.compared), any.compared),
            noise: shares(self.noise(any), any.noise_compared),
            changes: self.changes.iter().map(|(change, count)| (change.label(), *count)).collect(),
            samples: self.samples.iter().cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Difference;
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
        assert_eq!((learns.excess().low, learns.excess().high), (-1.0, 1.0));
        assert_eq!(does_not.report()[0].verdict, Verdict::Different);
        assert!(does_not.excess().low > 0.9);
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
        let one = report.iter().find(|route| route.route == "one").expect("it came early");
        assert_eq!(one.places.len(), MAX_PLACES);
        assert_eq!(one.places_left_out, 1_000 - MAX_PLACES as u64);
    }
}
