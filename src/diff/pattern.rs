//! Paths into JSON documents, a small part of `JSONPath` (RFC 9535): `$.user.id`, `$['a b']`, `$.items[*].price`, `$..etag`.

use std::str::Chars;

/// Most steps of one path.
const MAX_STEPS: usize = 64;
/// Most bytes of one path.
const MAX_BYTES: usize = 1024;

/// Paths that are looked for together while a document is walked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns(Vec<Vec<Step>>);

/// Where, in each of some [`Patterns`], a walk has come to.
#[derive(Debug, Clone)]
pub(super) struct Places(Vec<(usize, usize)>);

/// One step down into a document.
#[derive(Debug, Clone, Copy)]
pub(super) enum Child<'a> {
    /// To the member of an object.
    Key(&'a str),
    /// To the element of an array.
    Index(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
    /// Every child.
    Any,
    /// Any number of steps, none as well.
    Deep,
}

/// Why something is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It does not begin at the document's root.
    #[error("a path begins with `$`")]
    Root,
    /// Something that is no step.
    #[error("after `{after}` comes neither `.name`, `['name']`, `[*]`, `[0]` nor `..name`")]
    Step {
        /// What could be read.
        after: String,
    },
    /// It names the whole document.
    #[error("`$` alone is the whole document")]
    Whole,
    /// It is too long.
    #[error("a path has at most {MAX_STEPS} steps and {MAX_BYTES} bytes")]
    TooLong,
}

impl Patterns {
    /// Adds a path.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add(&mut self, text: &str) -> Result<(), PatternError> {
        if text.len() > MAX_BYTES {
            return Err(PatternError::TooLong);
        }
        let mut rest = text.strip_prefix('$').ok_or(PatternError::Root)?.chars();
        let mut steps = Vec::new();
        while !rest.as_str().is_empty() {
            let after = &text[..text.len() - rest.as_str().len()];
            let wrong = || PatternError::Step { after: after.to_owned() };
            read_step(&mut rest, &mut steps).ok_or_else(wrong)?;
            if steps.len() > MAX_STEPS {
                return Err(PatternError::TooLong);
            }
        }
        if steps.is_empty() {
            return Err(PatternError::Whole);
        }
        self.0.push(steps);
        Ok(())
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where a walk begins.
    pub(super) fn root(&self) -> Places {
        let mut places = Places(Vec::new());
        for pattern in 0..self.0.len() {
            self.enter(pattern, 0, &mut places);
        }
        places
    }

    /// Where a walk has come to a step further.
    pub(super) fn child(&self, from: &Places, child: Child<'_>) -> Places {
        let mut places = Places(Vec::new());
        for &(pattern, at) in &from.0 {
            match self.0[pattern].get(at) {
                Some(Step::Deep) => self.enter(pattern, at, &mut places),
                Some(step) if step.leads_to(child) => self.enter(pattern, at + 1, &mut places),
                _ => {}
            }
        }
        places
    }

    /// The same where what lies below the end of a path belongs to it.
    pub(super) fn child_or_below(&self, from: &Places, child: Child<'_>) -> Places {
        let mut places = self.child(from, child);
        places.0.extend(from.0.iter().filter(|(pattern, at)| *at == self.0[*pattern].len()));
        places
    }

    /// Whether one of the paths ends here.
    pub(super) fn end_at(&self, places: &Places) -> bool {
        places.0.iter().any(|&(pattern, at)| at == self.0[pattern].len())
    }

    fn enter(&self, pattern: usize, at: usize, places: &mut Places) {
        if !places.0.contains(&(pattern, at)) {
            places.0.push((pattern, at));
        }
        if self.0[pattern].get(at) == Some(&Step::Deep) {
            self.enter(pattern, at + 1, places);
        }
    }
}

impl Step {
    fn leads_to(&self, child: Child<'_>) -> bool {
        match (self, child) {
            (Self::Any, _) => true,
            (Self::Key(wanted), Child::Key(key)) => wanted == key,
            (Self::Index(wanted), Child::Index(index)) => *wanted == index,
            _ => false,
        }
    }
}

