//! Tokens: whose they are, what that allows, and how the file changes.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

use crate::support::client::{Raw, request};
use crate::support::eventually;
use crate::support::load::said;
use crate::support::serin::Serin;
use crate::{bearer, change, changing, config, generation, problem, read, tokens, turned_away, with_tokens};

const ROLES: [&str; 4] = ["viewer", "operator", "approver", "admin"];

fn one_of_each() -> Serin {
    let known: Vec<_> = ROLES.iter().map(|role| (format!("a-{role}"), *role, format!("token-{role}"))).collect();
    let known: Vec<_> = known.iter().map(|(name, role, token)| (&**name, *role, &**token)).collect();
    with_tokens(&known)
}

#[test]
fn each_role_may_do_what_the_description_says_of_each_endpoint() {
    let serin = one_of_each();
    let document: serde_json::Value =
        serde_json::from_slice(&read(&serin, "/api/v1/openapi.json", "").body).expect("JSON");
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations").iter().filter(|(key, _)| *key != "parameters")
        {
            let Some(roles) = operation["x-serin-roles"].as_array() else {
                assert!(["/livez", "/readyz", "/api/v1/me"].contains(&path.as_str()), "{path} says who may");
                continue;
            };
            // A stream has no end to wait for; whoever may have it may have its head.
            let is_endless = operation["responses"]["200"]["content"]["text/event-stream"].is_object();
            let method = if is_endless { "HEAD" } else { method };
            for role in ROLES {
                let allowed = roles.iter().any(|known| known == role);
                let real = path.replace("{service}", "shop");
                let body = "{\"weights\":{\"old\":1,\"new\":1},\"reason\":\"a test\"}";
                let asked = format!(
                    "{} {real} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{}content-type: application/json\r\n\
                     content-length: {}\r\n\r\n{body}",
                    method.to_uppercase(),
                    bearer(&format!("token-{role}")),
                    body.len()
                );
                // A stream of events has no end.
                let is_stream = !operation["responses"]["200"]["content"]["text/event-stream"].is_null();
                let answer = if allowed && is_stream {
                    Raw::connect(serin.admin()).send(asked).head().expect("a head")
                } else {
                    request(serin.admin(), &asked)
                };
                assert_eq!(answer.status != 403, allowed, "{role} {method} {path}: {}", answer.text());
                assert!(allowed || problem(&answer, 403).contains(&format!("a-{role} is {role}")), "{}", answer.text());
                tried += 1;
            }
        }
    }
    assert!(tried >= 4 * 4, "{tried}");
}

#[test]
fn a_change_is_written_down_under_the_name_of_who_made_it() {
    let serin = with_tokens(&[("alice", "operator", "secret-of-alice")]);
    assert_eq!(change(&serin, &bearer("secret-of-alice")).status, 200);
    let log = said(&serin, "weights changed");
    let line = log.lines().find(|line| line.contains("weights changed")).expect("a line");
    assert!(line.contains("alice"), "{line}");
    assert!(!log.contains("secret-of-alice"), "{log}");
    let ledger = read(&serin, "/api/v1/ledger?service=shop", "").text();
    let ledger: serde_json::Value = serde_json::from_str(&ledger).expect("JSON");
    let last = ledger["entries"].as_array().and_then(|entries| entries.last()).expect("an entry");
    assert_eq!((&last["kind"], &last["actor"]), (&"weights".into(), &"alice".into()), "{last}");
}

#[test]
fn without_credentials_one_may_read_and_learns_how_to_do_more() {
    let serin = with_tokens(&[("alice", "operator", "secret")]);
    assert_eq!(read(&serin, "/api/v1/services", "").status, 200);
    let answer = change(&serin, "");
    let detail = problem(&answer, 401);
    assert!(detail.contains("operator or admin") && detail.contains("--token-file"), "{detail}");
    assert!(answer.header("www-authenticate").is_some_and(|asked| asked.starts_with("Bearer")), "{answer:?}");
    assert_eq!(turned_away(&serin, "noCredentials"), 1.0);
    assert_eq!(generation(&serin), 1);
    let entry = eventually("the ledger to say so", || {
        let ledger: serde_json::Value =
            serde_json::from_slice(&read(&serin, "/api/v1/ledger?service=shop", "").body).expect("JSON");
        ledger["entries"].as_array()?.iter().find(|entry| entry["kind"] == "refusal").cloned()
    });
    assert_eq!(entry["asked"], "PUT /api/v1/services/shop/weights");
    assert_eq!(entry["actor"], "nobody");
    assert!(entry["reason"].as_str().is_some_and(|why| why.starts_with("noCredentials from 127.0.0.1:")), "{entry}");
    let log = said(&serin, "was turned away");
    assert!(log.contains("PUT /api/v1/services/shop/weights") && log.contains("127.0.0.1"), "{log}");
}

