//! What stands where paths lead.

use serde_json::Value;

use super::Patterns;
use super::pattern::{Child, Places};

impl Patterns {
    /// The values of a document that one of the paths leads to, in the order of the document, at most `most`.
    #[must_use]
    pub fn select<'a>(&self, document: &'a Value, most: usize) -> Vec<&'a Value> {
        let mut found = Vec::new();
        self.collect(&self.root(), document, most, &mut found);
        found
    }

    fn collect<'a>(&self, here: &Places, value: &'a Value, most: usize, found: &mut Vec<&'a Value>) {
        if found.len() >= most {
            return;
        }
        if self.end_at(here) {
            found.push(value);
        }
        match value {
            Value::Object(members) => {
                for (key, member) in members {
                    self.collect(&self.child(here, Child::Key(key)), member, most, found);
                }
            }
            Value::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    self.collect(&self.child(here, Child::Index(index)), element, most, found);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_paths_lead_to_is_found_in_order_and_bounded() {
        let mut keys = Patterns::default();
        keys.add("$.items[*].id").unwrap();
        let page = json!({"items": [{"id": "a", "of": {"id": 9}}, {"name": "none"}, {"id": 2}], "id": "other"});
        assert_eq!(keys.select(&page, 10), [&json!("a"), &json!(2)]);
        assert_eq!(keys.select(&page, 1), [&json!("a")]);
        let mut bare = Patterns::default();
        bare.add("$[*]").unwrap();
        assert_eq!(bare.select(&json!(["x", "y"]), 10), [&json!("x"), &json!("y")]);
        assert!(bare.select(&json!("x"), 10).is_empty());
    }
}
