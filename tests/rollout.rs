//! Rollouts through real sockets: widened step by step, withdrawn by the machine, paused by people, taken up after a crash.

#![allow(clippy::float_cmp, reason = "shares and counts are exact")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use support::client::Response;
use support::load::{Load, WITH_WEIGHTS, shop};
use support::serin::{Serin, command};
use support::upstream::Upstream;
use support::{OK, eventually};

/// An upstream that answers well, or every `nth` request with 503, or late, once it is told to.
struct Version {
    upstream: Upstream,
    bad: Arc<AtomicBool>,
}

#[derive(Clone, Copy)]
enum Harm {
    /// One in so many fails.
    Fails(u64),
    /// One in so many takes so long; the same of those that are well take a third of it.
    Tail(u64, Duration),
}

impl Version {
    fn new(harm: Harm) -> Self {
        let bad = Arc::<AtomicBool>::default();
        let (told, count) = (Arc::clone(&bad), Arc::<AtomicU64>::default());
        let upstream = Upstream::scripted(move |connection| {
            while connection.request().is_some() {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let bad = told.load(Ordering::SeqCst);
                let mut answer = OK;
                match harm {
                    Harm::Fails(nth) if bad && number.is_multiple_of(nth) => {
                        answer = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno";
                    }
                    Harm::Tail(nth, time) if number.is_multiple_of(nth) => {
                        std::thread::sleep(if bad { time } else { time / 3 });
                    }
                    _ => {}
                }
                connection.send(answer);
            }
        });
        Self { upstream, bad }
    }

    fn turns_bad(&self) {
        self.bad.store(true, Ordering::SeqCst);
    }
}

fn config(old: &Upstream, new: &Upstream, rollout: &str, top: &str) -> String {
    shop(&[("old", old), ("new", new)], &format!("    rollout: {{ from: old, to: new, {rollout} }}\n"), top)
}

fn start(old: &Upstream, new: &Upstream, rollout: &str) -> Serin {
    Serin::new(&config(old, new, rollout, ""))
}

fn order(serin: &Serin, body: &str) -> Response {
    serin.ask("POST", "/api/v1/services/shop/rollout", body)
}

