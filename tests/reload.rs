//! What an operator changes while serin runs is in force at once, or refused with a reason.

#![allow(clippy::float_cmp, reason = "counts are whole numbers, and shares are compared with what was set")]

mod support;

use std::net::SocketAddr;
use std::path::Path;

use support::client::{Raw, get};
use support::load::{Load, WITH_WEIGHTS, await_metric, said, shop, version_of};
use support::serin::Serin;
use support::upstream::Upstream;
use support::{PATIENCE, eventually};

const HALF: &str = "shop: { old: 1, new: 1 }\n";

fn two() -> [Upstream; 2] {
    [Upstream::named("old"), Upstream::named("new")]
}

fn config(upstreams: &[Upstream; 2], top: &str) -> String {
    shop(&[("old", &upstreams[0]), ("new", &upstreams[1])], "", &format!("{WITH_WEIGHTS}{top}"))
}

fn start(upstreams: &[Upstream; 2]) -> Serin {
    Serin::with_files(&config(upstreams, ""), &[("weights.yaml", HALF)])
}

fn weights(new: u32) -> String {
    format!("shop: {{ old: {}, new: {new} }}\n", 100 - new)
}

fn await_new(serin: &Serin, percent: u32) {
    serin.await_share("shop", "new", f64::from(percent) / 100.0);
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("an edit");
}

/// Reloads counted so far.
fn reloads(serin: &Serin, file: &str, result: &str) -> f64 {
    serin.metric("serin_config_reload_total", &[&format!("file=\"{file}.yaml\""), &format!("result=\"{result}\"")])
}

fn await_reloads(serin: &Serin, file: &str, result: &str, count: f64) {
    eventually(&format!("{count} × {file} {result}"), || (reloads(serin, file, result) >= count).then_some(()));
}

/// The address of a listener that was opened while running.
fn opened(serin: &Serin, name: &str) -> SocketAddr {
    eventually("a listener to be opened", || {
        let text = serin.stderr();
        let line =
            text.lines().find(|line| line.contains("listening") && line.contains(&format!("listener={name}")))?;
        line.split("address=").nth(1)?.trim().parse().ok()
    })
}

#[test]
fn a_weight_file_written_in_place_is_in_force() {
    let upstreams = two();
    let serin = start(&upstreams);
    write(&serin.path("weights.yaml"), &weights(100));
    await_new(&serin, 100);
    let mut connection = Raw::connect(serin.web());
    assert!((0..100).all(|user| version_of(&mut connection, &user.to_string()) == "new"));
    assert_eq!(serin.metric("serin_weight", &["version=\"new\""]), 1.0);
    assert_eq!(reloads(&serin, "weights", "applied"), 1.0);
    assert_eq!(reloads(&serin, "serin", "applied"), 0.0);
}

#[test]
fn a_file_renamed_over_the_weight_file_is_in_force() {
    let upstreams = two();
    let serin = start(&upstreams);
    for new in [10, 20, 30] {
        write(&serin.path(".weights.yaml.swp"), &weights(new));
        std::fs::rename(serin.path(".weights.yaml.swp"), serin.path("weights.yaml")).expect("a rename");
        await_new(&serin, new);
    }
}

#[test]
fn an_editor_that_keeps_a_backup_is_understood() {
    let upstreams = two();
    let serin = start(&upstreams);
    for new in [10, 20] {
        std::fs::rename(serin.path("weights.yaml"), serin.path("weights.yaml~")).expect("a backup");
        write(&serin.path("weights.yaml"), &weights(new));
        await_new(&serin, new);
    }
}

#[test]
fn a_weight_file_that_was_away_for_a_while_is_in_force_when_it_is_back() {
    let upstreams = two();
    let serin = start(&upstreams);
    std::fs::remove_file(serin.path("weights.yaml")).expect("a removal");
    await_reloads(&serin, "weights", "refused", 1.0);
    said(&serin, "weights.yaml: cannot be read");
    await_new(&serin, 50);
    write(&serin.path("weights.yaml"), &weights(30));
    await_new(&serin, 30);
    assert_eq!(reloads(&serin, "weights", "refused"), 1.0, "said once");
}

/// A folder as the kubelet mounts a `ConfigMap`: files are links into `..data`, which is a link to a folder of its own.
struct ConfigMap {
    folder: tempfile::TempDir,
    present: String,
}

impl ConfigMap {
    fn new(content: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::os::unix::fs::symlink("..data/weights.yaml", folder.path().join("weights.yaml")).expect("a link");
        let mut map = Self { folder, present: String::new() };
        map.swap("..2026_01", content);
        map
    }