#[test]
fn what_is_no_token_of_anybody_is_refused_even_for_reading_and_never_written_down() {
    let serin = with_tokens(&[("alice", "operator", "secret")]);
    for (headers, reason) in [
        (bearer("wrong-token"), "unknownToken"),
        (bearer("secre"), "unknownToken"),
        ("authorization: Basic d3Jvbmc6dG9rZW4=\r\n".to_owned(), "malformed"),
        ("authorization: Bearer\r\n".to_owned(), "malformed"),
        (bearer("secret") + &bearer("secret"), "malformed"),
        (bearer(&"x".repeat(4000)), "malformed"),
    ] {
        let before = turned_away(&serin, reason);
        problem(&read(&serin, "/api/v1/services", &headers), 401);
        assert_eq!(turned_away(&serin, reason), before + 1.0, "{headers}");
    }
    let log = said(&serin, "unknownToken");
    for secret in ["wrong-token", "d3Jvbmc6dG9rZW4", "xxxx"] {
        assert!(!log.contains(secret), "{log}");
    }
    assert_eq!(change(&serin, &bearer("secret")).status, 200);
    assert_eq!(change(&serin, "authorization: bearer secret\r\n").status, 200, "schemes have no case");
}

#[test]
fn a_token_that_has_expired_is_worth_nothing() {
    let text = |year: u32| {
        tokens(&[("alice", "operator", "secret")]).replace(" }", &format!(", expires: {year}-01-01T00:00:00Z }}"))
    };
    let with = |text: &str| {
        Serin::with_files(&config("{ address: 127.0.0.1:0, tokens: tokens.yaml }"), &[("tokens.yaml", text)])
    };
    let over = with(&text(2020));
    let detail = problem(&change(&over, &bearer("secret")), 401);
    assert!(detail.contains("alice") && detail.contains("expired"), "{detail}");
    assert_eq!(turned_away(&over, "expiredToken"), 1.0);
    assert_eq!(change(&with(&text(9000)), &bearer("secret")).status, 200);
}

#[test]
fn tokens_change_with_their_file_and_a_bad_edit_changes_nothing() {
    let serin = with_tokens(&[("alice", "operator", "first")]);
    let file = serin.path("tokens.yaml");
    let status = |token: &str| change(&serin, &bearer(token)).status;
    assert_eq!((status("first"), status("second")), (200, 401));
    // Both are worth something while one takes the other's place.
    std::fs::write(&file, tokens(&[("alice", "operator", "first"), ("alice", "operator", "second")])).expect("a file");
    eventually("the second token to be known", || {
        (serin.metric("serin_config_reload_total", &["file=\"tokens.yaml\"", "result=\"applied\""]) == 1.0)
            .then_some(())
    });
    assert_eq!((status("first"), status("second")), (200, 200));
    std::fs::write(&file, tokens(&[("alice", "opperator", "first")])).expect("a file");
    let log = said(&serin, "tokens.yaml:2:");
    assert!(log.contains("tokens[0].role: unknown value") && log.contains("did you mean `operator`?"), "{log}");
    assert!(log.contains("refused; the tokens in force stay"), "{log}");
    let refusal = eventually("the ledger to say so", || {
        let page = serin.ask("GET", "/api/v1/ledger", "").text();
        let page: serde_json::Value = serde_json::from_str(&page).expect("JSON");
        page["entries"].as_array()?.iter().find(|entry| entry["result"] == "refused").cloned()
    });
    assert_eq!((&refusal["kind"], &refusal["actor"]), (&"files".into(), &"tokens.yaml".into()));
    assert!(refusal["problem"].as_str().is_some_and(|problem| problem.contains("tokens[0].role")), "{refusal}");
    assert_eq!(serin.metric("serin_config_reload_total", &["file=\"tokens.yaml\"", "result=\"refused\""]), 1.0);
    assert_eq!((status("first"), status("second")), (200, 200), "the last good ones");
    std::fs::write(&file, tokens(&[("alice", "viewer", "second")])).expect("a file");
    eventually("the new file", || {
        (serin.metric("serin_config_reload_total", &["file=\"tokens.yaml\"", "result=\"applied\""]) == 2.0)
            .then_some(())
    });
    assert_eq!((status("first"), status("second")), (401, 403), "taken away, and made less");
    std::fs::write(&file, "tokens: []\n").expect("a file");
    eventually("nobody to be known", || (status("second") == 401 || status("second") == 429).then_some(()));
}

