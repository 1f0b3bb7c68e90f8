//! Weights and a migration both say who answers: a weight file cannot name a service that is under one.

use super::support::eventually;
use super::support::load::{await_metric, said};
use super::support::serin::{Serin, command};
use super::{Store, config, view};

#[test]
fn a_weight_file_that_names_a_service_under_migration_is_refused_with_its_place() {
    let (old, new) = (Store::new(), Store::new());
    let text = config(&old.upstream, &new.upstream, "      stage: dualWrite\n")
        .replace("stateDir: state\n", "stateDir: state\nfiles: { weights: weights.yaml }\n");
    let serin = Serin::with_files(&text, &[("weights.yaml", "{}\n")]);
    let message = "shop: the service is under migration, whose stage alone says which version gets a request";
    let reloads = |file: &str, result: &str, count: f64| {
        let labels = [format!("file=\"{file}.yaml\""), format!("result=\"{result}\"")];
        await_metric(&serin, "serin_config_reload_total", &labels.each_ref().map(String::as_str), count);
    };

    std::fs::write(serin.path("weights.yaml"), "{}\n\nshop: { old: 95, new: 5 }\n".trim_start_matches("{}\n"))
        .expect("an edit");
    reloads("weights", "refused", 1.0);
    said(&serin, &format!("weights.yaml:2:1: {message}"));
    assert_eq!(view(&serin)["stage"], "dualWrite");
    let check = command(&["check", "--config", serin.path("serin.yaml").to_str().expect("text")]);
    let words = String::from_utf8_lossy(&check.stdout).into_owned() + &String::from_utf8_lossy(&check.stderr);
    assert_eq!(check.status.code(), Some(2), "{words}");
    assert!(words.contains(&format!("weights.yaml:2:1: {message}")), "{words}");
    assert!(words.contains("or by `serin migration set`"), "{words}");
}

#[test]
fn a_service_that_the_weight_file_names_does_not_come_under_migration_before_it_is_taken_out_there() {
    let (old, new) = (Store::new(), Store::new());
    let migrating = config(&old.upstream, &new.upstream, "      stage: dualWrite\n")
        .replace("stateDir: state\n", "stateDir: state\nfiles: { weights: weights.yaml }\n");
    let start = migrating.find("    migration:").expect("there");
    let end = migrating.find("routes:").expect("there");
    let plain = format!("{}{}", &migrating[..start], &migrating[end..]);
    let serin = Serin::with_files(&plain, &[("weights.yaml", "shop: { old: 1 }\n")]);
    std::fs::write(serin.path("serin.yaml"), &migrating).expect("an edit");
    said(&serin, "weights.yaml:1:1: shop: the service is under migration");
    assert_eq!(serin.ask("GET", super::MIGRATION, "").status, 404, "what ran goes on");
    std::fs::write(serin.path("weights.yaml"), "{}\n").expect("an edit");
    eventually("the migration", || (serin.ask("GET", super::MIGRATION, "").status == 200).then_some(()));
    assert_eq!(view(&serin)["stage"], "dualWrite");
}