    fn swap(&mut self, version: &str, content: &str) {
        let path = |name: &str| self.folder.path().join(name);
        std::fs::create_dir(path(version)).expect("a folder");
        write(&path(version).join("weights.yaml"), content);
        std::os::unix::fs::symlink(version, path("..data_tmp")).expect("a link");
        std::fs::rename(path("..data_tmp"), path("..data")).expect("a swap");
        if !self.present.is_empty() {
            std::fs::remove_dir_all(path(&self.present)).expect("the old content goes");
        }
        version.clone_into(&mut self.present);
    }
}

#[test]
fn a_config_map_that_kubernetes_swaps_is_in_force() {
    let upstreams = two();
    let mut map = ConfigMap::new(HALF);
    let named = format!("files: {{ weights: {}/weights.yaml }}\n", map.folder.path().display());
    let serin = Serin::new(&config(&upstreams, "").replace(WITH_WEIGHTS, &named));
    await_new(&serin, 50);
    for (version, new) in [("..2026_02", 10), ("..2026_03", 20), ("..2026_04", 30)] {
        map.swap(version, &weights(new));
        await_new(&serin, new);
    }
    assert_eq!(reloads(&serin, "weights", "applied"), 3.0);
    assert_eq!(reloads(&serin, "weights", "refused"), 0.0);
}

#[test]
fn sighup_has_the_files_read() {
    let upstreams = two();
    let serin = start(&upstreams);
    serin.signal("HUP");
    await_reloads(&serin, "weights", "unchanged", 1.0);
    write(&serin.path("weights.yaml"), &weights(20));
    serin.signal("HUP");
    await_new(&serin, 20);
    // Who asks is answered also where the same was said before.
    write(&serin.path("weights.yaml"), "shop: {}\n");
    await_reloads(&serin, "weights", "refused", 1.0);
    serin.signal("HUP");
    await_reloads(&serin, "weights", "refused", 2.0);
    await_new(&serin, 20);
}

#[test]
fn a_service_added_and_an_upstream_moved_are_in_force() {
    let upstreams = two();
    let third = Upstream::named("only");
    let serin = start(&upstreams);
    let text = config(&upstreams, "")
        .replace(
            "services:\n",
            &format!("services:\n  blog: {{ versions: {{ only: {{ upstream: \"{}\" }} }} }}\n", third.url()),
        )
        .replace("routes:\n", "routes:\n  - { service: blog, matches: [ { path: { value: /blog } } ] }\n");
    write(&serin.path("serin.yaml"), &text);
    serin.await_share("blog", "only", 1.0);
    let mut connection = Raw::connect(serin.web());
    connection.send("GET /blog HTTP/1.1\r\nhost: shop.example\r\n\r\n");
    assert_eq!(connection.response(false).expect("an answer").text(), "only");
    write(&serin.path("weights.yaml"), &weights(100));
    await_new(&serin, 100);
    assert_eq!(version_of(&mut connection, "u"), "new");
    let moved = Upstream::named("new");
    write(&serin.path("serin.yaml"), &text.replace(&upstreams[1].url(), &moved.url()));
    await_reloads(&serin, "serin", "applied", 2.0);
    assert_eq!(version_of(&mut connection, "u"), "new");
    assert_eq!(moved.requests().len(), 1);
    eventually("connections to where it was to be closed", || (upstreams[1].open() == 0).then_some(()));
}

#[test]
fn an_upstream_named_by_dns_answers_the_first_request_after_the_edit() {
    let upstreams = two();
    let serin = start(&upstreams);
    write(&serin.path("weights.yaml"), &weights(100));
    await_new(&serin, 100);
    let mut connection = Raw::connect(serin.web());
    for round in 0..5 {
        let moved = Upstream::named("new");
        let text =
            config(&upstreams, "").replace(&upstreams[1].url(), &format!("http://localhost:{}", moved.address.port()));
        write(&serin.path("serin.yaml"), &text);
        await_reloads(&serin, "serin", "applied", f64::from(round + 1));
        assert_eq!(version_of(&mut connection, "u"), "new", "edit {round}");
    }
}

