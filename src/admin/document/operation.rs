//! One operation of the API, as the document says it.

use axum::http::StatusCode;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::admin::problem::ProblemView;

/// Where schemas are that have names.
const SCHEMAS: &str = "/components/schemas";

/// Operations with their paths and methods.
pub(in crate::admin) type Operations = Vec<(&'static str, &'static str, Operation)>;

/// One operation: what it is called, takes and answers.
#[derive(Debug, Clone)]
pub(in crate::admin) struct Operation {
    pub(super) value: Value,
    /// By name, what its answers refer to.
    pub(super) schemas: Map<String, Value>,
}

impl Operation {
    /// One of those of `tag`.
    pub(in crate::admin) fn new(id: &str, tag: &str, summary: &str) -> Self {
        Self { value: json!({"operationId": id, "tags": [tag], "summary": summary}), schemas: Map::new() }
    }

    /// With more about it.
    pub(in crate::admin) fn about(mut self, text: impl Into<String>) -> Self {
        self.value["description"] = Value::String(text.into());
        self
    }

    /// With what `T` reads from its query.
    pub(in crate::admin) fn query<T: JsonSchema>(mut self) -> Self {
        let mut schema = asked::<T>();
        let required = take(&mut schema, "required");
        let is_required = |name: &str| required.as_array().is_some_and(|names| names.iter().any(|known| known == name));
        for (name, property) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
            let mut parameter = json!({"name": name, "in": "query", "required": is_required(name),
                "description": take(property, "description")});
            // What is JSON inside is said to be so, and what.
            let inside = take(property, "contentSchema");
            let example = take(property, "examples");
            if inside.is_null() {
                without_null(property);
                parameter["schema"] = property.take();
                if !example.is_null() {
                    parameter["example"] = example[0].clone();
                }
            } else {
                parameter["content"] = json!({"application/json": {"schema": inside, "example": example[0]}});
            }
            self.parameter(parameter);
        }
        self
    }

    /// With a header that it reads.
    pub(in crate::admin) fn header<T: JsonSchema>(mut self, name: &str, about: &str) -> Self {
        let (schema, required) = (asked::<T>(), false);
        self.parameter(json!({"name": name, "in": "header", "required": required, "schema": schema,
            "description": about}));
        self
    }

    /// With the body that `T` reads.
    pub(in crate::admin) fn body<T: JsonSchema>(mut self, example: Value) -> Self {
        self.value["requestBody"]["required"] = json!(true);
        self.value["requestBody"]["content"]["application/json"] = content(asked::<T>(), example);
        self
    }

    /// With an answer of JSON that `T` writes.
    pub(in crate::admin) fn answer<T: JsonSchema>(mut self, status: u16, about: &str, example: Value) -> Self {
        let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
            settings.definitions_path = SCHEMAS.into();
            settings.meta_schema = None;
        });
        let mut generator = settings.into_generator();
        let schema = generator.subschema_for::<T>();
        self.schemas.extend(generator.take_definitions(true));
        self.answer_as(status, about, "application/json", schema.to_value(), example)
    }

    /// With an answer of another kind.
    pub(in crate::admin) fn answer_as(
        mut self,
        status: u16,
        about: &str,
        kind: &str,
        schema: Value,
        example: Value,
    ) -> Self {
        let response = &mut self.value["responses"][status.to_string()];
        response["description"] = json!(about);
        response["content"][kind] = content(schema, example);
        self
    }

    /// With an answer of a line of text.
    pub(in crate::admin) fn text(self, status: u16, about: &str, example: &str) -> Self {
        self.answer_as(status, about, "text/plain", json!({"type": "string"}), json!(example))
    }

    /// With an answer that has no body.
    pub(in crate::admin) fn empty(mut self, status: u16, about: &str) -> Self {
        self.value["responses"][status.to_string()] = json!({"description": about});
        self
    }

    /// With an error, and what its `detail` may be.
    pub(in crate::admin) fn problem(mut self, status: StatusCode, about: &str, detail: &str) -> Self {
        self.value["responses"][status.as_str()] = example_problem(status, about, detail);
        self
    }

    /// With what an answer leads to: the parameters of another operation, as expressions over the answer.
    pub(in crate::admin) fn link(mut self, status: u16, to: &str, parameters: Value) -> Self {
        let link = &mut self.value["responses"][status.to_string()]["links"][to];
        link["operationId"] = json!(to);
        link["parameters"] = parameters;
        self
    }

    fn parameter(&mut self, parameter: Value) {
        match self.value["parameters"].as_array_mut() {
            Some(parameters) => parameters.push(parameter),
            None => self.value["parameters"] = json!([parameter]),
        }
    }
}

/// What a body is like.
fn content(schema: Value, example: Value) -> Value {
    Value::Object(Map::from_iter([("schema".to_owned(), schema), ("example".to_owned(), example)]))
}

/// An error as an answer of the document.
pub(in crate::admin) fn example_problem(status: StatusCode, about: &str, detail: &str) -> Value {
    let example = ProblemView::new(status, detail);
    let schema = json!({"$ref": format!("#{SCHEMAS}/Problem")});
    let content = json!({"application/problem+json": {"schema": schema, "example": example}});
    json!({"description": about, "content": content})
}

/// What every error looks like.
pub(in crate::admin) fn problem_schema() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| settings.meta_schema = None);
    settings.into_generator().into_root_schema_for::<ProblemView<'_>>().to_value()
}

/// What is read, as one schema that refers to nothing.
pub(super) fn asked<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().for_deserialize().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    // That of a type, which nobody outside has heard of.
    let _ = take(&mut schema, "title");
    schema
}

fn take(schema: &mut Value, key: &str) -> Value {
    schema.as_object_mut().and_then(|schema| schema.remove(key)).unwrap_or(Value::Null)
}

/// A query has no `null`: what may be left out is.
fn without_null(schema: &mut Value) {
    let default = take(schema, "default");
    if !default.is_null() {
        schema["default"] = default;
    }
    if let Some(Value::Array(kinds)) = schema.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [kind] = &kinds[..] {
            schema["type"] = kind.clone();
        }
    } else if let Value::Array(mut either) = take(schema, "anyOf") {
        either.retain(|schema| schema["type"] != "null");
        if let [only] = &mut either[..] {
            let only = only.take();
            if let (Some(schema), Value::Object(only)) = (schema.as_object_mut(), only) {
                schema.extend(only);
            }
        } else {
            schema["anyOf"] = Value::Array(either);
        }
    }
}
