//! The way from the root of a file to a value, spelt out only where something is to be said of it.

use crate::config::node::{Key, Node};
use crate::config::problem::Spot;
use crate::flags::Step;

/// A step, and those before it.
#[derive(Clone, Copy)]
pub(super) struct Trail<'t> {
    before: Option<&'t Trail<'t>>,
    step: Link<'t>,
}

#[derive(Clone, Copy)]
enum Link<'t> {
    Root,
    Key(&'t str),
    Index(usize),
}

impl<'t> Trail<'t> {
    pub(super) const ROOT: Self = Self { before: None, step: Link::Root };

    pub(super) fn key(&'t self, name: &'t str) -> Self {
        Self { before: Some(self), step: Link::Key(name) }
    }

    pub(super) fn index(&'t self, index: usize) -> Self {
        Self { before: Some(self), step: Link::Index(index) }
    }

    pub(super) fn at(&self, node: &Node) -> Spot {
        node.place.spot(self.text())
    }

    /// The place of a key of the mapping that the trail leads to.
    pub(super) fn at_key(&self, key: &Key) -> Spot {
        key.place.spot(self.key(&key.text).text())
    }

    /// As messages write it: `flags.banner.targeting.if[0]`.
    fn text(&self) -> String {
        let mut text = self.before.map(Trail::text).unwrap_or_default();
        match self.step {
            Link::Root => {}
            Link::Key(name) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(name);
            }
            Link::Index(index) => {
                text.push('[');
                text.push_str(&index.to_string());
                text.push(']');
            }
        }
        text
    }
}

/// Follows the steps of a rule from `node` as far as they lead, and says where that is.
pub(super) fn follow<'s>(node: &Node, trail: &Trail<'_>, mut steps: impl Iterator<Item = &'s Step>) -> Spot {
    let next = steps.next().and_then(|step| match step {
        Step::Key(name) => Some((node.entry(name)?, trail.key(name))),
        Step::Index(index) => Some((node.item(*index)?, trail.index(*index))),
    });
    match next {
        Some((node, trail)) => follow(node, &trail, steps),
        None => trail.at(node),
    }
}
