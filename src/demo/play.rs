//! The demo as it is played: addresses, traffic, the rollout and what becomes of it, the summary.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderValue;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::files::{Moves, Shares};
use super::messages::Messages;
use super::prepare::{Demo, DemoError, Options, Proxy, Show, system};
use super::screen::{Live, Screen, clock, grouped};
use super::summary::{Next, Outcome, StepDone, Summary};
use super::tally::{Figures, Tally};
use super::traffic::{RATE, Traffic};
use super::{NEW, SERVICE};
use crate::judge::Verdict;
use crate::rollout::{Command, Order, RolloutView};

/// How many users there are.
const USERS: usize = 2000;
/// How often the table is drawn on a terminal.
const FRAME: Duration = Duration::from_millis(250);
/// How often it is looked what serin has done.
const LOOK: Duration = Duration::from_millis(5);
/// How much later than the weights a rollout shows where it stands.
const SHOWN: Duration = Duration::from_millis(500);
/// Who starts the rollout.
const ACTOR: &str = "demo";

impl Show for Demo {
    fn config(&self) -> PathBuf {
        self.folder.config()
    }

    fn play(self, proxy: Proxy, messages: Messages) -> Result<(), DemoError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(system("cannot start the demo"))?;
        runtime.block_on(async {
            let mut play = Play::new(self, proxy, messages);
            let result = play.run().await;
            play.messages.open();
            result
        })
    }
}

/// The script as it is being played.
struct Play {
    demo: Demo,
    proxy: Proxy,
    messages: Messages,
    screen: Screen,
    users: Vec<String>,
    tally: Arc<Mutex<Tally>>,
    begin: Instant,
    done: Vec<StepDone>,
    /// As last known.
    shares: Shares,
    /// When those came in force.
    since: Instant,
    slow: Option<Duration>,
    outside: bool,
    turned_bad: Option<Duration>,
    withdrawn: Option<Duration>,
    /// What serin said when it withdrew new.
    because: String,
    /// What serin said last of the rollout.
    said: Option<String>,
}

/// What makes a demo end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Time,
    Told,
}

impl Play {
    fn new(demo: Demo, proxy: Proxy, messages: Messages) -> Self {
        let users: Vec<_> = (1..=USERS).map(|user| format!("user-{user}")).collect();
        Self {
            shares: Shares::of(&(proxy.plan)(), &users),
            demo,
            proxy,
            messages,
            screen: Screen::new(),
            tally: Arc::new(Mutex::new(Tally::new(users.len()))),
            users,
            begin: Instant::now(),
            done: Vec::new(),
            since: Instant::now(),
            slow: None,
            outside: false,
            turned_bad: None,
            withdrawn: None,
            because: String::new(),
            said: None,
        }
    }

    async fn run(&mut self) -> Result<(), DemoError> {
        let listen = |kind| signal(kind).map_err(system("cannot listen for signals"));
        let mut told = [listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?];
        self.introduce().map_err(DemoError::Output)?;
        if self.screen.live {
            self.messages.close();
        }
        let ids: Vec<_> = self.users.iter().filter_map(|user| HeaderValue::from_str(user).ok()).collect();
        let traffic =
            Traffic::start(self.proxy.address, &ids, &self.tally).map_err(system("cannot start the traffic"))?;
        self.begin = Instant::now();
        self.since = self.begin;
        let end = self.watch(&mut told).await.map_err(DemoError::Output);
        traffic.finish();
        self.conclude(end? == End::Told).map_err(DemoError::Output)
    }

    fn introduce(&mut self) -> io::Result<()> {
        let Options { scenario, .. } = self.demo.options;
        let Proxy { address, admin, .. } = &self.proxy;
        let text = format!(
            "dashboard {admin}   proxy http://{address}\n\
             files {} and weights.yaml beside it\n\n\
             {} users ask the service `{SERVICE}` through serin, {RATE} requests a second.\n\
             Scenario {}: {}\n\
             From another terminal:  curl -i -H 'x-user-id: ada' http://{address}/\n\
             You may edit weights.yaml yourself, which pauses the rollout. Ctrl-C ends it early, with the summary.\n\n",
            self.demo.config().display(),
            grouped(USERS as u64),
            scenario.name(),
            scenario.story(),
        );
        self.screen.print(&text)
    }

