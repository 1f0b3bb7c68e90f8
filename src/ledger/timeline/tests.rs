use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::ledger::{About, Counts, Digest, Draft, Source};
use crate::plan::Weight;

const RUN: u64 = 3;

fn time(seconds: u64) -> Time {
    Time::from(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds))
}

/// Entries one after the other, a number and a second each unless told otherwise.
#[derive(Default)]
struct Told(Vec<Entry>);

impl Told {
    fn entry(&mut self, at: u64, draft: Draft) -> &mut Self {
        let number = self.0.len() as u64 + 1;
        self.0.push(Entry { number, time: time(at), draft, late: false, with: None, before: Digest::NONE });
        self
    }

    fn event(&mut self, at: u64, word: &str, reason: &str, phase: &str) -> &mut Self {
        let what = What::Event { event: word.to_owned(), fields: serde_json::Map::new() };
        let about = About { rollout: Some(RUN), state: Some(state(phase)), ..About::default() };
        self.entry(at, Draft { about, ..Draft::new("rollout", reason, what).of_service("shop") })
    }

    fn weights(&mut self, at: u64, actor: &str, new: u32, about: About) -> &mut Self {
        let to = Some(weights(new));
        let what = What::Weights { source: Source::Rollout, from: None, to };
        self.entry(at, Draft { about, ..Draft::new(actor, "because", what).of_service("shop") })
    }
}

fn weights(new: u32) -> Weights {
    let weight = |share: u32| Weight::from_f64(f64::from(share)).unwrap();
    Weights(vec![("old".to_owned(), weight(100 - new)), ("new".to_owned(), weight(new))])
}

fn state(phase: &str) -> Value {
    json!({ "run": RUN, "plan": "abc", "from": "old", "to": "new", "phase": { "state": phase } })
}

fn decided(word: &str, phase: &str, figures: Option<Figures>) -> About {
    About {
        rollout: Some(RUN),
        decision: Some(word.to_owned()),
        state: Some(state(phase)),
        figures,
        verdict: (word == "rolledBack").then(verdict),
        ..About::default()
    }
}

fn verdict() -> Value {
    let estimate = |value: f64| json!({ "estimate": value, "low": value / 2.0, "high": value * 2.0, "n": 1234 });
    json!({
        "verdict": "regressed",
        "reason": "new fails 5.00% | old 0.10%",
        "metrics": [
            { "metric": "failures", "verdict": "regressed", "unit": "share", "old": estimate(0.001), "new": estimate(0.05),
              "allowed": { "ratio": 1.0, "slack": 0.002 } },
            { "metric": "p99", "verdict": "inconclusive", "unit": "seconds", "old": estimate(0.02), "new": estimate(0.03),
              "allowed": { "ratio": 1.2, "slack": 0.01 } },
        ],
    })
}

fn figures(since: u64, old: u64, new: [u64; 2], first: Option<u64>) -> Figures {
    let counts = Counts {
        seconds: 1.0,
        from: Count { requests: old, failures: 1 },
        to: Count { requests: new[0], failures: new[1] },
    };
    let first = first.map(time);
    Figures { since: time(since), run: counts, step: counts, first_failure: first, first_failure_of_step: first }
}

/// A run that is restarted in the middle of a step, edited, approved, and withdrawn.
fn run() -> Vec<Entry> {
    let mut told = Told::default();
    let plan = What::Event {
        event: "plan".to_owned(),
        fields: serde_json::Map::from_iter([(
            "plan".to_owned(),
            json!({ "from": "old", "to": "new", "steps": [{ "weight": 5.0, "bakeMs": 60_000 }, { "weight": 12.5, "bakeMs": 3_600_000 }] }),
        )]),
    };
    let about = About { rollout: Some(RUN), ..About::default() };
    told.entry(
        90,
        Draft::new("ada", "", What::Weights { source: Source::File, from: None, to: Some(weights(0)) })
            .of_service("shop"),
    )
    .entry(100, Draft { about: about.clone(), ..Draft::new("ada", "", plan).of_service("shop") })
    .weights(100, "ada", 5, decided("started", "baking", None))
    .entry(105, Draft::new("serin.yaml", "", What::Started { version: String::new() }))
    .event(110, "progress", "step 1 has been baking for 1m", "baking")
    .event(120, "paused", "paused: <b>ada</b> | changed\nweights", "paused")
    .entry(
        121,
        Draft::new("ada", "by hand", What::Weights { source: Source::Admin, from: None, to: Some(weights(7)) })
            .of_service("shop"),
    )
    .entry(
        130,
        Draft { about, ..Draft::new("grace", "fine", What::Approval { of: "abc".to_owned() }).of_service("shop") },
    )
    .weights(130, "grace", 50, decided("approved", "baking", Some(figures(100, 9_000, [500, 2], Some(101)))))
    .weights(142, "rollout", 0, decided("rolledBack", "validating", Some(figures(135, 1_000, [1_000, 40], Some(140)))))
    .entry(143, Draft::new("ada", "", What::Refusal { asked: String::new() }).of_service("cart"));
    told.0.last_mut().unwrap().draft.about.rollout = Some(RUN + 1);
    told.event(147, "validated", "back as before within 5.0s: 0 picks since", "rolledBack");
    let last = told.0.last_mut().unwrap();
    last.draft.about.figures = Some(figures(135, 2_000, [1_003, 41], Some(140)));
    told.0
}

