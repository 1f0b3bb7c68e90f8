//! Server-sent events as they stand on the wire (WHATWG HTML, section 9.2).

use std::fmt::Display;

use axum::http::HeaderValue;
use bytes::Bytes;
use serde_json::{Value, json};

/// After how many milliseconds a client connects again that lost its connection.
pub(super) const RETRY: &str = "retry: 2000\n";
/// When to come again where there are too many, in seconds.
pub(super) const LATER: HeaderValue = HeaderValue::from_static("5");
/// Says nothing; keeps the connection from looking idle to whoever is on the way.
pub(super) const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// One event, as the `OpenAPI` document has it (before version 3.2 a stream's schema is that of each event): its name, and
/// the JSON of its data.
pub(super) fn schema(name: Value, data: Value) -> Value {
    let mut schema = json!({"type": "object", "description": "one event", "required": ["event", "data"], "properties": {
        "id": {"type": "string"}, "retry": {"type": "integer"},
        "data": {"type": "string", "contentMediaType": "application/json"},
    }});
    schema["properties"]["event"] = name;
    schema["properties"]["data"]["contentSchema"] = data;
    schema
}

/// One event. `data` has no line end in it.
pub(super) fn event(id: impl Display, name: &str, data: impl Display) -> String {
    format!("id: {id}\nevent: {name}\ndata: {data}\n\n")
}
