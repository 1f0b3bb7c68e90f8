//! What the stages mean, and which requests are in which.

use proptest::prelude::*;

use super::*;

fn migration(stage: Stage, hundredths: u32) -> Migration {
    let names: [Arc<str>; 2] = [Arc::from("old"), Arc::from("new")];
    let rules = MigrationRules {
        from: VersionId::from_index(0),
        to: VersionId::from_index(1),
        writes: vec![Method::POST, Method::DELETE],
        key: vec![
            EntityKeySource::Header(HeaderName::from_static("x-entity-id")),
            EntityKeySource::Query("id".to_owned()),
            EntityKeySource::PathSegment(std::num::NonZeroU8::new(2).unwrap()),
        ],
        without_key: WithoutKey::Refuse,
        idempotency_key: HeaderName::from_static("idempotency-key"),
        max_body: 1024,
        checks: Arc::default(),
        journal: Arc::default(),
    };
    let progress = Progress { stage, share: Share::from_hundredths(hundredths) };
    Migration::new("shop", [&names[0], &names[1]], rules, progress)
}

fn parts(target: &str, header: Option<&str>) -> request::Parts {
    let mut request = http::Request::builder().uri(target);
    if let Some(value) = header {
        request = request.header("x-entity-id", value);
    }
    request.body(()).unwrap().into_parts().0
}

#[test]
fn the_stages_mean_what_the_table_says() {
    use Reads::{Compared, Only};
    use Side::{From, To};
    let table = [
        ("off", Only(From), [Some(From), None], From),
        ("dualWrite", Only(From), [Some(From), Some(To)], From),
        ("shadow", Compared(From), [Some(From), Some(To)], From),
        ("live", Compared(To), [Some(To), Some(From)], To),
        ("rampDown", Only(To), [Some(To), Some(From)], To),
        ("complete", Only(To), [Some(To), None], To),
    ];
    for (index, (word, reads, writes, gets)) in table.into_iter().enumerate() {
        let stage = Stage::named(word).unwrap();
        assert_eq!((stage.index(), stage.word()), (index, word));
        assert_eq!(stage.reads(), reads, "{word}");
        assert_eq!([Some(stage.authoritative()), stage.also_writes()], writes, "{word}");
        assert_eq!(stage.client_gets(), gets, "{word}");
        assert_eq!(stage.after().and_then(Stage::before), stage.after().map(|_| stage));
    }
    assert_eq!(Stage::named("dualwrite"), None);
}

#[test]
fn the_key_stands_where_the_configuration_says_the_first_present_wins() {
    let migration = migration(Stage::Shadow, 10_000);
    let found = |target: &str, header: Option<&str>| {
        let parts = parts(target, header);
        migration.entity_key(&parts).map(|key| key.map(|key| key.as_str().to_owned()))
    };
    let key = |key: &str| Ok(Some(key.to_owned()));
    assert_eq!(found("/items/42?id=7", Some("a")), key("a"));
    assert_eq!(found("/items/42?id=7", Some("")), key("7"));
    assert_eq!(found("/items/42?id=7", None), key("7"));
    assert_eq!(found("/items/42/parts", None), key("42"));
    assert_eq!(found("/items/a%2Fb+c%20d", None), key("a/b+c d"));
    assert_eq!(found("/items/a+b", None), key("a+b"));
    assert_eq!(found("/items", None), Ok(None));
    assert_eq!(found("/items/", None), Ok(None));
    assert_eq!(found("/items/%ff", None), Err(entity::NotAKey));
    assert_eq!(found(&format!("/items/{}", "a".repeat(MAX_ENTITY_KEY + 1)), None), Err(entity::NotAKey));
}

#[test]
fn progress_is_written_as_people_write_it() {
    let some = Progress { stage: Stage::RampDown, share: Share::from_hundredths(1_250) };
    assert_eq!(serde_json::to_string(&some).unwrap(), r#"{"stage":"rampDown","share":"12.5%"}"#);
    assert_eq!(serde_json::from_str::<Progress>(r#"{"stage":"rampDown","share":"12.5%"}"#).unwrap(), some);
    assert_eq!((some.to_string(), Progress::OFF.to_string()), ("rampDown for 12.5%".to_owned(), "off".to_owned()));
    assert!(serde_json::from_str::<Progress>(r#"{"stage":"rampDown","share":"120%"}"#).is_err());
    assert!(serde_json::from_str::<Progress>(r#"{"stage":"ramp","share":"1%"}"#).is_err());
}

#[test]
fn the_share_of_reads_is_that_of_the_keys() {
    let share = |stage, hundredths, side| migration(stage, hundredths).read_share(side);
    for (stage, hundredths, new) in [
        (Stage::Off, 10_000, 0.0),
        (Stage::Live, 1_000, 0.1),
        (Stage::RampDown, 1_000, 1.0),
        (Stage::Shadow, 5_000, 0.0),
    ] {
        assert!((share(stage, hundredths, Side::To) - new).abs() < 1e-12, "{stage} {hundredths}");
        assert!((share(stage, hundredths, Side::From) - (1.0 - new)).abs() < 1e-12, "{stage} {hundredths}");
    }
}

#[test]
fn what_has_no_key_is_in_the_stage_before_until_the_stage_is_everybodys() {
    assert_eq!(migration(Stage::Live, 9_999).stage_of(None), Stage::Shadow);
    assert_eq!(migration(Stage::Live, 10_000).stage_of(None), Stage::Live);
    assert_eq!(migration(Stage::Off, 10_000).stage_of(None), Stage::Off);
}

#[test]
fn some_writes_go_to_both_where_the_stage_or_the_one_before_says_so() {
    for (stage, hundredths, both) in [
        (Stage::Off, 10_000, false),
        (Stage::DualWrite, 1, true),
        (Stage::RampDown, 10_000, true),
        (Stage::Complete, 5_000, true),
        (Stage::Complete, 10_000, false),
    ] {
        assert_eq!(migration(stage, hundredths).writes_both(), both, "{stage} {hundredths}");
    }
}

proptest! {
    #[test]
    fn widening_a_share_never_takes_a_key_back(key in "[a-z0-9]{1,12}", one in 1..=10_000_u32, other in 1..=10_000_u32) {
        let (less, more) = (one.min(other), one.max(other));
        let stage = |hundredths| migration(Stage::Live, hundredths).stage_of(Some(key.as_bytes()));
        prop_assert!(stage(less) <= stage(more));
        prop_assert!([Stage::Shadow, Stage::Live].contains(&stage(less)));
        prop_assert_eq!(stage(10_000), Stage::Live);
        let again = migration(Stage::Live, 10_000).with_progress(Progress { stage: Stage::Live, share: Share::from_hundredths(less) });
        prop_assert_eq!(again.stage_of(Some(key.as_bytes())), stage(less));
    }
}

#[test]
fn a_share_holds_as_many_keys_as_it_says() {
    let migration = migration(Stage::Live, 2_000);
    let within = (0..10_000).filter(|n| migration.stage_of(Some(format!("key-{n}").as_bytes())) == Stage::Live).count();
    assert!((1_800..2_200).contains(&within), "{within} of 10000");
}