/// Gives an order that is carried out.
fn ordered(serin: &Serin, body: &str) -> Value {
    let answer = order(serin, body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_str(&answer.text()).expect("JSON")
}

/// Where the rollout stands, as the service shows it.
fn state(serin: &Serin) -> Value {
    let text = serin.ask("GET", "/api/v1/services/shop", "").text();
    let mut service: Value = serde_json::from_str(&text).expect("JSON");
    service["rollout"].take()
}

fn await_state(serin: &Serin, wanted: &str) -> Value {
    // Some waits are for evidence, which takes requests: more patience than for what is merely on its way.
    let until = std::time::Instant::now() + support::PATIENCE * 3;
    loop {
        let view = state(serin);
        if view["state"] == wanted {
            return view;
        }
        assert!(std::time::Instant::now() < until, "waited in vain for {wanted}: {view:#}");
        // Not a guess at how long things take: only the pace of asking.
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The entries of the ledger, oldest first.
fn ledger(serin: &Serin) -> Vec<Value> {
    let text = serin.ask("GET", "/api/v1/ledger?after=0&limit=1000", "").text();
    let page: Value = serde_json::from_str(&text).expect("JSON");
    page["entries"].as_array().expect("entries").clone()
}

fn has_entry(entries: &[Value], what: impl Fn(&Value) -> bool) -> bool {
    entries.iter().any(what)
}

#[test]
fn a_version_that_fails_is_withdrawn_at_once_and_that_is_validated_and_written_down() {
    let (old, new) = (Version::new(Harm::Fails(5)), Version::new(Harm::Fails(5)));
    let serin = start(&old.upstream, &new.upstream, "steps: [ { weight: 5, bake: 1h }, { weight: 50, bake: 1h } ]");
    let load = Load::start(serin.web(), 8);
    load.await_more(200);
    ordered(&serin, r#"{"action":"start","reason":"release 7","actor":"ada"}"#);
    serin.await_share("shop", "new", 0.05);
    new.turns_bad();
    let view = await_state(&serin, "rolledBack");
    serin.await_share("shop", "new", 0.0);
    let asked = new.upstream.requests().len();
    load.await_more(300);
    assert_eq!(new.upstream.requests().len(), asked, "nobody meets it any more");
    load.stop();

    assert_eq!(view["validated"], true, "{view:#}");
    assert!(view["reason"].as_str().is_some_and(|reason| reason.starts_with("back as before within")), "{view:#}");
    let entries = ledger(&serin);
    let by = |entry: &Value, actor: &str| entry["actor"] == actor && entry["rollout"] == 1;
    assert!(has_entry(&entries, |e| by(e, "ada") && e["kind"] == "weights" && e["to"]["new"] == 5), "{entries:#?}");
    let back =
        |entry: &Value| by(entry, "rollout") && entry["to"]["new"] == 0 && entry["verdict"]["verdict"] == "regressed";
    assert!(has_entry(&entries, back), "{entries:#?}");
    assert!(has_entry(&entries, |e| by(e, "rollout") && e["event"] == "validated"), "{entries:#?}");
    assert_eq!(serin.metric("serin_rollout_state", &["state=\"rolledBack\""]), 1.0);
    assert_eq!(serin.metric("serin_rollout_decisions_total", &["decision=\"rolledBack\""]), 1.0);
    assert_eq!(serin.metric("serin_rollout_step", &[]), 0.0);
}

#[test]
fn a_version_with_a_slower_tail_is_withdrawn() {
    let tail = Harm::Tail(25, Duration::from_millis(30));
    let (old, new) = (Version::new(tail), Version::new(tail));
    let gates = "gates: { latency: [ { quantile: 0.99, maxRatio: 1.2, slack: 1ms } ] }";
    let serin = start(&old.upstream, &new.upstream, &format!("steps: [ {{ weight: 50, bake: 1h }} ], {gates}"));
    let load = Load::start(serin.web(), 12);
    ordered(&serin, r#"{"action":"start"}"#);
    serin.await_share("shop", "new", 0.5);
    load.await_more(200);
    new.turns_bad();
    await_state(&serin, "rolledBack");
    serin.await_share("shop", "new", 0.0);
    load.stop();
    let entries = ledger(&serin);
    let p99 =
        |entry: &Value| entry["reason"].as_str().is_some_and(|why| why.contains("p99") && why.contains("rolled back"));
    assert!(has_entry(&entries, p99), "{entries:#?}");
}

#[test]
fn steps_follow_each_other_with_an_approval_on_the_way() {
    let (old, new) = (Upstream::answering(OK), Upstream::answering(OK));
    let steps = "steps: [ { weight: 10, bake: 100ms }, { weight: 50, bake: 100ms }, { weight: 100, bake: 100ms } ]";
    let serin = start(&old, &new, &format!("{steps}, minRequests: 30, approval: {{ above: 25 }}"));
    let load = Load::start(serin.web(), 4);
    let rollout = |words: &[&str]| {
        let url = serin.admin_url();
        let done = command(&[&["rollout"], words, &["--admin", &url]].concat());
        let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        (done.status.code(), said)
    };
    let (code, said) = rollout(&["start", "shop", "--as", "ada", "--reason", "release 8"]);
    assert_eq!(code, Some(0), "{said}");
    let waits = await_state(&serin, "awaitingApproval");
    assert_eq!((&waits["step"], &waits["startedBy"]), (&2.into(), &"ada".into()));
    serin.await_share("shop", "new", 0.1);
    let (code, said) = rollout(&["approve", "shop", "--as", "ada"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("ada started this rollout: somebody else must approve it"), "{said}");
    let (code, said) = rollout(&["approve", "shop", "--as", "grace", "--plan", "0123"]);
    assert_eq!(code, Some(1), "{said}");
    let shown = command(&["status", "shop", "--admin", &serin.admin_url()]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("rollout 1 old → new: awaitingApproval, step 2 of 3 (50%)"), "{shown}");
    let (code, said) = rollout(&["approve", "shop", "--as", "grace"]);
    assert_eq!(code, Some(0), "{said}");
    await_state(&serin, "completed");
    serin.await_share("shop", "new", 1.0);
    load.stop();
    let entries = ledger(&serin);
    assert!(has_entry(&entries, |e| e["kind"] == "approval" && e["actor"] == "grace"), "{entries:#?}");
    let hides = |e: &Value| e["reason"].as_str().is_some_and(|why| why.contains("could still hide: "));
    assert!(has_entry(&entries, hides), "{entries:#?}");
    assert!(has_entry(&entries, |e| e["event"] == "plan" && e["fields"]["plan"]["to"] == "new"), "{entries:#?}");
}

#[test]
fn an_edit_of_the_weight_file_pauses_and_resuming_gives_the_step_its_share_again() {
    let (old, new) = (Upstream::answering(OK), Upstream::answering(OK));
    let text = config(&old, &new, "steps: [ { weight: 10, bake: 1h } ]", WITH_WEIGHTS);
    let serin = Serin::with_files(&text, &[("weights.yaml", "shop: { old: 100, new: 0 }\n")]);
    ordered(&serin, r#"{"action":"start"}"#);
    serin.await_share("shop", "new", 0.1);
    std::fs::write(serin.path("weights.yaml"), "shop: { old: 70, new: 30 }\n").unwrap();
    serin.await_share("shop", "new", 0.3);
    let view = await_state(&serin, "paused");
    let said = view["reason"].as_str().unwrap_or_default();
    assert!(said.starts_with("paused: ") && said.contains("changed the weights by hand, now 30% to new"), "{view:#}");
    ordered(&serin, r#"{"action":"resume"}"#);
    serin.await_share("shop", "new", 0.1);
    // The API is no rollout either.
    let put = serin.ask("PUT", "/api/v1/services/shop/weights", r#"{"weights":{"old":80,"new":20}}"#);
    assert_eq!(put.status, 200, "{}", put.text());
    await_state(&serin, "paused");
    ordered(&serin, r#"{"action":"abort","reason":"enough"}"#);
    serin.await_share("shop", "new", 0.0);
    assert_eq!(state(&serin)["state"], "validating");
}

#[test]
fn a_new_plan_takes_the_target_to_nothing_and_then_starts_and_no_plan_ends_it() {
    let (old, new) = (Upstream::answering(OK), Upstream::answering(OK));
    let mut serin = start(&old, &new, "steps: [ { weight: 10, bake: 1h } ]");
    let write = |serin: &Serin, text: String| std::fs::write(serin.path("serin.yaml"), text).unwrap();
    ordered(&serin, r#"{"action":"start"}"#);
    serin.await_share("shop", "new", 0.1);
    write(&serin, config(&old, &new, "steps: [ { weight: 20, bake: 1h } ]", ""));
    serin.await_share("shop", "new", 0.2);
    assert_eq!(state(&serin)["run"], 2);
    let entries = ledger(&serin);
    let to_nothing = entries.iter().position(|e| e["to"]["new"] == 0 && e["rollout"] == 1);
    let to_more = entries.iter().position(|e| e["to"]["new"] == 20 && e["rollout"] == 2);
    assert!(to_nothing.is_some() && to_nothing < to_more, "{entries:#?}");
    write(&serin, shop(&[("old", &old), ("new", &new)], "", ""));
    serin.await_share("shop", "new", 0.0);
    eventually("no rollout to be shown", || state(&serin).is_null().then_some(()));
    assert_eq!(order(&serin, r#"{"action":"start"}"#).status, 404);
    assert!(serin.is_running());
}

#[test]
fn a_crash_in_the_middle_of_a_step_is_no_end_and_widens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let state_dir = format!("stateDir: {}\n", folder.path().display());
    let (old, new) = (Upstream::answering(OK), Upstream::answering(OK));
    let text = config(&old, &new, "steps: [ { weight: 10, bake: 1h }, { weight: 50, bake: 1h } ]", &state_dir);
    let mut serin = Serin::new(&text);
    ordered(&serin, r#"{"action":"start","actor":"ada"}"#);
    ordered(&serin, r#"{"action":"promote","actor":"grace"}"#);
    serin.await_share("shop", "new", 0.5);
    serin.signal("KILL");
    serin.wait();
    let serin = Serin::new(&text);
    serin.await_share("shop", "new", 0.5);
    let view = await_state(&serin, "baking");
    assert_eq!((&view["step"], &view["run"], &view["startedBy"]), (&2.into(), &1.into(), &"ada".into()), "{view:#}");
    ordered(&serin, r#"{"action":"pause"}"#);
    drop(serin);
    // Another plan while nobody looked: the old target goes to nothing first, as it would have.
    let other = config(&old, &new, "steps: [ { weight: 3, bake: 1h } ]", &state_dir);
    let serin = Serin::new(&other);
    serin.await_share("shop", "new", 0.03);
    assert_eq!(state(&serin)["run"], 2);
    drop(serin);
    // And none at all.
    let serin = Serin::new(&shop(&[("old", &old), ("new", &new)], "", &state_dir));
    serin.await_share("shop", "new", 0.0);
    let verified = command(&["ledger", "verify", "--admin", &serin.admin_url()]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

#[test]
fn a_start_is_refused_while_something_stands_in_its_way() {
    let (old, new) = (Upstream::answering(OK), Upstream::answering(OK));
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = config(&old, &new, "steps: [ { weight: 10, bake: 1h } ]", "");
    let text = text.replace(
        &format!("new: {{ upstream: \"{}\" }}", new.url()),
        &format!("new: {{ upstream: \"http://{gone}\", health: {{ type: tcp, interval: 20ms, unhealthyAfter: 1 }} }}"),
    );
    let serin = Serin::new(&text);
    let refused = eventually("the new version to be known as down", || {
        let url = serin.admin_url();
        let done = command(&["rollout", "preflight", "shop", "--admin", &url]);
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        (done.status.code() == Some(1)).then_some(said)
    });
    assert!(refused.contains("REFUSE  to        new has no address that takes requests"), "{refused}");
    assert!(refused.contains("warn    rollback"), "{refused}");
    assert!(refused.contains("not ready to start"), "{refused}");
    let answer = order(&serin, r#"{"action":"start"}"#);
    assert_eq!(answer.status, 409);
    assert!(answer.text().contains("not started: new has no address that takes requests"), "{}", answer.text());
    serin.await_share("shop", "new", 0.0);
}

#[test]
fn a_preflight_says_how_long_steps_need_to_see_harm() {
    let (old, new) = (Upstream::answering(OK), Upstream::answering(OK));
    let serin = start(&old, &new, "steps: [ { weight: 1, bake: 1s }, { weight: 50, bake: 720h } ]");
    let load = Load::start(serin.web(), 4);
    load.await_more(400);
    // The first look takes the figures that the next ones are compared with.
    let preflight = eventually("figures of today's traffic", || {
        let text = serin.ask("GET", "/api/v1/services/shop/rollout/preflight", "").text();
        let preflight: Value = serde_json::from_str(&text).expect("JSON");
        preflight["steps"][0]["requests"].is_u64().then_some(preflight)
    });
    load.stop();
    let steps = preflight["steps"].as_array().unwrap();
    assert!(steps[0]["seconds"].as_f64() > steps[1]["seconds"].as_f64(), "{preflight:#}");
    let evidence = preflight["checks"].as_array().unwrap().iter().find(|check| check["name"] == "evidence").unwrap();
    assert_eq!(evidence["grade"], "warn", "{preflight:#}");
    assert!(evidence["detail"].as_str().is_some_and(|said| said.contains("step 1 (1% of")), "{preflight:#}");
    assert_eq!(preflight["ready"], true);
}

#[test]
fn orders_that_make_no_sense_are_problems_with_a_sentence() {
    let (old, new) = (Upstream::answering(OK), Upstream::answering(OK));
    let serin = start(&old, &new, "steps: [ { weight: 10, bake: 1h } ], approval: { above: 50 }");
    let cases = [
        ("/api/v1/services/shop/rollout", r#"{"action":"abort"}"#, 409, "there is nothing to abort"),
        ("/api/v1/services/shop/rollout", r#"{"action":"dance"}"#, 400, "unknown variant `dance`"),
        ("/api/v1/services/shop/rollout", r#"{"action":"start","actor":""}"#, 400, "`actor` is not a name"),
        ("/api/v1/services/nowhere/rollout", r#"{"action":"start"}"#, 404, "there is no service `nowhere`"),
    ];
    for (path, body, status, said) in cases {
        let answer = serin.ask("POST", path, body);
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert!(answer.text().contains(said), "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    ordered(&serin, r#"{"action":"start","actor":"ada"}"#);
    assert_eq!(order(&serin, r#"{"action":"approve","actor":"ada"}"#).status, 403);
    assert_eq!(order(&serin, r#"{"action":"approve","actor":"grace","planHash":"0"}"#).status, 409);
    ordered(&serin, r#"{"action":"approve","actor":"grace"}"#);
    let document = serin.ask("GET", "/api/v1/openapi.json", "").text();
    assert!(document.contains("orderRollout") && document.contains("preflightRollout"));
}