#[test]
fn another_sticky_source_is_in_force() {
    let upstreams = two();
    let serin = start(&upstreams);
    let mut connection = Raw::connect(serin.web());
    version_of(&mut connection, "u");
    assert_eq!(serin.metric("serin_picks_total", &["why=\"key\""]), 1.0);
    write(&serin.path("serin.yaml"), &config(&upstreams, "").replace("header: x-user-id", "header: x-account"));
    await_reloads(&serin, "serin", "applied", 1.0);
    version_of(&mut connection, "u");
    assert_eq!(serin.metric("serin_picks_total", &["why=\"draw\""]), 1.0);
}

#[test]
fn a_listener_is_opened_and_closed_while_connections_to_it_go_on() {
    let upstreams = two();
    let serin = start(&upstreams);
    let mut first = Raw::connect(serin.web());
    version_of(&mut first, "u");
    let web = "{ name: web, address: 127.0.0.1:0 }";
    let both = config(&upstreams, "").replace(web, &format!("{web}, {{ name: side, address: 127.0.0.1:0 }}"));
    write(&serin.path("serin.yaml"), &both);
    let side = opened(&serin, "side");
    let mut second = Raw::connect(side);
    version_of(&mut second, "u");
    write(&serin.path("serin.yaml"), &both.replace(&format!("{web}, "), ""));
    eventually("the old listener to be closed", || std::net::TcpStream::connect(serin.web()).is_err().then_some(()));
    version_of(&mut first, "u");
    version_of(&mut second, "u");
    assert_eq!(get(side, "/", "").status, 200);
}

#[test]
fn a_listener_can_be_renamed_in_place() {
    let upstreams = two();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("serin.sock");
    let text = config(&upstreams, "");
    let serin = Serin::with_files(&text, &[("weights.yaml", HALF)]);
    let web = "{ name: web, address: 127.0.0.1:0 }";
    let with =
        |name: &str, address: &str| text.replace(web, &format!("{web}, {{ name: {name}, address: \"{address}\" }}"));
    let ask = |connected: std::io::Result<std::os::unix::net::UnixStream>| {
        use std::io::{Read, Write};
        let mut stream = connected.ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(())
    };
    let unix = format!("unix:{}", path.display());
    for (round, name) in ["one", "other"].into_iter().enumerate() {
        write(&serin.path("serin.yaml"), &with(name, &unix));
        await_reloads(&serin, "serin", "applied", (round + 1) as f64);
        eventually("an answer on the socket", || ask(std::os::unix::net::UnixStream::connect(&path)));
    }
    // The same with a port: the wildcard address moves to one interface of the same port.
    write(&serin.path("serin.yaml"), &with("port", "127.0.0.1:0"));
    let port = opened(&serin, "port").port();
    for (round, (name, address)) in
        [("some", "0.0.0.0"), ("all", "0.0.0.0"), ("all", "127.0.0.1")].into_iter().enumerate()
    {
        write(&serin.path("serin.yaml"), &with(name, &format!("{address}:{port}")));
        await_reloads(&serin, "serin", "applied", (round + 4) as f64);
        assert_eq!(get(SocketAddr::from(([127, 0, 0, 1], port)), "/", "").status, 200);
    }
}

#[test]
fn a_listener_whose_port_is_taken_is_refused_and_all_else_stays() {
    let upstreams = two();
    let serin = start(&upstreams);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let web = "{ name: web, address: 127.0.0.1:0 }";
    let text = config(&upstreams, "").replace(web, &format!("{web}, {{ name: side, address: \"{address}\" }}"));
    // The weight file moves in the same edit: what was refused must be remembered by the file it names.
    write(&serin.path("other.yaml"), &weights(70));
    write(&serin.path("serin.yaml"), &text.replace("weights.yaml", "other.yaml"));
    await_reloads(&serin, "serin", "refused", 1.0);
    said(&serin, &format!("generation 1 stays in force:\ncannot listen on {address}"));
    await_new(&serin, 50);
    // An event that makes serin look again, as the slow poll does.
    write(&serin.path("weights.yaml"), HALF);
    write(&serin.path("noise"), "");
    write(&serin.path("weights.yaml"), &weights(60));
    drop(taken);
    write(&serin.path("serin.yaml"), &format!("{}# again\n", text.replace("weights.yaml", "other.yaml")));
    await_new(&serin, 70);
    assert_eq!(serin.stderr().matches("cannot listen").count(), 1, "said once");
}

