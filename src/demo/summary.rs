//! What happened, for a person who was not watching.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use super::files::Moves;
use super::screen::{WIDTH, clock, fails_more, grouped, is_slower, ms, wrapped};
use super::tally::{Figures, Tally};
use super::{NEW, OLD, SERVICE, Scenario, VERSIONS};

/// All there is to tell.
#[derive(Debug)]
pub(super) struct Summary<'a> {
    pub(super) scenario: Scenario,
    pub(super) lasted: Duration,
    /// Whether somebody ended it before its time.
    pub(super) early: bool,
    pub(super) users: usize,
    pub(super) steps: &'a [StepDone],
    pub(super) tally: &'a Tally,
    /// What counts as a slow answer, once that was known.
    pub(super) slow: Option<Duration>,
    /// Whether somebody else changed weights meanwhile.
    pub(super) outside: bool,
    pub(super) next: &'a Next,
}

/// One step that was begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct StepDone {
    /// When it began.
    pub(super) at: Duration,
    /// The weight of new.
    pub(super) weight: u32,
    pub(super) users_on_new: usize,
    pub(super) moves: Moves,
}

/// What the reader needs to go on.
#[derive(Debug)]
pub(super) struct Next {
    /// How serin was called.
    pub(super) program: String,
    /// The address of the proxy.
    pub(super) proxy: String,
    /// The URL of its admin API.
    pub(super) admin: String,
    pub(super) config: PathBuf,
}