    /// Starts the rollout when it is time, and shows what becomes of it until the demo is over.
    async fn watch(&mut self, told: &mut [Signal; 2]) -> io::Result<End> {
        let Options { scenario, total, .. } = self.demo.options;
        let (start, until) = (self.begin + scenario.script(total).lead, self.begin + total);
        let every =
            if self.screen.live { FRAME } else { (total / 12).clamp(Duration::from_secs(1), Duration::from_secs(5)) };
        self.done.push(StepDone {
            at: Duration::ZERO,
            weight: 0,
            users_on_new: 0,
            moves: Moves { to_new: 0, back: 0 },
        });
        // The first look takes the figures that the preflight's are compared with.
        let _ = self.proxy.control.preflight(SERVICE).await;
        self.say("old has all of the traffic; the rollout begins in a moment")?;
        let (mut started, mut next) = (false, self.begin + every);
        let [interrupt, terminate] = told;
        loop {
            let look = (Instant::now() + LOOK).min(until);
            tokio::select! {
                biased;
                _ = interrupt.recv() => return Ok(End::Told),
                _ = terminate.recv() => return Ok(End::Told),
                () = tokio::time::sleep_until(look.into()) => {}
            }
            if !started && Instant::now() >= start {
                started = true;
                self.start().await?;
            }
            self.notice().await?;
            if Instant::now() >= next || Instant::now() >= until {
                next = Instant::now() + every;
                self.pass_on_messages()?;
                self.draw(until)?;
            }
            if Instant::now() >= until {
                return Ok(End::Time);
            }
        }
    }

    /// Starts the rollout, as a person would.
    async fn start(&mut self) -> io::Result<()> {
        if let Ok(preflight) = self.proxy.control.preflight(SERVICE).await
            && let Some(blind) = preflight.steps.iter().find(|need| need.seconds.is_some_and(|s| s > need.bake_seconds))
        {
            self.say(&format!(
                "preflight: step {} bakes for {:.0} s and would need {:.0} s to see twice what its gates tolerate; what is far \
                 worse shows sooner",
                blind.step,
                blind.bake_seconds,
                blind.seconds.unwrap_or_default()
            ))?;
        }
        let reason = format!("scenario {}", self.demo.options.scenario.name());
        // What is in force, and the number of the run, are for control to say.
        let command = Command::Start { in_force: None, run: 0 };
        let order = Order { command, actor: ACTOR.to_owned(), reason };
        match self.proxy.control.order(SERVICE, order).await {
            Ok(_) => Ok(()),
            Err(refused) => self.say(&format!("the rollout does not start: {refused}")),
        }
    }

    /// Says what has changed since the last look, and has the new version turn bad where that is its part.
    async fn notice(&mut self) -> io::Result<()> {
        let plan = (self.proxy.plan)();
        if self.shares.are_those_of(&plan) {
            return self.notice_words();
        }
        let (at, now) = (Instant::now(), Shares::of(&plan, &self.users));
        let weight = whole_percent(now.shares[NEW]);
        let falls = now.shares[NEW] < self.shares.shares[NEW];
        if falls {
            self.tally().may_move_back(at);
        }
        self.turn_bad_at(weight);
        self.tally().next_step();
        let by_rollout = self.is_by_rollout(now.shares[NEW]).await;
        self.notice_words()?;
        if by_rollout && falls && weight == 0 && self.turned_bad.is_some() && self.withdrawn.is_none() {
            self.withdrawn = Some(at - self.begin);
            self.because = self.said.clone().unwrap_or_default();
        }
        let moves = self.shares.moves_to(&now);
        let who = if by_rollout { "serin" } else { "somebody else" };
        let text =
            format!("{who}: new {} → {}; {}", percent(self.shares.shares[NEW]), percent(now.shares[NEW]), moved(moves));
        self.outside |= !by_rollout;
        (self.shares, self.since) = (now, at);
        let users_on_new = self.shares.users_on_new();
        self.done.push(StepDone { at: at - self.begin, weight, users_on_new, moves });
        self.say(&text)
    }