/// Takes one step, with `..` in front of it, from `rest`.
fn read_step(rest: &mut Chars<'_>, steps: &mut Vec<Step>) -> Option<()> {
    match rest.next()? {
        '.' => {
            if let Some(after) = rest.as_str().strip_prefix('.') {
                *rest = after.chars();
                steps.push(Step::Deep);
                if let Some(bracket) = after.strip_prefix('[') {
                    *rest = bracket.chars();
                    return read_bracket(rest, steps);
                }
            }
            let name = rest.as_str();
            let end = name.find(['.', '[']).unwrap_or(name.len());
            let (name, after) = name.split_at(end);
            *rest = after.chars();
            steps.push(match name {
                "" => return None,
                "*" => Step::Any,
                name => Step::Key(name.to_owned()),
            });
            Some(())
        }
        '[' => read_bracket(rest, steps),
        _ => None,
    }
}

/// What stands in brackets, the first of which is read.
fn read_bracket(rest: &mut Chars<'_>, steps: &mut Vec<Step>) -> Option<()> {
    let text = rest.as_str();
    if let Some(quote) = text.chars().next().filter(|first| matches!(first, '\'' | '"')) {
        let mut name = String::new();
        let mut inside = text[1..].chars();
        loop {
            match inside.next()? {
                '\\' => name.push(inside.next()?),
                end if end == quote => break,
                other => name.push(other),
            }
        }
        *rest = inside.as_str().strip_prefix(']')?.chars();
        steps.push(Step::Key(name));
        return Some(());
    }
    let (inside, after) = text.split_once(']')?;
    steps.push(if inside == "*" { Step::Any } else { Step::Index(inside.parse().ok()?) });
    *rest = after.chars();
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(paths: &[&str]) -> Patterns {
        let mut patterns = Patterns::default();
        for path in paths {
            patterns.add(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        }
        patterns
    }

    fn hit(paths: &[&str], way: &[Child<'_>]) -> bool {
        let patterns = patterns(paths);
        let end = way.iter().fold(patterns.root(), |places, child| patterns.child(&places, *child));
        patterns.end_at(&end)
    }

    use Child::{Index, Key};

    #[test]
    fn a_path_ends_where_it_says_and_nowhere_else() {
        let price = [Key("items"), Index(3), Key("price")];
        for path in [
            "$.items[*].price",
            "$.items[3].price",
            "$..price",
            "$['items'][3][\"price\"]",
            "$.*[*].*",
            "$..[3]..price",
        ] {
            assert!(hit(&[path], &price), "{path}");
        }
        for path in ["$.items[*]", "$.items[2].price", "$.price", "$..prices", "$.items.price", "$.items[*].price.net"]
        {
            assert!(!hit(&[path], &price), "{path}");
        }
        assert!(hit(&["$.a", "$.b"], &[Key("b")]));
        assert!(hit(&["$['a.b[0]']"], &[Key("a.b[0]")]));
        assert!(hit(&[r"$['it\'s']"], &[Key("it's")]));
    }

    #[test]
    fn what_lies_below_the_end_of_a_path_belongs_to_it_where_that_is_asked_for() {
        let patterns = patterns(&["$.user"]);
        let user = patterns.child(&patterns.root(), Key("user"));
        assert!(!patterns.end_at(&patterns.child(&user, Key("email"))));
        assert!(patterns.end_at(&patterns.child_or_below(&user, Key("email"))));
        assert!(!patterns.end_at(&patterns.child_or_below(&patterns.root(), Key("users"))));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let refused = |path: &str| Patterns::default().add(path).expect_err(path);
        assert_eq!(refused("items"), PatternError::Root);
        assert_eq!(refused("$"), PatternError::Whole);
        for (path, after) in
            [("$.a.", "$.a"), ("$.a[x]", "$.a"), ("$a", "$"), ("$.a['b]", "$.a"), ("$.a[", "$.a"), ("$..", "$")]
        {
            assert_eq!(refused(path), PatternError::Step { after: after.to_owned() }, "{path}");
        }
        assert_eq!(refused(&format!("${}", ".a".repeat(65))), PatternError::TooLong);
        assert_eq!(refused(&format!("$.{}", "a".repeat(2000))), PatternError::TooLong);
    }
}
