//! Whom flags are evaluated for, as a request says it.

use serde_json::{Map, Value};

/// The attributes in a body: those of `context`; none where the body is empty or has no `context`. Objects nest at most
/// 127 deep, and of a key that is there twice the last one holds.
///
/// # Errors
/// What is wrong with it, in one sentence.
pub(super) fn context(body: &[u8]) -> Result<Map<String, Value>, String> {
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    let body =
        serde_json::from_slice(body).map_err(|error| format!("The body is not the JSON that is expected: {error}."))?;
    let Value::Object(mut fields) = body else {
        return Err(format!("The body is {}; expected is an object with the key `context`.", kind(&body)));
    };
    match fields.remove("context") {
        None => Ok(Map::new()),
        Some(Value::Object(context)) => Ok(context),
        Some(other) => Err(format!("The context is {}; expected is an object.", kind(&other))),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_body_and_one_without_a_context_have_no_attributes() {
        for body in ["", " \r\n", "{}", r#"{"context":{}}"#, r#"{"other":1}"#] {
            assert_eq!(context(body.as_bytes()), Ok(Map::new()), "{body:?}");
        }
    }

    #[test]
    fn of_a_key_that_is_there_twice_the_last_one_holds() {
        let body = br#"{"context":{"a":1},"context":{"a":2,"a":3}}"#;
        assert_eq!(Value::Object(context(body).unwrap()), serde_json::json!({"a": 3}));
    }

    #[test]
    fn what_is_no_object_no_json_no_text_too_deep_or_out_of_range_is_refused() {
        let deep = format!(r#"{{"context":{{"a":{}1{}}}}}"#, "[".repeat(10_000), "]".repeat(10_000));
        for body in [
            &b"[]"[..],
            b"null",
            b"{",
            b"{} {}",
            br#"{"context":null}"#,
            br#"{"context":"user"}"#,
            br#"{"context":{"a":NaN}}"#,
            br#"{"context":{"a":Infinity}}"#,
            br#"{"context":{"a":1e999}}"#,
            b"{\"context\":{\"a\":\"\xff\"}}",
            br#"{"context":{"a":"\ud800"}}"#,
            deep.as_bytes(),
        ] {
            let error = context(body).unwrap_err();
            assert!(error.ends_with('.') && error.len() < 200, "{error}");
        }
        let large = format!(r#"{{"context":{{"a":1{}}}}}"#, "0".repeat(300));
        assert_eq!(context(large.as_bytes()).unwrap()["a"].as_f64(), Some(1e300));
    }
}
