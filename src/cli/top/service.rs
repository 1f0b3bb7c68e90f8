//! One service in lines: its versions, the last minute of each, what is said of them, what is out of order.

use std::fmt::Write as _;

use super::columns::{Column, Columns, INDENT, failed};
use super::line::{Line, Style};
use super::look::Look;
use super::spark::{bar, over_time};
use super::state::{Minute, Point};
use crate::admin::{AddressStateView, KillSwitchView, SaysView, ServiceView, VerdictView, VersionView};
use crate::cli::text::{clip, columns, plain, wrapped};
use crate::judge::Outcome;
use crate::rollout::RolloutView;

/// A figure of about a second.
type Value = fn(&Point) -> Option<f64>;

/// What is drawn over time, after its label.
const OVER_TIME: [(&str, Value); 3] = [
    ("req/s ", |point| Some(point.requests / point.seconds.max(1e-3))),
    ("  fail ", |point| Some(point.failures / point.seconds.max(1e-3))),
    ("  p99 ", |point| point.p99),
];

/// How much of a service is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Detail {
    /// The last minute of each version.
    pub(super) minute: bool,
    /// Lines for each thing that is said.
    pub(super) said: usize,
    /// Most versions.
    pub(super) versions: usize,
}

/// A service as it is to be shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block<'a> {
    /// From 1: the key that shows it alone.
    pub(super) number: usize,
    pub(super) service: &'a ServiceView,
    pub(super) minute: Option<&'a Minute>,
    pub(super) width: usize,
    pub(super) look: Look,
}

impl Block<'_> {
    pub(super) fn lines(&self, detail: Detail) -> Vec<Line> {
        let versions = &self.service.versions;
        let longest = versions.iter().map(|version| columns(&version.name)).max().unwrap_or_default();
        let table = Columns::new(self.width, longest);
        let chosen = chosen(versions, detail.versions);
        let mut lines = vec![self.heading(&table)];
        let all: f64 = versions.iter().map(|version| version.requests_per_second).sum();
        for version in &chosen {
            let now = (all > 0.0).then(|| version.requests_per_second / all);
            lines.push(self.row(version, now, &table));
            if detail.minute {
                lines.extend(self.last_minute(version));
            }
        }
        if chosen.len() < versions.len() {
            let more = versions.len() - chosen.len();
            lines.push(Line::of(Style::Dim, &format!("  {} {more} more versions", self.look.cut())));
        }
        lines.extend(self.out_of_order());
        for (style, said) in self.said().into_iter().filter(|_| detail.said > 0) {
            lines.extend(self.in_lines(style, &said, detail.said));
        }
        lines
    }

    fn heading(&self, table: &Columns) -> Line {
        let name = format!("{} {}", self.number, self.service.name);
        let mut line = Line::of(Style::Bold, &clip(&plain(&name), table.before_figures(), self.look.cut()));
        line.pad_to(table.before_figures());
        for column in &table.figures {
            line.push(Style::Dim, &format!(" {:>1$}", column.title(), column.width()));
        }
        line
    }

    fn row(&self, version: &VersionView, now: Option<f64>, table: &Columns) -> Line {
        let mut line = Line::of(Style::Plain, &" ".repeat(INDENT));
        line.push(Style::Plain, &clip(&plain(&version.name), table.name, self.look.cut()));
        line.pad_to(INDENT + table.name);
        if table.bar > 0 {
            line.push(Style::Plain, " ");
            bar(&mut line, now, version.share, table.bar, self.look);
        }
        for column in &table.figures {
            let style = match column {
                Column::Set => Style::Dim,
                Column::Fail if failed(version).is_some_and(|share| share > 0.0) => Style::Bad,
                _ => Style::Plain,
            };
            line.push(style, &format!(" {:>1$}", column.text(version, now), column.width()));
        }
        line
    }

    /// Requests, failures and p99 of the last minute. Failures and p99 have the same scale for all versions, as they are to
    /// be compared; how many requests a version has is its share's affair.
    fn last_minute(&self, version: &VersionView) -> Option<Line> {
        let minute = self.minute?;
        let labels: usize = OVER_TIME.iter().map(|(label, _)| label.len()).sum();
        let cells = (self.width.saturating_sub(INDENT + 2 + labels) / 3).min(60);
        if cells < 5 {
            return None;
        }
        let own = || minute.versions.get(&version.name).into_iter().flatten();
        let [(_, requests), (_, failures), (_, p99)] = OVER_TIME;
        let most = |value: Value| minute.versions.values().flatten().filter_map(value).fold(0.0, f64::max);
        let scales = [own().filter_map(requests).fold(0.0, f64::max), most(failures), most(p99)];
        let failed = own().filter_map(failures).any(|failures| failures > 0.0);
        let styles = [Style::Bar, if failed { Style::Bad } else { Style::Bar }, Style::Bar];
        let mut line = Line::of(Style::Plain, &" ".repeat(INDENT + 2));
        for (((label, value), most), style) in OVER_TIME.into_iter().zip(scales).zip(styles) {
            line.push(Style::Dim, label);
            line.push(style, &over_time(&minute.cells(&version.name, cells, value), most, self.look));
        }
        Some(line)
    }

    /// What nobody may overlook, a line each.
    fn out_of_order(&self) -> Vec<Line> {
        let service = self.service;
        let mut lines = Vec::new();
        let mut line = |style: Style, text: String| lines.push(Line::of(style, &format!("  {text}")));
        for drill in &service.drills {
            line(Style::Bad, format!("!!! DRILL: {} of {}: {}", drill.share, drill.version, drill.effects.join(", ")));
        }
        let switches = service.steering.iter().flat_map(|steering| &steering.kill_switches);
        for KillSwitchView { version, flag, .. } in
            switches.filter(|switch| switch.on && switch.says == SaysView::Always)
        {
            line(Style::Bad, format!("!!! {version} is KILLED by flag {flag}"));
        }
        if let Some(blocked) = service.rollout.as_ref().and_then(|rollout| rollout.blocked.as_ref()) {
            line(Style::Bad, format!("BLOCKED: {blocked}"));
        }
        for VersionView { name, addresses, .. } in &service.versions {
            let out = addresses.iter().filter(|address| address.state != AddressStateView::Up).count();
            if out > 0 {
                line(Style::Warn, format!("{name}: {out} of {} addresses out of use", addresses.len()));
            }
        }
        lines
    }

    /// What is said of the versions.
    fn said(&self) -> Vec<(Style, String)> {
        let ServiceView { verdict, rollout, migration, .. } = self.service;
        let verdict = verdict.as_ref().map(judged);
        let rollout = rollout.as_ref().map(|rollout| (Style::Plain, rolled(rollout)));
        let migration = migration.as_ref().map(|migration| {
            (Style::Plain, format!("migration: stage {}, {} of the keys", migration.stage, migration.share))
        });
        [verdict, rollout, migration].into_iter().flatten().collect()
    }

    /// A text in at most so many lines.
    fn in_lines(&self, style: Style, text: &str, most: usize) -> Vec<Line> {
        let width = self.width.saturating_sub(INDENT + 2).max(8);
        let mut lines = wrapped(&plain(text), width);
        if lines.len() > most {
            lines.truncate(most);
            if let Some(last) = lines.last_mut() {
                *last = clip(&format!("{last} {}", self.look.cut()), width, self.look.cut());
            }
        }
        let indented = |(index, line): (usize, &String)| {
            Line::of(style, &format!("{}{line}", if index == 0 { "  " } else { "    " }))
        };
        lines.iter().enumerate().map(indented).collect()
    }
}