#[test]
fn tokens_are_taken_away_also_while_serin_yaml_is_broken() {
    let serin = with_tokens(&[("alice", "operator", "first")]);
    assert_eq!(change(&serin, &bearer("first")).status, 200);
    std::fs::write(serin.path("serin.yaml"), "listeners: [\n").expect("a file");
    said(&serin, "refused; generation");
    std::fs::write(serin.path("tokens.yaml"), "tokens: []\n").expect("a file");
    eventually("the token to be worth nothing", || (change(&serin, &bearer("first")).status == 401).then_some(()));
}

#[test]
fn who_is_wrong_too_often_waits_and_so_does_what_is_right_from_there() {
    let serin = with_tokens(&[("alice", "operator", "secret")]);
    let mut answers = Vec::new();
    for number in 0..30 {
        answers.push(read(&serin, "/api/v1/services", &bearer(&format!("wrong-{number}"))));
    }
    let wrong = answers.iter().filter(|answer| answer.status == 401).count();
    // Ten, and what has filled again meanwhile.
    assert!((10..=15).contains(&wrong), "{wrong}");
    let answer = change(&serin, &bearer("secret"));
    problem(&answer, 429);
    let wait: u32 = answer.header("retry-after").expect("when to come again").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(generation(&serin), 1, "who shows nothing is not kept from reading");
    assert_eq!(read(&serin, "/livez", &bearer("wrong")).status, 200, "nor is who asks whether it lives");
    assert!(turned_away(&serin, "tooMany") >= 15.0);
}

#[test]
fn tokens_are_shown_on_kept_connections_and_by_http2_too() {
    let serin = with_tokens(&[("alice", "operator", "secret")]);
    let mut client = Raw::connect(serin.admin());
    let json = "content-type: application/json\r\n";
    for (headers, status) in [(bearer("secret"), 200), (String::new(), 401), (bearer("secret"), 200)] {
        let text = changing("localhost", &format!("{json}{headers}")).replace("connection: close\r\n", "");
        assert_eq!(client.send(text).response(false).expect("an answer").status, status);
    }
    crate::support::h2::run(async {
        use crate::support::h2::{self, AnyBody};
        let mut client = h2::connect(serin.admin()).await;
        for (token, status) in [("secret", 200), ("other", 401)] {
            let request = http::Request::get("http://localhost/api/v1/services")
                .header("authorization", format!("Bearer {token}"));
            let request = request.body(AnyBody::new(h2::Frames([].into()))).expect("a request");
            assert_eq!(client.send_request(request).await.expect("an answer").status(), status);
        }
    });
}

#[test]
fn who_drives_a_rollout_and_who_approves_it_are_told_apart_by_their_tokens() {
    let serin = one_of_each();
    let order = |role: &str, action: &str| {
        let body = format!("{{\"action\":\"{action}\",\"actor\":\"somebody\"}}");
        let headers = format!("{}content-type: application/json\r\n", bearer(&format!("token-{role}")));
        let head = "POST /api/v1/services/shop/rollout HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
        request(serin.admin(), &format!("{head}{headers}content-length: {}\r\n\r\n{body}", body.len()))
    };
    for action in ["start", "pause", "resume", "promote", "abort", "approve"] {
        for role in ROLES {
            let may = match role {
                "operator" => action != "approve",
                "approver" => action == "approve",
                other => other == "admin",
            };
            let answer = order(role, action);
            // There is no rollout here; who may not is told so first.
            let detail = problem(&answer, if may { 404 } else { 403 });
            assert!(may || detail.contains(&format!("a-{role} is {role}")), "{role} {action}: {detail}");
        }
    }
    assert!(turned_away(&serin, "forbidden") >= 12.0);
}
