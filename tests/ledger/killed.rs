//! Killed at any moment.

use std::process::Command;

use serde_json::Value;
use serin::ledger::{Entry, What};

use crate::support::serin::Serin;
use crate::{Place, weights_in_force};

/// Kills of one run; `SERIN_KILLS` asks for more.
const KILLS: u64 = 50;

#[test]
fn after_a_kill_at_any_moment_the_ledger_verifies_and_its_last_entry_is_in_force() {
    let kills = std::env::var("SERIN_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let mut random = fastrand::Rng::with_seed(20_261_121);
    let place = Place::new("shop: { old: 95, new: 5 }\n");
    // Small, so that files change while it is killed.
    let config = place.config("ledger: { maxFileSize: 64KiB, keep: 3 }\n");
    let mut serin = Serin::new(&config);
    for round in 0..kills {
        let acknowledged = std::thread::scope(|scope| {
            let (pid, pause) = (serin.pid().to_string(), random.u64(0..30_000));
            scope.spawn(move || {
                // Not waiting for anything: the moment itself is what is random.
                std::thread::sleep(std::time::Duration::from_micros(pause));
                let _ = Command::new("kill").args(["-9", &pid]).status();
            });
            change_until_dead(&serin, &place, &mut random)
        });
        serin.wait();
        let last = place.verified().last;
        let entries = place.entries();
        let of_shop = |entry: &&Entry| entry.draft.service.as_deref() == Some("shop");
        if let Some((number, new)) = acknowledged {
            let entry = entries.iter().find(|entry| entry.number == number);
            let said = entry.map(|entry| entry.draft.what.to_string()).unwrap_or_default();
            // Where it is no longer kept, it was written all the same.
            let kept = entries.first().is_some_and(|first| first.number <= number);
            assert!(!kept || said.ends_with(&format!("new {new}")), "round {round}: {number} of {last}: {said}");
            assert!(number <= last, "round {round}");
        }
        let in_record = entries.iter().rev().find(of_shop).map(|entry| entry.draft.what.clone());
        serin = Serin::new(&config);
        let now = weights_in_force(&serin, "shop");
        // What the record had, or an edit it had not heard of: that has an entry since.
        let entries = place.entries();
        let since = entries.iter().rev().find(|entry| entry.number > last && of_shop(entry));
        let since = since.map(|entry| entry.draft.what.clone());
        let Some(What::Weights { to: Some(to), .. }) = since.or(in_record) else {
            assert!(round > 0 || now == [95.0, 5.0], "round {round}");
            continue;
        };
        let to: Vec<f64> = to.0.iter().map(|(_, weight)| weight.as_f64()).collect();
        assert_eq!(now, to, "round {round}");
        place.verified();
    }
}

/// Makes changes by hand and by file until nobody answers; the last that was answered, by entry and weight.
fn change_until_dead(serin: &Serin, place: &Place, random: &mut fastrand::Rng) -> Option<(u64, u32)> {
    use std::io::{Read, Write};
    let mut acknowledged = None;
    loop {
        let new = random.u32(0..=100);
        if random.u8(0..8) == 0 {
            place.edit(&format!("shop: {{ old: {}, new: {new} }}\n", 100 - new));
        }
        let body = format!(r#"{{"weights":{{"old":{},"new":{new}}},"reason":"{}"}}"#, 100 - new, "why ".repeat(20));
        let Ok(mut socket) = std::net::TcpStream::connect(serin.admin()) else { return acknowledged };
        let head = format!(
            "PUT /api/v1/services/shop/weights HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut answer = String::new();
        if socket.write_all((head + &body).as_bytes()).is_err() || socket.read_to_string(&mut answer).is_err() {
            return acknowledged;
        }
        let Some((_, json)) = answer.split_once("\r\n\r\n") else { return acknowledged };
        let Ok(view) = serde_json::from_str::<Value>(json) else { return acknowledged };
        if let Some(entry) = view["entry"].as_u64() {
            acknowledged = Some((entry, new));
        }
    }
}