/// The versions that are shown where not all are: the newest, and those with the greatest shares; in their order.
fn chosen(versions: &[VersionView], most: usize) -> Vec<&VersionView> {
    let mut places: Vec<usize> = (0..versions.len()).collect();
    if versions.len() > most {
        places.sort_by(|a, b| {
            let newest = |place: usize| place + 1 == versions.len();
            let share = |place: usize| versions[place].share.max(versions[place].effective_share);
            newest(*b).cmp(&newest(*a)).then(share(*b).total_cmp(&share(*a))).then(a.cmp(b))
        });
        places.truncate(most);
        places.sort_unstable();
    }
    places.into_iter().map(|place| &versions[place]).collect()
}

fn judged(verdict: &VerdictView) -> (Style, String) {
    let VerdictView { verdict, from, to, .. } = verdict;
    let style = match verdict.verdict {
        Outcome::Healthy => Style::Good,
        Outcome::Regressed => Style::Bad,
        Outcome::Inconclusive => Style::Plain,
    };
    (style, format!("{to} beside {from}: {}: {}", verdict.verdict.label(), verdict.reason))
}

/// Where a rollout stands, in a sentence.
fn rolled(rollout: &RolloutView) -> String {
    let RolloutView { from, to, state, steps, run, .. } = rollout;
    let mut text = format!("rollout {run} {from} → {to}: {state}");
    if let Some(step) = rollout.step {
        let weight = steps.get(step - 1).map(|step| format!(" ({}%)", step.weight)).unwrap_or_default();
        _ = write!(text, ", step {step} of {}{weight}", steps.len());
    }
    if !rollout.waiting_for.is_empty() {
        _ = write!(text, ", waits for {}", rollout.waiting_for.join(", "));
    }
    if let Some(reason) = &rollout.reason {
        _ = write!(text, "; {reason}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::fixture;

    #[test]
    fn of_many_versions_the_newest_and_the_greatest_are_shown_in_order() {
        let mut service = fixture::service(1, 6);
        for (version, share) in service.versions.iter_mut().zip([0.1, 0.5, 0.0, 0.3, 0.1, 0.0]) {
            (version.share, version.effective_share) = (share, share);
        }
        let names = |most: usize| -> Vec<&str> { chosen(&service.versions, most).iter().map(|v| &*v.name).collect() };
        assert_eq!(names(3), ["version-2", "version-4", "version-6"]);
        assert_eq!(names(1), ["version-6"]);
        assert_eq!(names(9).len(), 6);
        assert!(names(0).is_empty());
    }
}