#[test]
fn a_review_finds_what_it_asks_for() {
    let timeline = Timeline::of(RUN, &run()).unwrap();
    assert_eq!(
        (&*timeline.service, &*timeline.from, &*timeline.to, &*timeline.state),
        ("shop", "old", "new", "rolledBack")
    );
    assert_eq!(timeline.started.as_ref().map(|said| (&*said.actor, said.time)), Some(("ada", time(100))));
    let withdrawal = timeline.withdrawal.as_ref().unwrap();
    assert_eq!((withdrawal.said.entry, &*withdrawal.said.actor), (10, "rollout"));
    assert_eq!((withdrawal.first_failure, withdrawal.first_failure_of_step), (Some(time(101)), Some(time(140))));
    assert_eq!(withdrawal.seconds_since_first_failure, Some(41.0));
    assert_eq!(withdrawal.seconds_since_first_failure_of_step, Some(2.0));
    let validation = timeline.validation.as_ref().unwrap();
    assert_eq!((validation.well, validation.seconds_since_withdrawal), (true, Some(5.0)));
    // The last figures of each of the two processes, together.
    let counted = timeline.counted.unwrap();
    assert_eq!(
        (counted.to.requests, counted.to.failures, counted.from.requests, counted.restarts),
        (1_503, 43, 11_000, 1)
    );
    assert_eq!(timeline.verdict.as_ref().map(|judged| judged.entry), Some(10));
    assert_eq!(timeline.approvals.iter().map(|said| &*said.actor).collect::<Vec<_>>(), ["grace"]);
    let shares: Vec<_> =
        timeline.weights.iter().map(|one| one.weights.as_ref().unwrap().0[1].1.as_f64() as u32).collect();
    assert_eq!(shares, [5, 7, 50, 0], "what others changed meanwhile, too, and nothing from before");
    let words: Vec<_> = timeline.moments.iter().map(|one| (&*one.what, one.own)).collect();
    let own = |word| (word, true);
    assert_eq!(
        words,
        [
            own("started"),
            own("paused"),
            ("weights", false),
            own("approval"),
            own("approved"),
            own("rolledBack"),
            own("validated")
        ]
    );
}

#[test]
fn the_markdown_holds_all_of_it_and_what_people_said_is_text() {
    let text = Timeline::of(RUN, &run()).unwrap().to_string();
    for part in [
        "# Rollout 3 of shop: rolled back\n",
        "serin withdrew it at 1970-01-01 00:02:22.000, 2.0 s after its first failure in the step.",
        "| Plan | from old to new: 5% for 60.0 s, 12.5% for 1 h 0 m |",
        "| Requests new answered | 1,503, of which 43 failed (2.86%); counted anew after 1 restart, what was between is missing |",
        "| First failure of new | in the step 1970-01-01 00:02:20.000, 2.0 s before the withdrawal; in the run 1970-01-01 00:01:41.000, 41.0 s before the withdrawal |",
        "| Validation | as before 5.0 s after the withdrawal: back as before within 5.0s: 0 picks since |",
        "| Approvals | grace at 1970-01-01 00:02:10.000 (entry 8) |",
        "> new fails 5.00% \\| old 0.10%",
        "| failures | 0.10% (0.05% to 0.20%), n = 1,234 | 5.00% (2.50% to 10.00%), n = 1,234 | old + 0.20% | regressed |",
        "| p99 | 20.0 ms (10.0 ms to 40.0 ms), n = 1,234 | 30.0 ms (15.0 ms to 60.0 ms), n = 1,234 | old × 1.2 + 10.0 ms | inconclusive |",
        "| 1970-01-01 00:02:22.000 | old 100, new 0 | rollout | 10 |",
        "paused: &lt;b&gt;ada&lt;/b&gt; \\| changed weights",
    ] {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
    assert!(!text.contains("baking for"), "{text}");
}

#[test]
fn entries_of_earlier_versions_make_a_timeline_with_what_they_have() {
    let mut entries = run();
    for entry in &mut entries {
        (entry.draft.about.decision, entry.draft.about.figures) = (None, None);
    }
    let timeline = Timeline::of(RUN, &entries).unwrap();
    assert_eq!(timeline.withdrawal.as_ref().map(|withdrawal| withdrawal.said.entry), Some(10));
    assert_eq!(timeline.counted, None);
    assert!(timeline.to_string().contains("| First failure of new | none was seen |"));
    assert_eq!(Timeline::of(RUN + 7, &entries), None);
}

#[test]
fn a_written_entry_is_read_as_it_was() {
    let about = decided("rolledBack", "validating", Some(figures(1, 2, [3, 1], None)));
    let files = BTreeMap::new();
    let what = What::Weights { source: Source::Rollout, from: None, to: None };
    let draft = Draft { about, files, ..Draft::new("rollout", "", what).of_service("shop") };
    let entry = Entry { number: 1, time: time(1), draft, late: false, with: None, before: Digest::NONE };
    let line = serde_json::to_string(&entry).unwrap();
    assert_eq!(serde_json::from_str::<Entry>(&line).unwrap(), entry);
    // One that was written before these fields were there.
    let older = line.replace("\"decision\":\"rolledBack\",", "");
    assert_eq!(serde_json::from_str::<Entry>(&older).unwrap().draft.about.decision, None);
}
