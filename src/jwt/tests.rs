use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName};
use serde_json::{Value, json};

use super::*;
use tokens::{Issuer, base64, jwks};

#[path = "../../tests/support/tokens.rs"]
#[allow(unreachable_pub, reason = "shared with the tests of the binary")]
mod tokens;

/// A million seconds after 1970.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000)
}

fn claims() -> Value {
    json!({ "exp": 1_000_100, "email": "a@b.example", "sub": "u1" })
}

fn rules(issuers: &[&Issuer]) -> Rules {
    let keys = Arc::new(KeySet::parse(jwks(issuers).as_bytes()).unwrap());
    Rules { keys, issuer: None, audience: None, leeway: Duration::from_secs(30) }
}

fn looked(token: &str, rules: &Rules) -> Result<Verified, Refused> {
    verify(token.as_bytes(), now(), rules)
}

#[test]
fn a_token_of_a_known_key_holds_in_every_algorithm() {
    for issuer in [Issuer::rs256("k"), Issuer::es256("k"), Issuer::eddsa("k")] {
        let verified = looked(&issuer.token(&claims()), &rules(&[&issuer])).unwrap();
        assert_eq!(verified.claims["email"], "a@b.example");
        assert!((verified.until - 1_000_130.0).abs() < 1e-9, "{}", verified.until);
    }
}

#[test]
fn a_token_that_was_changed_does_not_hold_wherever_it_was() {
    let issuer = Issuer::es256("k");
    let rules = rules(&[&issuer]);
    let token = issuer.token(&claims());
    for place in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        assert!(verify(&changed, now(), &rules).is_err(), "{place}");
    }
    assert!(looked(&token, &rules).is_ok());
}

#[test]
fn the_key_says_the_algorithm_and_not_the_token() {
    let (rsa, ec) = (Issuer::rs256("rsa"), Issuer::es256("ec"));
    let rules = rules(&[&rsa, &ec]);
    let refused = |head: Value| looked(&rsa.token_of(&head, &claims()), &rules).unwrap_err();
    assert_eq!(refused(json!({ "alg": "none", "kid": "rsa" })), Refused::Malformed);
    assert_eq!(refused(json!({ "kid": "rsa" })), Refused::Malformed);
    for other in ["HS256", "RS384", "PS256", "ES256", "EdDSA"] {
        assert_eq!(refused(json!({ "alg": other, "kid": "rsa" })), Refused::Unsupported, "{other}");
    }
    assert_eq!(refused(json!({ "alg": "RS256", "kid": "other" })), Refused::UnknownKey);
    assert_eq!(refused(json!({ "alg": "ES256", "kid": "ec" })), Refused::Signature);
    assert_eq!(refused(json!({ "alg": "RS256", "kid": "rsa", "crit": ["b64"], "b64": false })), Refused::Unsupported);
    let unsigned = format!("{}.", rsa.token(&claims()).rsplit_once('.').unwrap().0);
    assert_eq!(looked(&unsigned, &rules), Err(Refused::Signature));
}

#[test]
fn a_token_without_a_kid_holds_where_one_key_alone_has_its_algorithm() {
    let (rsa, ec, other) = (Issuer::rs256("rsa"), Issuer::es256("ec"), Issuer::es256("other"));
    let token = ec.token_of(&json!({ "alg": "ES256" }), &claims());
    assert!(looked(&token, &rules(&[&rsa, &ec])).is_ok());
    assert_eq!(looked(&token, &rules(&[&rsa, &ec, &other])), Err(Refused::UnknownKey));
}

#[test]
fn times_issuer_and_audience_are_held_against_the_rules() {
    let issuer = Issuer::eddsa("k");
    let rules = Rules { issuer: Some("https://id".to_owned()), audience: Some("shop".to_owned()), ..rules(&[&issuer]) };
    let of = |changes: Value| {
        let mut claims = json!({ "exp": 1_000_100, "iss": "https://id", "aud": ["other", "shop"] });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        looked(&issuer.token(&claims), &rules).err()
    };
    for good in [
        json!({}),
        json!({ "aud": "shop" }),
        json!({ "exp": 999_970.5 }),
        json!({ "nbf": 1_000_029 }),
        json!({ "nbf": 0 }),
    ] {
        assert_eq!(of(good.clone()), None, "{good}");
    }
    for (bad, why) in [
        (json!({ "exp": 999_970 }), Refused::Expired),
        (json!({ "exp": null }), Refused::Expired),
        (json!({ "exp": "1000100" }), Refused::Expired),
        (json!({ "exp": -1e300 }), Refused::Expired),
        (json!({ "nbf": 1_000_031 }), Refused::NotYet),
        (json!({ "nbf": "0" }), Refused::NotYet),
        (json!({ "nbf": null }), Refused::NotYet),
        (json!({ "iss": "https://id/" }), Refused::Issuer),
        (json!({ "iss": ["https://id"] }), Refused::Issuer),
        (json!({ "aud": "shop2" }), Refused::Audience),
        (json!({ "aud": [] }), Refused::Audience),
        (json!({ "aud": null }), Refused::Audience),
    ] {
        assert_eq!(of(bad.clone()), Some(why), "{bad}");
    }
    let endless = json!({ "iss": "https://id", "aud": "shop" });
    assert_eq!(looked(&issuer.token(&endless), &rules), Err(Refused::Expired), "a token without an end");
}