#[test]
fn a_broken_weight_file_changes_nothing_and_says_why_once() {
    let upstreams = two();
    let serin = start(&upstreams);
    let broken = "shop: { old: 90,\n  new: -10 }\n";
    write(&serin.path("weights.yaml"), broken);
    await_reloads(&serin, "weights", "refused", 1.0);
    let place = format!("{}:2:8: shop.new", serin.path("weights.yaml").display());
    // The last of it that is printed.
    let text = said(&serin, "= expected: ");
    for part in [&place, "found the number -10", "new: -10", "generation 1 stays in force"] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    await_new(&serin, 50);
    assert_eq!(serin.metric("serin_weight", &["version=\"new\""]), 0.5);
    // Written again just as it was, and then a good one.
    write(&serin.path("weights.yaml"), broken);
    std::fs::rename(serin.path("weights.yaml"), serin.path("aside.yaml")).expect("a rename");
    std::fs::rename(serin.path("aside.yaml"), serin.path("weights.yaml")).expect("a rename");
    write(&serin.path("weights.yaml"), &weights(40));
    await_new(&serin, 40);
    assert_eq!(serin.stderr().matches(&place).count(), 1, "{}", serin.stderr());
    assert_eq!(reloads(&serin, "weights", "applied"), 1.0);
}

#[test]
fn weights_hold_although_serin_yaml_is_broken_and_its_error_is_reported() {
    let upstreams = two();
    let serin = start(&upstreams);
    write(&serin.path("serin.yaml"), "listeners: nonsense\n");
    await_reloads(&serin, "serin", "refused", 1.0);
    write(&serin.path("weights.yaml"), &weights(0));
    await_new(&serin, 0);
    assert_eq!(reloads(&serin, "weights", "refused"), 0.0);
    assert_eq!(get(serin.web(), "/", "").status, 200);
    write(&serin.path("weights.yaml"), "shop: { old: 1, nwe: 1 }\n");
    await_reloads(&serin, "weights", "refused", 1.0);
    await_new(&serin, 0);
}

#[test]
fn all_errors_of_both_files_are_reported_at_once() {
    let upstreams = two();
    let serin = start(&upstreams);
    serin.signal("STOP");
    write(&serin.path("weights.yaml"), "shop: { odl: 1, new: x }\nship: { a: 1 }\n");
    let broken =
        config(&upstreams, "wrokers: 2\n").replace("x-user-id", "x user id").replace("service: shop", "service: chop");
    write(&serin.path("serin.yaml"), &broken);
    serin.signal("CONT");
    await_reloads(&serin, "serin", "refused", 1.0);
    let text = said(&serin, "weights.yaml:2:");
    for place in ["serin.yaml:5:1: wrokers", "sticky[0].header", "routes[0].service", "weights.yaml:1:"] {
        assert!(text.contains(place), "no {place:?} in\n{text}");
    }
    assert_eq!(text.matches("stays in force").count(), 1, "{text}");
    assert_eq!(reloads(&serin, "weights", "refused"), 1.0);
    write(&serin.path("serin.yaml"), &config(&upstreams, ""));
    write(&serin.path("weights.yaml"), &weights(25));
    await_new(&serin, 25);
}

#[test]
fn a_new_weight_file_is_watched_also_while_it_is_not_right_yet() {
    let upstreams = two();
    let serin = start(&upstreams);
    write(&serin.path("serin.yaml"), &config(&upstreams, "").replace("weights.yaml", "later.yaml"));
    await_reloads(&serin, "serin", "refused", 1.0);
    write(&serin.path("later.yaml"), "shop: { old: 1, new: -1 }\n");
    said(&serin, "later.yaml:1:");
    write(&serin.path("later.yaml"), &weights(15));
    await_new(&serin, 15);
    write(&serin.path("later.yaml"), &weights(16));
    await_new(&serin, 16);
}

#[test]
fn a_weight_file_no_longer_named_is_no_longer_reported() {
    let upstreams = two();
    let serin = start(&upstreams);
    assert_eq!(serin.metric("serin_config_hash_info", &["file=\"weights.yaml\""]), 1.0);
    write(&serin.path("serin.yaml"), &config(&upstreams, "").replace(WITH_WEIGHTS, ""));
    await_new(&serin, 0);
    assert_eq!(serin.metric("serin_config_hash_info", &["file=\"weights.yaml\""]), 0.0);
    assert_eq!(serin.metric("serin_config_hash_info", &["file=\"serin.yaml\""]), 1.0);
}

