//! The document itself: a validator accepts it, its examples are what it says, and docs/api.md says the same.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::everything::{Everything, operations};
use crate::tools::{here, tool};

#[test]
fn a_validator_accepts_the_document_and_every_example_is_what_its_schema_says() {
    let Some(python) = tool("python") else { return };
    let document = Everything::open().document("").to_string();
    let mut validator = Command::new(python)
        .arg(here("validate.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python starts");
    validator.stdin.take().expect("stdin is piped").write_all(document.as_bytes()).expect("it reads");
    let done = validator.wait_with_output().expect("its output");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let tried: usize = String::from_utf8_lossy(&done.stdout).trim().parse().expect("a number");
    assert!(tried > 200, "{tried} examples");
}

#[test]
fn the_document_says_who_may_as_it_is_configured() {
    let ways = |document: &Value, path: &str, method: &str| document["paths"][path][method]["security"].clone();
    let (nobody, token) = (json!({}), json!({"token": []}));
    let open = Everything::open().document("");
    assert_eq!(ways(&open, "/livez", "get"), json!([]));
    assert_eq!(ways(&open, "/metrics", "get"), json!([]));
    assert!(ways(&open, "/api/v1/services/{service}/weights", "put").as_array().is_some_and(|w| w.contains(&nobody)));
    let closed = Everything::with_tokens().document("token-viewer");
    assert_eq!(ways(&closed, "/livez", "get"), json!([]));
    assert_eq!(ways(&closed, "/metrics", "get"), json!([token]));
    assert_eq!(ways(&closed, "/api/v1/services", "get"), json!([token]));
    assert_eq!(ways(&closed, "/api/v1/services/{service}/weights", "put"), json!([token]));
    assert_eq!(ways(&closed, "/api/v1/me", "get"), json!([nobody, token]));
}

/// Between these lines is the table.
const MARKS: [&str; 2] =
    ["<!-- operations: written by `SERIN_BLESS=1 cargo test --test openapi` -->\n", "<!-- /operations -->\n"];

#[test]
fn the_table_in_the_documentation_is_that_of_the_document() {
    let document = Everything::open().document("");
    let mut table = "\n| | | answers | who |\n|---|---|---|---|\n".to_owned();
    let tags = document["tags"].as_array().expect("tags").iter();
    for tag in tags.map(|tag| tag["name"].as_str().expect("a name")) {
        for (path, method, operation) in operations(&document).filter(|(_, _, operation)| operation["tags"][0] == *tag)
        {
            let text = |key: &str| operation[key].as_str().expect("text");
            let statuses: Vec<_> =
                operation["responses"].as_object().expect("responses").keys().map(String::as_str).collect();
            let roles: Vec<_> =
                operation["x-serin-roles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let who = match roles.len() {
                0 => "anybody".to_owned(),
                4 => "any role".to_owned(),
                _ => roles.join(", "),
            };
            // Writing to a string does not fail.
            let _ = writeln!(
                table,
                "| `{} {path}` | {} | {} | {who} |",
                method.to_uppercase(),
                text("summary"),
                statuses.join(" "),
            );
        }
    }
    table.push('\n');
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.md");
    let page = std::fs::read_to_string(&file).expect("docs/api.md");
    let (before, rest) = page.split_once(MARKS[0]).expect("the mark before the table");
    let (written, after) = rest.split_once(MARKS[1]).expect("the mark after it");
    if std::env::var_os("SERIN_BLESS").is_some() {
        std::fs::write(&file, [before, MARKS[0], &table, MARKS[1], after].concat()).expect("docs/api.md");
    } else {
        assert_eq!(written, table, "docs/api.md: SERIN_BLESS=1 writes it anew");
    }
}