#[test]
fn rubbish_is_refused_in_bounded_time() {
    let issuer = Issuer::es256("k");
    let rules = rules(&[&issuer]);
    let deep = base64("[".repeat(2000).as_bytes());
    for rubbish in ["", ".", "..", "a.b.c", "....", "\u{e9}.\u{e9}.\u{e9}", &format!("{deep}.{deep}.AA"), "e30.e30.e30"]
    {
        assert_eq!(looked(rubbish, &rules), Err(Refused::Malformed), "{}", rubbish.len());
    }
    let claims = json!({ "exp": 1_000_100, "x": "x".repeat(MAX_TOKEN) });
    assert_eq!(looked(&issuer.token(&claims), &rules), Err(Refused::TooLarge));
    let no_object = issuer.token(&json!(["exp"]));
    assert_eq!(looked(&no_object, &rules), Err(Refused::Malformed));
}

#[test]
fn a_signature_is_verified_once_for_as_long_as_the_token_holds() {
    let (issuer, other) = (Issuer::es256("k"), Issuer::es256("k"));
    let (rules, replaced) = (Arc::new(rules(&[&issuer])), Arc::new(rules(&[&other])));
    let (good, bad) = (issuer.token(&claims()), other.token(&claims()));
    let mut cache = Cache::default();
    let mut look = |token: &str, at: u64, rules: &Arc<Rules>| {
        cache.look(token.as_bytes(), UNIX_EPOCH + Duration::from_secs(at), rules)
    };
    assert!(matches!(look(&good, 1_000_000, &rules), Looked::Verified(_)));
    assert!(matches!(look(&good, 1_000_129, &rules), Looked::Remembered(_)));
    assert_eq!(look(&good, 1_000_130, &rules), Looked::Refused(Refused::Expired), "at its end, the leeway included");
    assert_eq!(look(&bad, 1_000_000, &rules), Looked::Refused(Refused::Signature));
    assert_eq!(look(&bad, 1_000_000, &rules), Looked::Refused(Refused::Signature));
    // Other keys: nothing of what was known counts.
    assert_eq!(look(&good, 1_000_000, &replaced), Looked::Refused(Refused::Signature));
    assert!(matches!(look(&bad, 1_000_000, &replaced), Looked::Verified(_)));
    let early = issuer.token(&json!({ "exp": 2_000_000, "nbf": 1_000_100 }));
    assert_eq!(look(&early, 1_000_000, &rules), Looked::Refused(Refused::NotYet));
    assert!(matches!(look(&early, 1_000_100, &rules), Looked::Verified(_)), "what is too early today holds later");
}

#[test]
fn a_key_set_says_what_is_wrong_with_it() {
    let wrong = |text: &str| KeySet::parse(text.as_bytes()).unwrap_err().to_string();
    assert!(wrong("").starts_with("not a JSON Web Key Set: "), "{}", wrong(""));
    assert!(wrong("[]").starts_with("not a JSON Web Key Set: "), "{}", wrong("[]"));
    let none = "no key in it verifies RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA";
    assert_eq!(wrong(r#"{ "keys": [] }"#), none);
    assert_eq!(wrong(r#"{ "keys": [{ "kty": "oct", "k": "c2VjcmV0", "alg": "HS256" }] }"#), none, "symmetric keys");
    assert_eq!(wrong(r#"{ "keys": [{ "kty": "new", "kid": "a" }] }"#), none);
    let ec = Issuer::es256("k");
    let with = |key: &str, value: Value| {
        let mut jwk = ec.jwk();
        jwk[key] = value;
        json!({ "keys": [jwk] }).to_string()
    };
    assert_eq!(wrong(&with("use", json!("enc"))), none);
    assert_eq!(wrong(&with("key_ops", json!(["sign"]))), none);
    assert_eq!(wrong(&with("alg", json!("RS256"))), "keys[0]: its `alg`, RS256, is not one for its kind of key");
    assert_eq!(wrong(&with("alg", json!("HS256"))), "keys[0]: its `alg`, HS256, is not one for its kind of key");
    assert_eq!(wrong(&with("x", json!("AAAA"))), "keys[0]: its coordinates have the wrong length for its curve");
    let twice = "keys[1]: another key before it has the same `kid` and the same algorithm";
    assert_eq!(wrong(&jwks(&[&ec, &ec])), twice);
    let small = json!({ "keys": [{ "kty": "RSA", "kid": "a", "n": base64(&[255; 128]), "e": "AQAB" }] }).to_string();
    assert_eq!(wrong(&small), "keys[0]: an RSA key of about 1024 bits; 2048 to 8192 are used");
    let many = json!({ "keys": vec![ec.jwk(); 65] }).to_string();
    assert_eq!(wrong(&many), "65 keys; at most 64 are read");
    let mixed = json!({ "keys": [{ "kty": "oct", "k": "c2VjcmV0" }, ec.jwk()] }).to_string();
    assert_eq!(KeySet::parse(mixed.as_bytes()).unwrap().count(), 1);
}

#[test]
fn a_token_is_all_of_its_header_or_what_stands_after_bearer() {
    let name = HeaderName::from_static("authorization");
    let found = |lines: &[&str]| {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&name, line.parse().unwrap());
        }
        bearer(&headers, &name).map(|token| String::from_utf8(token.to_vec()).unwrap())
    };
    assert_eq!(found(&["Bearer a.b.c"]).as_deref(), Some("a.b.c"));
    assert_eq!(found(&["bearer   a.b.c "]).as_deref(), Some("a.b.c"));
    assert_eq!(found(&["a.b.c"]).as_deref(), Some("a.b.c"));
    for none in [&[][..], &[""], &["Basic dTpw"], &["Bearer a.b.c", "Bearer d.e.f"]] {
        assert_eq!(found(none), None, "{none:?}");
    }
}
