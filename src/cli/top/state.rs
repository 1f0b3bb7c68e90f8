//! What is known of a running serin, and what whoever looks wants to see of it.

use std::collections::{BTreeMap, VecDeque};

use super::keys::Key;
use crate::admin::ServicesView;
use crate::ledger::Entry;

/// How far back lines over time reach, in milliseconds.
pub(super) const MINUTE: u64 = 60_000;

/// What one version did in about a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    /// When it ended, in milliseconds since 1970 by serin's clock.
    pub(super) at: u64,
    /// How long it was.
    pub(super) seconds: f64,
    pub(super) requests: f64,
    pub(super) failures: f64,
    /// In seconds; `None`: no request was answered.
    pub(super) p99: Option<f64>,
}

/// The last minute of a service, by version.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Minute {
    /// When the newest point ended.
    pub(super) newest: u64,
    pub(super) versions: BTreeMap<String, VecDeque<Point>>,
}

impl Minute {
    /// A value for each of `cells` equal parts of the minute: the most `value` of the points in it. `None` where there is no
    /// point, or none with a value.
    pub(super) fn cells(&self, version: &str, cells: usize, value: impl Fn(&Point) -> Option<f64>) -> Vec<Option<f64>> {
        let mut found = vec![None; cells];
        for point in self.versions.get(version).into_iter().flatten() {
            let age = self.newest.saturating_sub(point.at);
            if let (true, Some(value)) = (age < MINUTE, value(point)) {
                let cell = cells - 1 - (age as usize * cells / MINUTE as usize);
                found[cell] = Some(found[cell].map_or(value, |most: f64| most.max(value)));
            }
        }
        found
    }

    /// Forgets what is older than a minute, and versions of which nothing is left.
    pub(super) fn trim(&mut self) {
        for points in self.versions.values_mut() {
            while points.front().is_some_and(|point| self.newest.saturating_sub(point.at) >= MINUTE) {
                points.pop_front();
            }
        }
        self.versions.retain(|_, points| !points.is_empty());
    }
}

/// What serin said at a moment.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    /// When, in milliseconds since 1970 by the clock here.
    pub(super) at: u64,
    pub(super) state: ServicesView,
    /// By service, of those that were asked for.
    pub(super) minutes: BTreeMap<String, Minute>,
    /// The last entries of the ledger, the newest first.
    pub(super) changes: Vec<Entry>,
}

/// Since when there is no answer, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lost {
    /// In milliseconds.
    pub(super) for_ms: u64,
    pub(super) why: String,
}

/// All that a frame is made from.
#[derive(Debug, Clone)]
pub(super) struct Screen {
    /// Where serin is asked.
    pub(super) admin: String,
    /// What is shown.
    pub(super) snapshot: Snapshot,
    pub(super) lost: Option<Lost>,
    /// What is shown stays, whatever serin says meanwhile.
    pub(super) frozen: bool,
    /// The one service that is shown. `None`: all.
    pub(super) focus: Option<String>,
    /// There is a keyboard.
    pub(super) keys: bool,
}

/// To which neighbour.
#[derive(Debug, Clone, Copy)]
enum Step {
    Back,
    On,
}

impl Screen {
    /// What serin says now.
    pub(super) fn tell(&mut self, snapshot: Snapshot) {
        self.lost = None;
        if !self.frozen {
            self.snapshot = snapshot;
        }
    }

    /// Does what a key asks for; whether to go on.
    pub(super) fn press(&mut self, key: Key) -> bool {
        match key {
            Key::Quit => return false,
            Key::Freeze => self.frozen = !self.frozen,
            Key::Up => self.step(Step::Back),
            Key::Down => self.step(Step::On),
            Key::Number(0) => self.focus = None,
            Key::Number(number) => {
                if let Some(service) = self.snapshot.state.services.get(number - 1) {
                    self.focus = Some(service.name.clone());
                }
            }
        }
        true
    }

    /// The place of the one service that is shown, where it is there.
    pub(super) fn focused(&self) -> Option<usize> {
        let name = self.focus.as_ref()?;
        self.snapshot.state.services.iter().position(|service| service.name == *name)
    }

    /// To the service before or after the one that is shown; before the first and after the last are all.
    fn step(&mut self, by: Step) {
        let services = &self.snapshot.state.services;
        let places = services.len() + 1;
        let at = self.focused().map_or(0, |at| at + 1);
        let to = match by {
            Step::Back => (at + places - 1) % places,
            Step::On => (at + 1) % places,
        };
        self.focus = (to > 0).then(|| services[to - 1].name.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::fixture;

    #[test]
    fn the_last_minute_is_put_in_cells_by_age() {
        let point = |at: u64, requests: f64| Point { at, seconds: 1.0, requests, failures: 0.0, p99: None };
        let points = [point(100, 9.0), point(40_500, 1.0), point(60_600, 3.0), point(61_000, 2.0), point(100_000, 5.0)];
        let mut minute = Minute { newest: 100_000, versions: BTreeMap::from([("old".to_owned(), points.into())]) };
        let cells = minute.cells("old", 6, |point| Some(point.requests));
        assert_eq!(cells, [Some(1.0), None, Some(3.0), None, None, Some(5.0)]);
        assert_eq!(minute.cells("old", 6, |point| point.p99), [None; 6]);
        assert_eq!(minute.cells("new", 2, |point| Some(point.requests)), [None; 2]);
        minute.trim();
        assert_eq!(minute.versions["old"].len(), 4);
        minute.newest += 200_000;
        minute.trim();
        assert!(minute.versions.is_empty());
    }

    #[test]
    fn keys_walk_through_services_and_back_to_all() {
        let mut screen = fixture::screen(3, 2);
        let mut after = |key: Key| {
            assert!(screen.press(key));
            screen.focus.clone()
        };
        let service = |number: usize| Some(format!("service-{number}"));
        assert_eq!(
            [Key::Down, Key::Down, Key::Down, Key::Down].map(&mut after),
            [service(1), service(2), service(3), None]
        );
        assert_eq!([Key::Up, Key::Up].map(&mut after), [service(3), service(2)]);
        assert_eq!([Key::Number(1), Key::Number(9), Key::Number(0)].map(&mut after), [service(1), service(1), None]);
        assert!(!screen.press(Key::Quit));
    }

    #[test]
    fn what_is_frozen_stays_until_it_thaws() {
        let mut screen = fixture::screen(1, 2);
        screen.press(Key::Freeze);
        let later = Snapshot { at: screen.snapshot.at + 5000, ..screen.snapshot.clone() };
        screen.lost = Some(Lost { for_ms: 1, why: String::new() });
        screen.tell(later.clone());
        assert_eq!((screen.snapshot.at, &screen.lost), (fixture::AT, &None));
        screen.press(Key::Freeze);
        screen.tell(later);
        assert_eq!(screen.snapshot.at, fixture::AT + 5000);
    }

    #[test]
    fn a_service_that_is_gone_gives_way_to_all() {
        let mut screen = fixture::screen(2, 2);
        screen.focus = Some("gone".to_owned());
        assert_eq!(screen.focused(), None);
        screen.press(Key::Down);
        assert_eq!(screen.focus.as_deref(), Some("service-1"));
    }
}