    /// Says what serin has decided, where that is new. That a step is over is said with the weights.
    fn notice_words(&mut self) -> io::Result<()> {
        let Some(rollout) = self.rollout().filter(|rollout| rollout.reason != self.said) else { return Ok(()) };
        self.said = rollout.reason;
        let text = match (&*rollout.state, rollout.step, &self.said) {
            ("baking", Some(step), _) if step > 1 => {
                format!("serin: step {} of {} held, no gate failed", step - 1, rollout.steps.len())
            }
            ("completed", ..) => "serin: the last step held, no gate failed; the rollout is complete".to_owned(),
            (.., Some(said)) => format!("serin: {said}"),
            (.., None) => return Ok(()),
        };
        self.say(&text)
    }

    /// From a weight on a bad version shows what it is.
    fn turn_bad_at(&mut self, weight: u32) {
        if self.slow.is_none() && self.done.last().is_some_and(|step| step.weight > 0) {
            // What old did while new was small is the measure for what follows.
            let [old, _] = self.tally().total();
            self.slow = old.quantile(0.99).map(Duration::from_secs_f64);
            if let Some(slow) = self.slow {
                self.tally().set_slow(slow);
            }
        }
        if self.turned_bad.is_none()
            && let Some(profile) = self.demo.options.scenario.turns_bad_at(weight)
        {
            self.demo.upstreams[NEW].behave(profile);
            self.tally().turns_bad();
            self.turned_bad = Some(self.begin.elapsed());
        }
    }

