//! The script: addresses, traffic, one edit of the weight file after another, the summary.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderValue;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::files::{Moves, Shares, in_force};
use super::messages::Messages;
use super::prepare::{Demo, DemoError, Options, Proxy, Show, system};
use super::scenario::Step;
use super::screen::{Live, Screen, clock, fails_more, grouped, is_slower, ms};
use super::summary::{Next, StepDone, Summary};
use super::tally::{Figures, Tally};
use super::traffic::{RATE, Traffic};
use super::{NEW, SERVICE};

/// How many users there are.
const USERS: usize = 2000;
/// How often the table is drawn on a terminal.
const FRAME: Duration = Duration::from_millis(250);
/// How often the weights in force are looked at after an edit.
const LOOK: Duration = Duration::from_millis(1);
/// How long an edit may take to be in force before the script goes on without.
const PATIENCE: Duration = Duration::from_secs(5);

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
    slow: Option<Duration>,
    outside: bool,
}

/// What makes a step end.
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
            slow: None,
            outside: false,
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
        let end = self.steps(&mut told).await;
        traffic.finish();
        self.conclude(end? == End::Told).map_err(DemoError::Output)
    }

    fn introduce(&mut self) -> io::Result<()> {
        let Options { scenario, .. } = self.demo.options;
        let Proxy { address, admin, .. } = &self.proxy;
        let text = format!(
            "proxy http://{address}   admin {admin}\n\
             files {} and weights.yaml beside it\n\n\
             {} users ask the service `{SERVICE}` through serin, {RATE} requests a second.\n\
             Scenario {}: {}\n\
             From another terminal:  curl -i -H 'x-user-id: ada' http://{address}/\n\
             You may edit weights.yaml yourself. Ctrl-C ends it early, with the summary.\n\n",
            self.demo.config().display(),
            grouped(USERS as u64),
            scenario.name(),
            scenario.story(),
        );
        self.screen.print(&text)
    }

    async fn steps(&mut self, told: &mut [Signal; 2]) -> Result<End, DemoError> {
        let steps = self.demo.options.scenario.steps(self.demo.options.total);
        let mut until = self.begin;
        for (index, step) in steps.iter().enumerate() {
            match index.checked_sub(1) {
                None => self.start_at(*step)?,
                Some(before) => self.edit(steps[before], *step).await?,
            }
            until += step.lasts;
            let end = self.watch((index + 1, steps.len()), until, told).await.map_err(DemoError::Output)?;
            if end == End::Told {
                return Ok(end);
            }
        }
        Ok(End::Time)
    }

    fn start_at(&mut self, step: Step) -> Result<(), DemoError> {
        let users_on_new = self.shares.users_on_new();
        let moves = Moves { to_new: users_on_new, back: 0 };
        self.done.push(StepDone { at: Duration::ZERO, weight: step.weight, users_on_new, moves });
        let text = format!(
            "weights.yaml: new starts at {}; {} of {} users are on new",
            step.weight,
            grouped(users_on_new as u64),
            grouped(USERS as u64)
        );
        self.say(&text).map_err(DemoError::Output)
    }

    /// Edits the weight file and waits until the edit is in force.
    async fn edit(&mut self, before: Step, step: Step) -> Result<(), DemoError> {
        if step.weight < before.weight {
            let why = self.why_back();
            self.say(&why).map_err(DemoError::Output)?;
            self.tally().may_move_back();
        } else if self.slow.is_none() {
            // What old did while new was small is the measure for what follows.
            let [old, _] = self.tally().total();
            self.slow = old.quantile(0.99).map(Duration::from_secs_f64);
            if let Some(slow) = self.slow {
                self.tally().set_slow(slow);
            }
        }
        self.notice_outside().map_err(DemoError::Output)?;
        let file = self.demo.folder.weights();
        self.demo
            .folder
            .write_weights(step.weight)
            .map_err(system(format!("{}: cannot be written", file.display())))?;
        let written = Instant::now();
        while !in_force(&(self.proxy.plan)(), step.weight) {
            if written.elapsed() > PATIENCE {
                let text =
                    format!("weights.yaml: new {} → {}; NOT in force after {PATIENCE:?}", before.weight, step.weight);
                return self.say(&text).map_err(DemoError::Output);
            }
            tokio::time::sleep(LOOK).await;
        }
        let took = written.elapsed();
        let new = step.weight;
        self.demo.upstreams[NEW].behave(self.demo.options.scenario.new_at(new));
        self.tally().next_step();
        let after = Shares::of(&(self.proxy.plan)(), &self.users);
        let moves = self.shares.moves_to(&after);
        let text = format!(
            "weights.yaml: new {} → {new}; in force after {:.0} ms; {}",
            percent(self.shares.shares[NEW]),
            (took.as_secs_f64() * 1e3).max(1.0),
            moved(moves)
        );
        self.shares = after;
        let users_on_new = self.shares.users_on_new();
        self.done.push(StepDone { at: self.begin.elapsed(), weight: new, users_on_new, moves });
        self.say(&text).map_err(DemoError::Output)
    }

    /// What an operator would see before taking a version back.
    fn why_back(&self) -> String {
        let tally = self.tally();
        let figures = &tally.steps[tally.step()];
        let [old, new] = figures;
        let seen = if fails_more(figures) {
            format!(
                "new fails {:.1} % of its requests and old {:.1} %",
                new.failure_share() * 100.0,
                old.failure_share() * 100.0
            )
        } else if is_slower(figures) {
            format!("new's p99 is {} ms and old's {} ms", ms(new.quantile(0.99)), ms(old.quantile(0.99)))
        } else {
            "new is worse than old".to_owned()
        };
        format!("{seen}: as an operator would, the demo now takes new back")
    }

    /// Shows the figures until the time comes.
    async fn watch(&mut self, step: (usize, usize), until: Instant, told: &mut [Signal; 2]) -> io::Result<End> {
        let began = Instant::now();
        let every = if self.screen.live {
            FRAME
        } else {
            (self.demo.options.total / 12).clamp(Duration::from_secs(1), Duration::from_secs(5))
        };
        let [interrupt, terminate] = told;
        let end = loop {
            let next = (Instant::now() + every).min(until);
            let end = tokio::select! {
                biased;
                _ = interrupt.recv() => Some(End::Told),
                _ = terminate.recv() => Some(End::Told),
                () = tokio::time::sleep_until(next.into()) => (next == until).then_some(End::Time),
            };
            self.notice_outside()?;
            self.pass_on_messages()?;
            self.draw(step, began, until)?;
            if let Some(end) = end {
                break end;
            }
        };
        Ok(end)
    }

    fn draw(&mut self, step: (usize, usize), began: Instant, until: Instant) -> io::Result<()> {
        let figures: [Figures; 2] = {
            let tally = self.tally();
            tally.steps[tally.step()].clone()
        };
        let live = Live {
            at: self.begin.elapsed(),
            step,
            left: until.saturating_duration_since(Instant::now()),
            over: began.elapsed(),
            shares: self.shares.shares,
            users_on_new: self.shares.users_on_new(),
            figures: &figures,
        };
        self.screen.draw(&live)
    }

    /// Says so if somebody else has changed the weights.
    fn notice_outside(&mut self) -> io::Result<()> {
        let now = Shares::of(&(self.proxy.plan)(), &self.users);
        if now.are(&self.shares) {
            return Ok(());
        }
        if now.shares[NEW] < self.shares.shares[NEW] {
            self.tally().may_move_back();
        }
        let text = format!(
            "somebody else: new {} → {}; {}",
            percent(self.shares.shares[NEW]),
            percent(now.shares[NEW]),
            moved(self.shares.moves_to(&now))
        );
        (self.shares, self.outside) = (now, true);
        self.say(&text)
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
        let tally = self.tally().clone();
        let summary = Summary {
            scenario: self.demo.options.scenario,
            lasted: self.begin.elapsed(),
            early,
            users: USERS,
            steps: &self.done,
            tally: &tally,
            slow: self.slow,
            outside: self.outside,
            next: &next,
        };
        self.screen.print(&summary.text())
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