impl Summary<'_> {
    /// The summary, in lines of at most 80 characters where paths allow.
    pub(super) fn text(&self) -> String {
        let total = self.tally.total();
        let requests = grouped(total[OLD].requests + total[NEW].requests);
        let (seconds, name) = (self.lasted.as_secs_f64(), self.scenario.name());
        let early = if self.early { " until it was ended" } else { "" };
        let mut text = format!("\nSummary: {requests} requests in {seconds:.0} s{early}, scenario {name}\n\n");
        text.push_str(&self.table(&total));
        text.push('\n');
        for sentence in self.sentences() {
            for (index, line) in wrapped(&sentence, WIDTH - 2).iter().enumerate() {
                let _ = writeln!(text, "{} {line}", if index == 0 { '-' } else { ' ' });
            }
        }
        text.push_str(&self.next());
        text
    }

    fn table(&self, total: &[Figures; 2]) -> String {
        let mut text = format!(
            "{:>7} {:>7}  {:<7} {:>9} {:>7} {:>6} {:>7} {:>6} {:>6} {:>6}\n",
            "weight", "users", "version", "requests", "failed", "%", "p50 ms", "p90", "p99", "p99.9"
        );
        for (step, figures) in self.steps.iter().zip(&self.tally.steps) {
            rows(&mut text, &step.weight.to_string(), &grouped(step.users_on_new as u64), figures);
        }
        rows(&mut text, "all", "", total);
        text.push_str("weight and users are those of new; latency is as clients saw it\n");
        text
    }

    fn sentences(&self) -> Vec<String> {
        let mut sentences = vec![self.on_new(), self.flips()];
        sentences.extend(self.verdict());
        sentences.extend(self.withdrawal());
        let Tally { unanswered, skipped, .. } = self.tally;
        if *unanswered > 0 {
            sentences.push(format!("{} requests got no answer of any version.", grouped(*unanswered)));
        }
        if *skipped > 0 {
            sentences.push(format!(
                "{} requests were not sent: this machine is too slow for them, so the figures flatter it.",
                grouped(*skipped)
            ));
        }
        sentences
    }

    fn on_new(&self) -> String {
        let over_time: Vec<_> = self
            .steps
            .iter()
            .map(|step| format!("{} at {}", grouped(step.users_on_new as u64), clock(step.at)))
            .collect();
        format!("Of {} users, new had {}.", grouped(self.users as u64), over_time.join(", then "))
    }

    fn flips(&self) -> String {
        let population = self.tally.population();
        let back: usize = self.raises().map(|step| step.moves.back).sum();
        if self.outside {
            return "Weights were also changed from outside, so users may have moved either way.".to_owned();
        }
        match population.flipped.max(back) {
            0 => format!(
                "While the weight of new rose, nobody moved back: of the {} users seen, none was served by old again \
                 after new.",
                grouped(population.seen as u64)
            ),
            flipped => {
                format!("{} users were served by old again after new, which must not be.", grouped(flipped as u64))
            }
        }
    }

    fn raises(&self) -> impl Iterator<Item = &StepDone> {
        self.steps.windows(2).filter(|pair| pair[1].weight > pair[0].weight).map(|pair| &pair[1])
    }

    /// What the step back did.
    fn withdrawal(&self) -> Option<String> {
        let back = self.steps.windows(2).find(|pair| pair[1].weight < pair[0].weight)?;
        let step = back[1];
        Some(format!(
            "At {} the demo did what an operator would: it set the weight of new back to {}, and {} users went back to old.",
            clock(step.at),
            step.weight,
            grouped(step.moves.back as u64)
        ))
    }

    /// How new did where it had the most traffic beside old, and whom that hurt.
    fn verdict(&self) -> Option<String> {
        let shared =
            self.steps.iter().zip(&self.tally.steps).filter(|(_, figures)| figures.iter().all(|f| f.requests > 0));
        let (step, figures) = shared.max_by_key(|(step, _)| step.weight)?;
        let [old, new] = figures;
        let (weight, population) = (step.weight, self.tally.population());
        let of_new = grouped(new.requests);
        if fails_more(figures) {
            return Some(format!(
                "Hurt: at {weight} %, new failed {} of {of_new} requests ({:.1} %), and {} users met a failure. Old would \
                 have failed about {:.0}.",
                grouped(new.failures),
                new.failure_share() * 100.0,
                grouped(population.failed as u64),
                old.failure_share() * new.requests as f64,
            ));
        }
        let p99s = match (new.quantile(0.99), old.quantile(0.99)) {
            (Some(new), Some(old)) => format!("p99 {} ms against {} ms", ms(Some(new)), ms(Some(old))),
            _ => return Some(format!("At {weight} %, there were too few requests to compare the versions.")),
        };
        let [new_median, old_median] = [new, old].map(|figures| ms(figures.quantile(0.5)));
        Some(match self.slow {
            Some(slow) if is_slower(figures) => format!(
                "Hurt: at {weight} %, new took longer than {} ms for {} of {of_new} requests ({:.1} %), which old does for \
                 one in a hundred; {} users met one. {p99s}; the medians, {new_median} and {old_median} ms, show nothing.",
                ms(Some(slow.as_secs_f64())),
                grouped(new.slow),
                new.slow as f64 / new.requests as f64 * 100.0,
                grouped(population.slowed as u64),
            ),
            _ => format!(
                "At {weight} %, new kept up with old: {p99s}, {:.1} % failed against {:.1} %.",
                new.failure_share() * 100.0,
                old.failure_share() * 100.0
            ),
        })
    }

    fn next(&self) -> String {
        let Next { program, proxy, admin, config } = self.next;
        let given = |option: &str, default: &str, value: &str| {
            if value == default { String::new() } else { format!(" {option} {value}") }
        };
        let listen = given("--listen", "127.0.0.1:8080", proxy);
        let (answer_on, ask) = (admin.trim_start_matches("http://"), given("--admin", "http://127.0.0.1:9901", admin));
        let other = if self.scenario == Scenario::Good { "regression" } else { "good" };
        format!(
            "\nNext, see another version: {program} demo --scenario {other}\n\
             Or let it run, and look from another terminal:\n  \
             {program} demo --for 10m{listen}{}\n  \
             {program} status --watch{ask}\n  \
             curl -i -H 'x-user-id: ada' http://{proxy}/\n  \
             and edit the weights.yaml that it names in its second line\n\
             Or ask the files of this run, without a server, which version ada gets:\n  \
             {program} pick {SERVICE} --key ada --config \\\n    {}\n",
            given("--admin", "127.0.0.1:9901", answer_on),
            config.display()
        )
    }
}