#[test]
fn the_hash_in_force_is_that_of_the_file() {
    let upstreams = two();
    let serin = start(&upstreams);
    let hash = |path: &Path| {
        let sum = std::process::Command::new("sha256sum").arg(path).output().expect("sha256sum");
        String::from_utf8(sum.stdout).expect("text").split(' ').next().expect("a sum").to_owned()
    };
    let label = |path: &Path| format!("sha256=\"{}\"", hash(path));
    for new in [0, 35] {
        write(&serin.path("weights.yaml"), &weights(new));
        await_new(&serin, new);
        assert_eq!(serin.metric("serin_config_hash_info", &[&label(&serin.path("weights.yaml"))]), 1.0);
    }
    assert_eq!(serin.metric("serin_config_hash_info", &[&label(&serin.path("serin.yaml"))]), 1.0);
}

#[test]
fn the_last_change_wins_for_each_service_wherever_it_came_from() {
    let upstreams = two();
    let blog = format!(
        "services:\n  blog: {{ versions: {{ old: {{ upstream: \"{0}\" }}, new: {{ upstream: \"{0}\" }} }} }}\n",
        upstreams[0].url()
    );
    let text = config(&upstreams, "").replace("services:\n", &blog);
    let file = |shop: u32, blog: u32| format!("{}blog: {{ old: {}, new: {blog} }}\n", weights(shop), 100 - blog);
    let serin = Serin::with_files(&text, &[("weights.yaml", &file(10, 10))]);
    let put = |new: u32| {
        let body = format!("{{\"weights\":{{\"old\":{},\"new\":{new}}},\"reason\":\"a test\"}}", 100 - new);
        assert_eq!(serin.ask("PUT", "/api/v1/services/shop/weights", &body).status, 200);
        await_new(&serin, new);
    };
    put(60);
    write(&serin.path("weights.yaml"), &file(10, 20));
    serin.await_share("blog", "new", 0.2);
    await_new(&serin, 60);
    write(&serin.path("weights.yaml"), &file(15, 20));
    await_new(&serin, 15);
    put(70);
    write(&serin.path("serin.yaml"), &format!("{text}# a remark\n"));
    await_reloads(&serin, "serin", "applied", 1.0);
    await_new(&serin, 70);
    write(&serin.path("weights.yaml"), &file(10, 20));
    await_new(&serin, 10);
}

#[test]
fn a_file_emptied_and_then_filled_is_in_force() {
    let upstreams = two();
    let serin = start(&upstreams);
    for new in 1..=30 {
        drop(std::fs::File::create(serin.path("weights.yaml")).expect("an emptied file"));
        write(&serin.path("weights.yaml"), &weights(new));
        await_new(&serin, new);
    }
}

#[test]
fn a_hundred_edits_under_load_lose_no_request_and_break_no_connection() {
    let upstreams = two();
    let serin = start(&upstreams);
    let load = Load::start(serin.web(), 4);
    load.await_more(50);
    for new in 1..=100 {
        write(&serin.path("weights.yaml"), &weights(new));
        await_new(&serin, new);
    }
    load.await_more(50);
    let tally = load.stop();
    assert_eq!((tally.failed(), tally.broken, tally.closed), (0, 0, 0), "{tally:?}");
    assert!(tally.of("old") > 0 && tally.of("new") > 0, "{tally:?}");
    // A pool outlives a change of weights: each worker opens a connection for each client at most once.
    for upstream in &upstreams {
        assert!(upstream.accepted() <= 4, "{} connections for 4 clients", upstream.accepted());
    }
    await_metric(&serin, "serin_requests_total", &["code=\"2xx\""], tally.total() as f64);
}

#[test]
fn edits_of_everything_under_load_lose_no_request_and_break_no_connection() {
    let upstreams = two();
    let moved = Upstream::named("new");
    let text = config(&upstreams, "");
    let serin = start(&upstreams);
    let load = Load::start(serin.web(), 4);
    load.await_more(50);
    let web = "{ name: web, address: 127.0.0.1:0 }";
    for round in 0..20 {
        let edit = match round % 4 {
            0 => text.replace(&upstreams[1].url(), &moved.url()),
            1 => text.replace(web, &format!("{web}, {{ name: side, address: 127.0.0.1:0 }}")),
            2 => text.replace("x-user-id", "x-account"),
            _ => text.replace(&upstreams[1].url(), &format!("http://localhost:{}", moved.address.port())),
        };
        write(&serin.path("serin.yaml"), &edit);
        await_reloads(&serin, "serin", "applied", f64::from(round + 1));
        load.await_more(20);
    }
    let tally = load.stop();
    assert_eq!((tally.failed(), tally.broken, tally.closed), (0, 0, 0), "{tally:?}");
}
