//! The announced end of a version: what its answers say, and who still calls.

use super::support::load::shop;
use super::support::serin::{Serin, command};
use super::support::upstream::Upstream;
use super::support::{OK, client};

#[test]
fn answers_of_the_version_say_that_it_ends_and_its_callers_are_counted() {
    let (old, new) = (Upstream::answering(OK), Upstream::answering(OK));
    let service = "    override: { from: [127.0.0.0/8] }
    deprecation:
      version: old
      at: 2027-01-01
      sunset: 2027-06-30
      link: https://shop.example/moving
      callers: [ { header: x-client } ]
      maxCallers: 2
";
    let serin = Serin::new(&shop(&[("old", &old), ("new", &new)], service, ""));
    let get =
        |version: &str, client: &str| client::get(serin.web(), "/", &format!("x-serin-version: {version}\r\n{client}"));
    let answer = get("old", "x-client: till-7\r\n");
    assert_eq!(answer.header("deprecation"), Some("@1798761600"));
    assert_eq!(answer.header("sunset"), Some("Wed, 30 Jun 2027 00:00:00 GMT"));
    let links: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "link").map(|(_, link)| &**link).collect();
    assert_eq!(
        links,
        ["<https://shop.example/moving>; rel=\"deprecation\"", "<https://shop.example/moving>; rel=\"sunset\""]
    );
    assert_eq!(get("new", "x-client: till-7\r\n").header("deprecation"), None);
    for name in ["till-7", "app", "late", "later"] {
        get("old", &format!("x-client: {name}\r\n"));
    }
    get("old", "");
    let count = |caller: &str| {
        serin.metric("serin_deprecated_requests_total", &["version=\"old\"", &format!("client=\"{caller}\"")])
    };
    assert_eq!(["till-7", "app", "other", "unknown"].map(count), [2.0, 1.0, 2.0, 1.0]);
    let view: serde_json::Value = serde_json::from_str(&serin.ask("GET", "/api/v1/services/shop", "").text()).unwrap();
    assert_eq!(view["deprecation"]["requests"], 6);
    assert_eq!(view["deprecation"]["callers"][0]["client"], "other");
    let status = command(&["--admin", &serin.admin_url(), "status", "shop"]);
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(text.contains("old is deprecated, ends 2027-06-30; 6 requests since the start"), "{text}");
}