    /// Whether the rollout gave new this share. It says so a moment after the weights are in force.
    async fn is_by_rollout(&self, share: f64) -> bool {
        let until = Instant::now() + SHOWN;
        loop {
            let Some(rollout) = self.rollout() else { return false };
            if gives(&rollout, share) {
                return true;
            }
            if rollout.state == "paused" || Instant::now() >= until {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn draw(&mut self, until: Instant) -> io::Result<()> {
        let figures: [Figures; 2] = {
            let tally = self.tally();
            tally.steps[tally.step()].clone()
        };
        let rollout = self.rollout();
        let (stands, verdict) = (stands(rollout.as_ref()), judged(rollout.as_ref()));
        let live = Live {
            at: self.begin.elapsed(),
            stands: &stands,
            verdict: &verdict,
            left: until.saturating_duration_since(Instant::now()),
            over: self.since.elapsed(),
            shares: self.shares.shares,
            users_on_new: self.shares.users_on_new(),
            figures: &figures,
        };
        self.screen.draw(&live)
    }

    fn rollout(&self) -> Option<RolloutView> {
        self.proxy.control.rollout(SERVICE)
    }

    fn pass_on_messages(&mut self) -> io::Result<()> {
        let messages = self.messages.take();
        if messages.is_empty() { Ok(()) } else { self.screen.print(&messages) }
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        let head = format!("{}  ", clock(self.begin.elapsed()));
        self.screen.say(&head, text)
    }

    fn conclude(&mut self, early: bool) -> io::Result<()> {
        self.pass_on_messages()?;
        let next = Next {
            program: std::env::args().next().unwrap_or_else(|| "serin".to_owned()),
            proxy: self.proxy.address.to_string(),
            admin: self.proxy.admin.clone(),
            config: self.demo.config(),
        };
        let (tally, rollout) = (self.tally().clone(), self.rollout());
        let summary = Summary {
            scenario: self.demo.options.scenario,
            lasted: self.begin.elapsed(),
            early,
            users: USERS,
            steps: &self.done,
            tally: &tally,
            slow: self.slow,
            outside: self.outside,
            outcome: &Outcome {
                turned_bad: self.turned_bad,
                withdrawn: self.withdrawn,
                stands: stands(rollout.as_ref()),
                completed: rollout.as_ref().is_some_and(|rollout| rollout.state == "completed"),
                verdict: judged(rollout.as_ref()),
                reason: self.because.clone(),
            },
            next: &next,
        };
        self.screen.print(&summary.text())
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a rollout that stands so gives new this share.
fn gives(rollout: &RolloutView, share: f64) -> bool {
    let given = match &*rollout.state {
        "baking" | "awaitingApproval" => {
            rollout.step.and_then(|step| rollout.steps.get(step - 1)).map(|step| step.weight)
        }
        "validating" | "rolledBack" | "aborted" | "pending" => Some(0.0),
        "completed" => Some(100.0),
        _ => None,
    };
    given.is_some_and(|given| (given - share * 100.0).abs() < 1e-6)
}

/// Where a rollout stands.
fn stands(rollout: Option<&RolloutView>) -> String {
    let Some(rollout) = rollout else { return "no rollout".to_owned() };
    let step = rollout.step.map(|step| format!(", step {step} of {}", rollout.steps.len()));
    format!("{}{}", rollout.state, step.unwrap_or_default())
}

/// What the judge says of its step, in short; empty where it has nothing to judge.
fn judged(rollout: Option<&RolloutView>) -> String {
    let verdict = rollout.filter(|rollout| rollout.step.is_some()).and_then(|rollout| rollout.verdict.as_ref());
    let Some(Verdict { verdict, metrics, .. }) = verdict else { return String::new() };
    let mut saying = metrics.iter().filter(|metric| metric.verdict == *verdict);
    let Some(first) = saying.next() else { return verdict.label().to_owned() };
    let others: Vec<_> = saying.map(|metric| &*metric.metric).collect();
    let others = if others.is_empty() { String::new() } else { format!("; likewise {}", others.join(", ")) };
    // How many more requests it takes is for those who have the time.
    let first = first.sentence.split("; about").next().unwrap_or_default();
    format!("{}: {first}{others}", verdict.label())
}

/// A share in whole percent.
fn whole_percent(share: f64) -> u32 {
    (share * 100.0).round() as u32
}

/// Who moves, in words.
fn moved(moves: Moves) -> String {
    let users = |n: usize| grouped(n as u64);
    match moves {
        Moves { to_new: 0, back: 0 } => "nobody moved".to_owned(),
        Moves { to_new, back: 0 } => {
            format!("{} of {} users moved to new, nobody moved back", users(to_new), users(USERS))
        }
        Moves { to_new: 0, back } => format!("{} of {} users moved back to old", users(back), users(USERS)),
        Moves { to_new, back } => format!("{} users moved to new and {} back to old", users(to_new), users(back)),
    }
}

/// A share as a percentage without the sign: 5, 33.3.
fn percent(share: f64) -> String {
    let tenths = (share * 1000.0).round() / 10.0;
    tenths.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_says_who_moved() {
        assert_eq!(moved(Moves { to_new: 412, back: 0 }), "412 of 2,000 users moved to new, nobody moved back");
        assert_eq!(moved(Moves { to_new: 0, back: 1412 }), "1,412 of 2,000 users moved back to old");
        assert_eq!(moved(Moves { to_new: 3, back: 2 }), "3 users moved to new and 2 back to old");
        assert_eq!(moved(Moves { to_new: 0, back: 0 }), "nobody moved");
    }

    #[test]
    fn shares_are_said_as_percentages() {
        assert_eq!([0.05, 1.0 / 3.0, 1.0].map(percent), ["5", "33.3", "100"]);
    }
}
