//! What happened, for a person who was not watching.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use super::files::Moves;
use super::screen::{WIDTH, clock, grouped, ms, wrapped};
use super::tally::{Figures, Harm, Otherwise, Tally};
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
    pub(super) outcome: &'a Outcome,
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

/// What became of the rollout.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome {
    /// When new turned bad.
    pub(super) turned_bad: Option<Duration>,
    /// When serin withdrew it.
    pub(super) withdrawn: Option<Duration>,
    /// Where the rollout stands: `baking, step 2 of 4`.
    pub(super) stands: String,
    /// Whether all its steps are done.
    pub(super) completed: bool,
    /// What the judge said last; may be empty.
    pub(super) verdict: String,
    /// What serin said when it withdrew it.
    pub(super) reason: String,
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
        sentences.extend(self.story());
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

    /// How the rollout went, whom it hurt, and what would have been without.
    fn story(&self) -> Vec<String> {
        let Outcome { turned_bad, withdrawn, completed, stands, .. } = self.outcome;
        let Some(turned_bad) = *turned_bad else {
            let end = if *completed {
                "The rollout is complete: every step baked and no gate failed.".to_owned()
            } else {
                self.too_short(&format!("the rollout is {stands}"))
            };
            return vec![end, self.kept_up()];
        };
        let mut sentences = Vec::new();
        if let Some(withdrawn) = withdrawn {
            sentences.push(self.withdrawal(turned_bad, *withdrawn));
        } else {
            let so_far = self.tally.harm().map_or(0, |harm| harm.answered);
            let what = format!(
                "new turned bad at {}, and {} requests of it were not enough for the judge to withdraw it",
                clock(turned_bad),
                grouped(so_far)
            );
            sentences.push(self.too_short(&what));
        }
        sentences.extend(self.hurt(turned_bad));
        sentences
    }

    fn too_short(&self, what: &str) -> String {
        let judge = match &*self.outcome.verdict {
            "" => String::new(),
            verdict => format!(" ({verdict})"),
        };
        format!("Too short to show the whole story: at its end {what}{judge}. 60 seconds are enough: --for 60s")
    }

    /// That serin withdrew new.
    fn withdrawal(&self, turned_bad: Duration, withdrawn: Duration) -> String {
        let back = self.steps.iter().find(|step| step.at >= withdrawn && step.weight == 0);
        let moved = back.map_or(0, |step| step.moves.back);
        format!(
            "New turned bad at {}; serin withdrew it {:.1} s later, and {} users went back to old. In its own words: {}.",
            clock(turned_bad),
            withdrawn.saturating_sub(turned_bad).as_secs_f64(),
            grouped(moved as u64),
            self.outcome.reason
        )
    }

    /// Whom new hurt since it turned bad, and whom it would have hurt had everybody met it.
    fn hurt(&self, turned_bad: Duration) -> Vec<String> {
        let Some(harm) = self.tally.harm().filter(|harm| harm.answered > 0) else {
            return vec!["Hurt: nobody met new after it turned bad.".to_owned()];
        };
        let Harm { asked, answered, failures, slow } = harm;
        let population = self.tally.population();
        let percent = |count: u64| count as f64 / answered as f64 * 100.0;
        let (count, users, what, met) = match (self.scenario, self.slow) {
            (Scenario::Regression, Some(limit)) => {
                let what =
                    format!("took longer than {} ms, as one in a hundred of old's do", ms(Some(limit.as_secs_f64())));
                (slow, population.slowed, what, "have been slow")
            }
            (Scenario::Regression, None) => {
                return vec!["Hurt: there were too few requests to say what is slow.".to_owned()];
            }
            _ => (failures, population.failed, "failed".to_owned(), "have failed"),
        };
        let hurt = format!(
            "Hurt: after it turned bad, new answered {} requests; {} of them ({:.1} %) {what}, and {} users met one.",
            grouped(answered),
            grouped(count),
            percent(count),
            grouped(users as u64),
        );
        let Otherwise { requests, users, of_users } = self.tally.otherwise(count as f64 / answered as f64);
        let whole = |number: f64| grouped(number.round() as u64);
        let otherwise = format!(
            "Without serin, had new been given everything at {} and nobody taken it back before the end: about {} of {} requests would {met}, and {} of {} users would have met one. (The requests that were really sent since then, each of them hurt as often as new hurt those that it answered; a user with n of them with probability 1 − (1 − {:.3})ⁿ.)",
            clock(turned_bad),
            whole(requests),
            grouped(asked),
            whole(users),
            grouped(of_users as u64),
            percent(count) / 100.0,
        );
        vec![hurt, otherwise]
    }

    /// How a good version did where it had the most traffic beside old.
    fn kept_up(&self) -> String {
        let shared =
            self.steps.iter().zip(&self.tally.steps).filter(|(_, figures)| figures.iter().all(|f| f.requests > 0));
        let Some((step, [old, new])) = shared.max_by_key(|(step, _)| step.weight) else {
            return "There were too few requests to compare the versions.".to_owned();
        };
        let weight = step.weight;
        let (Some(new_p99), Some(old_p99)) = (new.quantile(0.99), old.quantile(0.99)) else {
            return format!("At {weight} %, there were too few requests to compare the versions.");
        };
        format!(
            "At {weight} %, new's p99 was {} ms and old's {} ms; {:.1} % failed against {:.1} %.",
            ms(Some(new_p99)),
            ms(Some(old_p99)),
            new.failure_share() * 100.0,
            old.failure_share() * 100.0
        )
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
             Or ask the files of this run, without a server, what happened and which version ada gets:\n  \
             {program} ledger --config \\\n    {config}\n  \
             {program} pick {SERVICE} --key ada --config \\\n    {config}\n",
            given("--admin", "127.0.0.1:9901", answer_on),
            config = config.display()
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
                tally.turns_bad();
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

    fn text(scenario: Scenario, weights: &[u32], tally: &Tally, outcome: &Outcome) -> String {
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
            outcome,
            next: &next,
        };
        let text = summary.text();
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH + 2), "{text}");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// New turned bad at 0:15 and was withdrawn 1.5 s later.
    fn withdrawn() -> Outcome {
        Outcome {
            turned_bad: Some(Duration::from_secs(15)),
            withdrawn: Some(Duration::from_millis(16_500)),
            stands: "rolledBack".to_owned(),
            reason: "rolled back: new is worse".to_owned(),
            ..Outcome::default()
        }
    }

    #[test]
    fn a_good_version_kept_up_and_nobody_moved_back() {
        let done = Outcome { completed: true, ..Outcome::default() };
        let text = text(Scenario::Good, &[0, 5, 25, 50, 100], &tally(5, 9, false), &done);
        assert!(text.contains("nobody moved back: of the 100 users seen"), "{text}");
        assert!(text.contains("then 25 at 0:30, then 50 at 0:45, then 100 at 1:00."), "{text}");
        assert!(text.contains("The rollout is complete") && text.contains("new's p99 was"), "{text}");
        assert!(!text.contains("Hurt") && !text.contains("Too short"), "{text}");
    }

    #[test]
    fn a_failing_version_is_said_to_hurt_and_whom_and_whom_it_would_have() {
        let text = text(Scenario::Errors, &[5, 25, 0], &tally(2, 10, true), &withdrawn());
        assert!(text.contains("turned bad at 0:15; serin withdrew it 1.5 s later, and 25 users went back"), "{text}");
        assert!(text.contains("In its own words: rolled back: new is worse."), "{text}");
        assert!(
            text.contains("new answered 400 requests; 200 of them (50.0 %) failed, and 25 users met one"),
            "{text}"
        );
        // 800 requests since, eight of each of 100 users, and half of them hurt: 1 − 2⁻⁸ of the users.
        assert!(text.contains("about 400 of 800 requests would have failed, and 100 of 100 users"), "{text}");
        assert!(text.contains("nobody moved back"), "{text}");
    }

    #[test]
    fn a_slow_version_is_said_to_hurt_and_whom() {
        let text = text(Scenario::Regression, &[5, 25, 0], &tally(2, 30, false), &withdrawn());
        assert!(text.contains("400 of them (100.0 %) took longer than 20.0 ms"), "{text}");
        assert!(text.contains("and 50 users met one"), "{text}");
        assert!(text.contains("about 800 of 800 requests would have been slow"), "{text}");
    }

    #[test]
    fn a_run_that_was_too_short_says_so_and_what_the_judge_said() {
        let verdict = "inconclusive: not enough".to_owned();
        let late = Outcome { withdrawn: None, verdict: verdict.clone(), ..withdrawn() };
        let said = text(Scenario::Regression, &[5, 25], &tally(2, 30, false), &late);
        assert!(said.contains("Too short") && said.contains("400 requests of it were not enough"), "{said}");
        assert!(said.contains("(inconclusive: not enough)") && said.contains("--for 60s"), "{said}");
        let early = Outcome { stands: "baking, step 1 of 4".to_owned(), verdict, ..Outcome::default() };
        let said = text(Scenario::Errors, &[0, 5], &tally(2, 10, false), &early);
        assert!(said.contains("at its end the rollout is baking, step 1 of 4 (inconclusive"), "{said}");
    }

    #[test]
    fn users_who_flipped_are_not_hidden() {
        let (mut tally, now) = (tally(1, 10, false), Instant::now());
        let answer = Some(Answer { version: OLD, failed: false });
        let (sent, latency) = (now + Duration::from_secs(1), Duration::from_millis(1));
        tally.record(&Ended { user: 0, step: 0, sent, done: sent, latency, answer });
        let text = text(Scenario::Good, &[5], &tally, &Outcome::default());
        assert!(text.contains("1 users were served by old again after new") && !text.contains("nobody"), "{text}");
    }

    #[test]
    fn a_demo_that_was_ended_at_once_has_a_summary_too() {
        let text = text(Scenario::Good, &[5], &Tally::new(100), &Outcome::default());
        assert!(text.contains("0 requests"), "{text}");
    }
}
