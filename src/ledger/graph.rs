//! Changes and what depends on them, drawn.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Dependency, Entry, What};

/// The entries as a flow chart of [Mermaid](https://mermaid.js.org/syntax/flowchart.html).
#[derive(Debug)]
pub struct Mermaid<'a>(pub &'a [Entry]);

/// The entries in the [DOT language](https://graphviz.org/doc/info/lang.html).
#[derive(Debug)]
pub struct Dot<'a>(pub &'a [Entry]);

/// What there is to draw.
struct Graph<'a> {
    /// By service: its changes. Those of no service in particular stand under the empty name.
    services: BTreeMap<&'a str, Vec<&'a Entry>>,
    /// From an entry to one that depends on it.
    edges: Vec<(Node, u64)>,
    /// What is depended on and not among the entries.
    elsewhere: BTreeSet<Dependency>,
}

enum Node {
    Here(u64),
    Elsewhere(Dependency),
}

impl<'a> Graph<'a> {
    fn of(entries: &'a [Entry]) -> Self {
        let is_change = |entry: &&Entry| {
            let started =
                matches!(entry.draft.what, What::Genesis { .. } | What::Started { .. } | What::Rotated { .. });
            !started && !matches!(entry.draft.what, What::Note { .. } | What::Refusal { .. })
        };
        let mut graph = Self { services: BTreeMap::new(), edges: Vec::new(), elsewhere: BTreeSet::new() };
        let changes: Vec<&Entry> = entries.iter().filter(is_change).collect();
        let drawn: BTreeMap<u64, &Entry> = changes.iter().map(|entry| (entry.number, *entry)).collect();
        for entry in changes {
            let service = entry.draft.service.as_deref().unwrap_or_default();
            graph.services.entry(service).or_default().push(entry);
            for dependency in &entry.draft.about.depends_on {
                let here = match dependency {
                    Dependency::Entry(number) => drawn.contains_key(number).then_some(*number),
                    // A service of the same name may have a ledger of its own: then the number is another entry's here.
                    Dependency::Service(service, number) => drawn
                        .get(number)
                        .and_then(|entry| (entry.draft.service.as_ref() == Some(service)).then_some(*number)),
                };
                let from = here.map_or_else(|| Node::Elsewhere(dependency.clone()), Node::Here);
                if let Node::Elsewhere(dependency) = &from {
                    graph.elsewhere.insert(dependency.clone());
                }
                graph.edges.push((from, entry.number));
            }
        }
        graph
    }
}

/// Longest reason that is shown, in characters.
const MAX_LABEL: usize = 60;

/// The lines of a node: what, by whom, why.
fn label(entry: &Entry) -> [String; 3] {
    let draft = &entry.draft;
    let what = format!("{} {}: {}", entry.number, draft.what.kind(), super::clip(&draft.what.to_string(), MAX_LABEL));
    [what, format!("{} {}", draft.actor, entry.time), super::clip(&draft.reason, MAX_LABEL)]
}

impl fmt::Display for Mermaid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let graph = Graph::of(self.0);
        f.write_str("flowchart LR\n")?;
        for (index, (service, entries)) in graph.services.iter().enumerate() {
            let title = if service.is_empty() { "serin" } else { service };
            writeln!(f, "  subgraph s{index}[\"{}\"]", mermaid(title))?;
            for entry in entries {
                let lines = label(entry).map(|line| mermaid(&line));
                let shown: Vec<&str> = lines.iter().map(String::as_str).filter(|line| !line.is_empty()).collect();
                writeln!(f, "    e{}[\"{}\"]", entry.number, shown.join("<br/>"))?;
            }
            for pair in entries.windows(2) {
                writeln!(f, "    e{} -.-> e{}", pair[0].number, pair[1].number)?;
            }
            f.write_str("  end\n")?;
        }
        let name = |dependency: &Dependency| graph.elsewhere.iter().position(|other| other == dependency);
        for (index, dependency) in graph.elsewhere.iter().enumerate() {
            writeln!(f, "  x{index}([\"{}\"])", mermaid(&dependency.to_string()))?;
        }
        for (from, to) in &graph.edges {
            match from {
                Node::Here(from) => writeln!(f, "  e{from} ==> e{to}")?,
                Node::Elsewhere(from) => writeln!(f, "  x{} ==> e{to}", name(from).unwrap_or_default())?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Dot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let graph = Graph::of(self.0);
        f.write_str("digraph ledger {\n  rankdir=LR;\n  node [shape=box];\n")?;
        for (index, (service, entries)) in graph.services.iter().enumerate() {
            let title = if service.is_empty() { "serin" } else { service };
            writeln!(f, "  subgraph cluster_{index} {{\n    label=\"{}\";", dot(title))?;
            for entry in entries {
                let lines = label(entry).map(|line| dot(&line));
                let shown: Vec<&str> = lines.iter().map(String::as_str).filter(|line| !line.is_empty()).collect();
                writeln!(f, "    e{} [label=\"{}\"];", entry.number, shown.join("\\n"))?;
            }
            for pair in entries.windows(2) {
                writeln!(f, "    e{} -> e{} [style=dotted];", pair[0].number, pair[1].number)?;
            }
            f.write_str("  }\n")?;
        }
        for dependency in &graph.elsewhere {
            writeln!(f, "  \"{}\" [shape=ellipse];", dot(&dependency.to_string()))?;
        }
        for (from, to) in &graph.edges {
            match from {
                Node::Here(from) => writeln!(f, "  e{from} -> e{to} [style=bold];")?,
                Node::Elsewhere(from) => writeln!(f, "  \"{}\" -> e{to} [style=bold];", dot(&from.to_string()))?,
            }
        }
        f.write_str("}\n")
    }
}

/// Text within quotes of Mermaid, which knows HTML's entities with `#` for `&`.
fn mermaid(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' => escaped.push_str("#quot;"),
            '<' => escaped.push_str("#lt;"),
            '>' => escaped.push_str("#gt;"),
            '#' => escaped.push_str("#35;"),
            '&' => escaped.push_str("#38;"),
            '`' => escaped.push_str("#96;"),
            control if control.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Text within quotes of DOT.
fn dot(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\\' => escaped.extend(['\\', character]),
            control if control.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}