fn rows(text: &mut String, weight: &str, users: &str, figures: &[Figures; 2]) {
    let mut head = (weight, users);
    for (version, figures) in figures.iter().enumerate().filter(|(_, figures)| figures.requests > 0) {
        let q = |q| ms(figures.quantile(q));
        let _ = writeln!(
            text,
            "{:>7} {:>7}  {:<7} {:>9} {:>7} {:>6.2} {:>7} {:>6} {:>6} {:>6}",
            head.0,
            head.1,
            VERSIONS[version],
            grouped(figures.requests),
            grouped(figures.failures),
            figures.failure_share() * 100.0,
            q(0.5),
            q(0.9),
            q(0.99),
            q(0.999),
        );
        head = ("", "");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tally::{Answer, Ended};
    use super::*;
    use std::time::Instant;

    /// 400 requests to each version in each step; new's latency in milliseconds and whether it fails every other time.
    fn tally(steps: usize, new: u64, fails: bool) -> Tally {
        let (mut tally, now) = (Tally::new(100), Instant::now());
        tally.set_slow(Duration::from_millis(20));
        for step in 0..steps {
            if step > 0 {
                tally.next_step();
            }
            for request in 0..400 {
                for (version, milliseconds) in [(OLD, 10), (NEW, new)] {
                    let failed = fails && version == NEW && request % 2 == 0;
                    let user = if version == NEW { request % 50 } else { 50 + request % 50 };
                    let latency = Duration::from_millis(milliseconds);
                    let answer = Some(Answer { version, failed });
                    tally.record(&Ended { user, step, sent: now, done: now, latency, answer });
                }
            }
        }
        tally
    }

    fn steps(weights: &[u32]) -> Vec<StepDone> {
        let mut before = 0;
        let step = |(index, &weight): (usize, &u32)| {
            let users_on_new = weight as usize;
            let moves =
                Moves { to_new: users_on_new.saturating_sub(before), back: before.saturating_sub(users_on_new) };
            before = users_on_new;
            StepDone { at: Duration::from_secs(15 * index as u64), weight, users_on_new, moves }
        };
        weights.iter().enumerate().map(step).collect()
    }

    fn text(scenario: Scenario, weights: &[u32], tally: &Tally) -> String {
        let next = Next {
            program: "serin".to_owned(),
            proxy: "127.0.0.1:8080".to_owned(),
            admin: "http://127.0.0.1:9901".to_owned(),
            config: PathBuf::from("/tmp/serin-demo-012345/serin.yaml"),
        };
        let summary = Summary {
            scenario,
            lasted: Duration::from_mins(1),
            early: false,
            users: 100,
            steps: &steps(weights),
            tally,
            slow: Some(Duration::from_millis(20)),
            outside: false,
            next: &next,
        };
        let text = summary.text();
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH + 2), "{text}");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_good_version_kept_up_and_nobody_moved_back() {
        let text = text(Scenario::Good, &[5, 25, 50, 100], &tally(4, 9, false));
        assert!(text.contains("nobody moved back: of the 100 users seen"), "{text}");
        assert!(text.contains("new had 5 at 0:00, then 25 at 0:15, then 50 at 0:30, then 100 at 0:45."), "{text}");
        assert!(text.contains("new kept up with old"), "{text}");
        assert!(!text.contains("Hurt"), "{text}");
    }

    #[test]
    fn a_failing_version_is_said_to_hurt_and_whom() {
        let text = text(Scenario::Errors, &[5, 25, 0], &tally(2, 10, true));
        assert!(text.contains("Hurt: at 25 %, new failed 200 of 400 requests (50.0 %), and 25 users met"), "{text}");
        assert!(text.contains("At 0:30 the demo did what an operator would"), "{text}");
        assert!(text.contains("and 25 users went back to old"), "{text}");
        assert!(text.contains("nobody moved back"), "{text}");
    }

    #[test]
    fn a_slow_version_is_said_to_hurt_and_whom() {
        let text = text(Scenario::Regression, &[5, 25, 0], &tally(2, 30, false));
        assert!(text.contains("longer than 20.0 ms for 400 of 400 requests (100.0 %)"), "{text}");
        assert!(text.contains("50 users met one"), "{text}");
    }

    #[test]
    fn users_who_flipped_are_not_hidden() {
        let (mut tally, now) = (tally(1, 10, false), Instant::now());
        let answer = Some(Answer { version: OLD, failed: false });
        let (sent, latency) = (now + Duration::from_secs(1), Duration::from_millis(1));
        tally.record(&Ended { user: 0, step: 0, sent, done: sent, latency, answer });
        let text = text(Scenario::Good, &[5], &tally);
        assert!(text.contains("1 users were served by old again after new") && !text.contains("nobody"), "{text}");
    }

    #[test]
    fn a_demo_that_was_ended_at_once_has_a_summary_too() {
        let text = text(Scenario::Good, &[5], &Tally::new(100));
        assert!(text.contains("0 requests"), "{text}");
    }
}
