//! What a gate is told: whether new differs from old by more than it may.

use super::report::Shares;
use crate::stats::{Alpha, Rate};

/// Of pairs of old and new, and of pairs of old alone: how many there are, and how many differ.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) compared: u64,
    pub(super) differed: u64,
    pub(super) noise_compared: u64,
    pub(super) noise_differed: u64,
}

/// What can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// In some place they differ more often than allowed, over and above noise.
    Exceeds,
    /// Shown to be within what is allowed, everywhere.
    Within,
    /// Not enough is known.
    Unknown,
}

/// What a gate is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// What can be said.
    pub finding: Finding,
    /// Where they differ most, over and above noise; `None` where nothing was compared.
    pub worst: Option<Worst>,
    /// Pairs of old and new compared.
    pub compared: u64,
    /// Pairs of old alone compared.
    pub noise_compared: u64,
}

/// Where answers differ most.
#[derive(Debug, Clone, PartialEq)]
pub struct Worst {
    /// The route; `None`: over all of them.
    pub route: Option<String>,
    /// The place; `None`: any.
    pub place: Option<String>,
    /// How often old differs from itself there.
    pub noise: Shares,
    /// How often new differs from old.
    pub rate: Shares,
    /// By how much more often that is, −1 to 1.
    pub excess: Shares,
}

impl Counts {
    pub(super) fn plus(self, other: &Self) -> Self {
        Self {
            compared: self.compared + other.compared,
            differed: self.differed + other.differed,
            noise_compared: self.noise_compared + other.noise_compared,
            noise_differed: self.noise_differed + other.noise_differed,
        }
    }

    pub(super) fn rate(&self) -> Rate {
        Rate::new(self.differed, self.compared)
    }

    pub(super) fn noise(&self) -> Rate {
        Rate::new(self.noise_differed, self.noise_compared)
    }

    fn estimate(&self) -> f64 {
        self.rate().estimate().unwrap_or(0.0) - self.noise().estimate().unwrap_or(0.0)
    }
}

/// Evidence while it is gathered.
pub(super) struct Gathering<'a> {
    any: Counts,
    learns_noise: bool,
    most: f64,
    exceeds: bool,
    within: bool,
    worst: Option<Candidate<'a>>,
}

/// Where answers may differ most.
struct Candidate<'a> {
    exceeds: bool,
    /// By how much more often than noise, as far as is known.
    estimate: f64,
    /// Route and place; `None`: any place of any route.
    place: Option<(&'a str, &'a str)>,
    counts: Counts,
    alpha: Alpha,
}

impl<'a> Gathering<'a> {
    pub(super) fn new(any: Counts, learns_noise: bool, most: f64) -> Self {
        Self { any, learns_noise, most, exceeds: false, within: any.compared > 0, worst: None }
    }

    /// What is known of one place of a route, or of any place of all.
    pub(super) fn add(&mut self, place: Option<(&'a str, &'a str)>, counts: &Counts, alpha: Alpha) {
        let (rate, noise) = (counts.rate(), counts.noise());
        let (exceeds, within) = if self.learns_noise {
            let exceeds = noise.is_exceeded_by(&rate, self.most, alpha);
            // Between two places with the same verdict on them nothing is left to find out.
            (exceeds, self.within && !exceeds && noise.is_kept_by(&rate, self.most, alpha))
        } else {
            let interval = rate.interval(alpha);
            (interval.low > self.most, interval.high <= self.most)
        };
        self.exceeds |= exceeds;
        self.within &= within;
        let candidate = Candidate { exceeds, estimate: counts.estimate(), place, counts: *counts, alpha };
        if self.any.compared > 0 && self.worst.as_ref().is_none_or(|worst| candidate.is_worse_than(worst)) {
            self.worst = Some(candidate);
        }
    }

    pub(super) fn finish(self) -> Evidence {
        let finding = match (self.exceeds, self.within) {
            (true, _) => Finding::Exceeds,
            (false, true) => Finding::Within,
            (false, false) => Finding::Unknown,
        };
        let learns_noise = self.learns_noise;
        let worst = self.worst.map(|Candidate { estimate, place, counts, alpha, .. }| {
            let (rate, noise) = (counts.rate(), counts.noise());
            let shares = |rate: &Rate, n: u64| {
                let interval = rate.interval(alpha);
                Shares { estimate: rate.estimate(), low: interval.low, high: interval.high, n }
            };
            let excess = if learns_noise { noise.difference(&rate, alpha) } else { rate.interval(alpha) };
            Worst {
                route: place.map(|(route, _)| route.to_owned()),
                place: place.map(|(_, place)| place.to_owned()),
                noise: shares(&noise, counts.noise_compared),
                rate: shares(&rate, counts.compared),
                excess: Shares { estimate: Some(estimate), low: excess.low, high: excess.high, n: counts.compared },
            }
        });
        Evidence { finding, worst, compared: self.any.compared, noise_compared: self.any.noise_compared }
    }
}

impl Candidate<'_> {
    /// What holds for one place says more than what holds for any.
    fn is_worse_than(&self, other: &Self) -> bool {
        let rank = |candidate: &Self| (candidate.exceeds, candidate.estimate, candidate.place.is_some());
        rank(self) > rank(other)
    }
}
