//! Claims count only where a key of ours vouches for them.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::serin_with;
use crate::support::client::get;
use crate::support::eventually;
use crate::support::load::{await_metric, said};
use crate::support::serin::Serin;
use crate::support::tokens::{Issuer, base64, jwks};
use crate::support::upstream::Upstream;

const FLAGS: &str = r#"
flags:
  who:
    state: ENABLED
    variants: { staff: staff, customer: customer, nobody: nobody }
    defaultVariant: nobody
    targeting:
      if:
        - { "!": [ { var: email } ] }
        - null
        - { and: [ { ends_with: [ { var: email }, "@shop.example" ] }, { in: [ admin, { var: roles } ] } ] }
        - staff
        - customer
"#;

const CONTEXT: &str = "\
flagContext:
  attributes: [ { claim: email }, { claim: \"https://shop/roles\", as: roles } ]
  jwt: { jwks: keys.json, issuer: https://id, audience: shop }
";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn claims() -> Value {
    json!({
        "exp": now() + 600, "iss": "https://id", "aud": ["shop"], "email": "a@shop.example",
        "https://shop/roles": ["admin"],
    })
}

fn changed(changes: &[(&str, Value)]) -> Value {
    let mut claims = claims();
    for (name, value) in changes {
        claims[*name] = value.clone();
    }
    claims
}

fn guarded(upstream: &Upstream, keys: &str) -> Serin {
    let files = [("flags.yaml", FLAGS), ("keys.json", keys)];
    serin_with(&[("v1", upstream)], "", CONTEXT, "    flags: [who]\n", &files)
}

/// Whom the flag took the bearer of a token for.
fn who(serin: &Serin, upstream: &Upstream, token: &str) -> String {
    assert_eq!(get(serin.web(), "/", &format!("authorization: Bearer {token}\r\n")).status, 200, "never a refusal");
    upstream.last().header("x-serin-flag-who").expect("a value")
}

#[test]
fn claims_of_a_token_that_holds_are_attributes_in_every_algorithm() {
    let issuers = [Issuer::rs256("a"), Issuer::es256("b"), Issuer::eddsa("c")];
    let upstream = Upstream::named("v1");
    let serin = guarded(&upstream, &jwks(&issuers.each_ref()));
    for issuer in &issuers {
        let token = issuer.token(&claims());
        assert_eq!(who(&serin, &upstream, &token), "staff");
        let customer = issuer.token(&changed(&[("https://shop/roles", json!(["buyer"]))]));
        assert_eq!(who(&serin, &upstream, &customer), "customer");
        // It is passed on as it came.
        assert_eq!(upstream.last().header("authorization"), Some(format!("Bearer {customer}")));
    }
    await_metric(&serin, "serin_jwt_total", &["result=\"verified\""], 6.0);
    get(serin.web(), "/", "");
    assert_eq!(upstream.last().header("x-serin-flag-who").as_deref(), Some("nobody"));
    await_metric(&serin, "serin_jwt_total", &[], 6.0);
}

#[test]
fn a_token_that_does_not_hold_gives_no_claims_and_never_a_refusal() {
    let (rsa, ec, stranger) = (Issuer::rs256("rsa"), Issuer::es256("ec"), Issuer::rs256("rsa"));
    let upstream = Upstream::named("v1");
    let serin = guarded(&upstream, &jwks(&[&rsa, &ec]));
    let good = ec.token(&claims());
    let (head, rest) = good.split_once('.').expect("three parts");
    let (_, signature) = rest.split_once('.').expect("three parts");
    let tampered = format!("{head}.{}.{signature}", base64(changed(&[("admin", json!(true))]).to_string().as_bytes()));
    // The public key, which everybody has, as the secret of a symmetric algorithm; and no algorithm at all.
    let symmetric = rsa.token_of(&json!({ "alg": "HS256", "kid": "rsa" }), &claims());
    let none = format!("{}.{}.", base64(br#"{"alg":"none"}"#), base64(claims().to_string().as_bytes()));
    for (token, result) in [
        (tampered, "signature"),
        (stranger.token(&claims()), "signature"),
        (symmetric, "unsupported"),
        (rsa.token_of(&json!({ "alg": "ES256", "kid": "rsa" }), &claims()), "unsupported"),
        (rsa.token_of(&json!({ "alg": "RS256", "kid": "gone" }), &claims()), "unknownKey"),
        (none, "malformed"),
        ("not.a.token".to_owned(), "malformed"),
        (ec.token(&changed(&[("exp", json!(now() - 31))])), "expired"),
        (ec.token(&changed(&[("exp", Value::Null)])), "expired"),
        (ec.token(&changed(&[("nbf", json!(now() + 60))])), "notYet"),
        (ec.token(&changed(&[("iss", json!("https://other"))])), "issuer"),
        (ec.token(&changed(&[("aud", json!("other"))])), "audience"),
        (ec.token(&changed(&[("long", json!("x".repeat(9_000)))])), "tooLarge"),
    ] {
        let label = format!("result=\"{result}\"");
        let before = serin.metric("serin_jwt_total", &[&label]);
        assert_eq!(who(&serin, &upstream, &token), "nobody", "{result}: {token}");
        await_metric(&serin, "serin_jwt_total", &[&label], before + 1.0);
    }
    assert_eq!(who(&serin, &upstream, &good), "staff");
}

#[test]
fn a_signature_is_verified_once_for_each_worker_and_not_with_every_request() {
    let issuer = Issuer::es256("k");
    let upstream = Upstream::named("v1");
    let serin = guarded(&upstream, &jwks(&[&issuer]));
    let token = issuer.token(&claims());
    for _ in 0..50 {
        assert_eq!(who(&serin, &upstream, &token), "staff");
    }
    eventually("all to be counted", || (serin.metric("serin_jwt_total", &[]) == 50.0).then_some(()));
    let verified = serin.metric("serin_jwt_total", &["result=\"verified\""]);
    assert!((1.0..=2.0).contains(&verified), "{verified} times by two workers");
    assert_eq!(serin.metric("serin_jwt_total", &["result=\"remembered\""]), 50.0 - verified);
}

#[test]
fn keys_rotate_by_an_edit_of_their_file_and_a_bad_one_changes_nothing() {
    let (old, new) = (Issuer::es256("old"), Issuer::eddsa("new"));
    let upstream = Upstream::named("v1");
    let serin = guarded(&upstream, &jwks(&[&old]));
    let (by_old, by_new) = (old.token(&claims()), new.token(&claims()));
    assert_eq!([&by_old, &by_new].map(|token| who(&serin, &upstream, token)), ["staff", "nobody"]);
    std::fs::write(serin.path("keys.json"), "{ \"keys\": [] }").expect("an edit");
    said(&serin, "keys.json: no key in it verifies");
    assert_eq!(serin.metric("serin_config_reload_total", &["file=\"keys.json\"", "result=\"refused\""]), 1.0);
    assert_eq!([&by_old, &by_new].map(|token| who(&serin, &upstream, token)), ["staff", "nobody"]);
    std::fs::write(serin.path("keys.json"), jwks(&[&old, &new])).expect("an edit");
    eventually("the new key", || (who(&serin, &upstream, &by_new) == "staff").then_some(()));
    assert_eq!(who(&serin, &upstream, &by_old), "staff");
    std::fs::write(serin.path("keys.json"), jwks(&[&new])).expect("an edit");
    eventually("the old key to go", || (who(&serin, &upstream, &by_old) == "nobody").then_some(()));
    assert_eq!(who(&serin, &upstream, &by_new), "staff");
}

#[test]
fn a_key_file_that_cannot_be_used_is_refused_where_it_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let upstream = Upstream::named("v1");
    let config = crate::support::load::shop(&[("v1", &upstream)], "", CONTEXT);
    let path = folder.path().join("serin.yaml");
    std::fs::write(&path, config).expect("a file");
    let check = |what: &str| {
        let out = crate::support::serin::command(&["check", "--config", &path.display().to_string()]);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(2), "{said}");
        assert!(said.contains("flagContext.jwt.jwks: keys.json: ") && said.contains(what), "{said}");
    };
    check("cannot be read: ");
    std::fs::write(folder.path().join("keys.json"), "{}").expect("a file");
    check("not a JSON Web Key Set: missing field `keys`");
}
