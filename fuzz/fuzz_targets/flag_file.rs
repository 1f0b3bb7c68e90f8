//! Any bytes as a flag file: refused with places or taken, and then every flag answers for any context.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use serin::config::{self, Source};
use serin::flags::{diff, evaluate, explain};

fuzz_target!(|bytes: &[u8]| {
    let name = if bytes.first() == Some(&b'{') { "flags.json" } else { "flags.yaml" };
    let Ok(text) = config::text(name, bytes) else { return };
    match config::flags(Source { name, text }) {
        Err(errors) => {
            assert!(!errors.0.is_empty());
            assert!(errors.0.iter().all(|error| error.line > 0 && error.column > 0));
            let _ = errors.to_string();
        }
        Ok(loaded) => {
            let context = json!({ "targetingKey": "user-1", "email": "ann@example.com", "n": 5, "list": [1, "a", null] });
            for (id, _) in loaded.set.iter() {
                let evaluated = evaluate(&loaded.set, id, &context, 1_700_000_000);
                assert_eq!(explain(&loaded.set, id, &context, 1_700_000_000).result, evaluated);
            }
            assert!(diff(&loaded.set, &loaded.set).is_empty());
        }
    }
});
