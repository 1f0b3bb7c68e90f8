//! Whether the two sides of a migration represent things alike, so that what the one says can be written to the other.
//!
//! Where schemas differ, a repair by copying writes the wrong shape. What is known of that comes from keys that both sides have:
//! where, by the rules of the service's `diff`, something is there on one side only or is of another type for more keys than
//! not, the two say things in different ways, and nothing is copied. Before anything is known a single key is tried.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::diff::{Change, Difference};

/// As many keys make it certain; with fewer, a key that may not be written is looked at again later.
const ENOUGH: u32 = 20;
/// With more, older ones count half, so that another build of a version is believed in the end.
const MOST: u32 = 200;

/// What is known, shared by all who look.
#[derive(Debug, Clone, Default)]
pub struct Likeness(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    alike: u32,
    unlike: u32,
    /// Where they were not, the last time.
    place: String,
    /// A first key is being written, to see what becomes of it.
    trying: bool,
}

/// Whether what one side says of a key may be written to the other.
#[derive(Debug)]
pub enum Leave {
    /// It may. With a trial it is the first, and others wait until that is dropped.
    Granted(Option<Trial>),
    /// Not now, for this reason.
    Later(String),
    /// It may not, for this reason.
    Refused(String),
}

/// The first key that is written, for as long as nothing is known.
#[derive(Debug)]
pub struct Trial(Likeness);

impl Likeness {
    /// Both sides have something, and that is how they differ. `written`: right after it was copied from one to the other, so that
    /// nothing but another way of representing things can be the reason.
    pub fn saw(&self, differences: &[Difference], written: bool) {
        let mut known = self.known();
        if known.alike + known.unlike >= MOST {
            (known.alike, known.unlike) = (known.alike / 2, known.unlike / 2);
        }
        match differences.iter().find(|difference| is_of_shape(difference)) {
            None => known.alike += 1,
            Some(difference) => {
                known.unlike += if written { ENOUGH } else { 1 };
                known.place.clone_from(&difference.place);
            }
        }
    }

    /// Whether something may be copied now.
    #[must_use]
    pub fn leave(&self) -> Leave {
        let mut known = self.known();
        let Known { alike, unlike, .. } = *known;
        if unlike > alike {
            let why = format!(
                "the two sides represent things differently ({unlike} of {} keys that both have, the last at {}), so that a copy \
                 would have the wrong shape; `repair: copy` copies all the same, `repair: resend` sends waiting writes again",
                alike + unlike,
                known.place
            );
            return if alike + unlike < ENOUGH { Leave::Later(why) } else { Leave::Refused(why) };
        }
        if alike + unlike > 0 {
            return Leave::Granted(None);
        }
        if known.trying {
            return Leave::Later(
                "another key is tried first, to see whether both sides represent things alike".to_owned(),
            );
        }
        known.trying = true;
        Leave::Granted(Some(Trial(self.clone())))
    }

    /// Every change is whole before the lock is given back, so a panic elsewhere leaves nothing half done.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        self.0.known().trying = false;
    }
}

/// Whether it is a matter of shape: arrays that are longer and texts that have more lines are not.
fn is_of_shape(difference: &Difference) -> bool {
    let is_element = difference.place.ends_with("[*]");
    let is_text = difference.place.starts_with("line");
    match difference.change {
        Change::Value => false,
        Change::Type => true,
        Change::Added | Change::Removed => !is_element && !is_text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(place: &str, change: Change) -> [Difference; 1] {
        [Difference { place: place.to_owned(), change, old: String::new(), new: String::new() }]
    }

    #[test]
    fn a_single_key_is_tried_while_nothing_is_known() {
        let likeness = Likeness::default();
        let Leave::Granted(Some(trial)) = likeness.leave() else { panic!("it is the first") };
        assert!(matches!(likeness.leave(), Leave::Later(_)));
        drop(trial);
        let Leave::Granted(Some(trial)) = likeness.leave() else { panic!("the first told nothing") };
        likeness.saw(&[], false);
        drop(trial);
        assert!(matches!(likeness.leave(), Leave::Granted(None)));
    }

    #[test]
    fn sides_that_say_most_things_in_different_ways_are_not_copied_and_those_that_seldom_do_are() {
        let likeness = Likeness::default();
        for _ in 0..10 {
            likeness.saw(&at("$.first", Change::Added), false);
        }
        assert!(matches!(likeness.leave(), Leave::Later(_)), "that may be chance");
        for _ in 0..10 {
            likeness.saw(&at("$.first", Change::Added), false);
        }
        let Leave::Refused(why) = likeness.leave() else { panic!("that is none") };
        assert!(why.contains("20 of 20 keys") && why.contains("$.first"), "{why}");
        for _ in 0..21 {
            likeness.saw(&[], false);
        }
        assert!(matches!(likeness.leave(), Leave::Granted(None)));
    }

    #[test]
    fn other_values_longer_arrays_and_more_lines_are_the_same_shape() {
        let likeness = Likeness::default();
        for seen in [
            at("$.name", Change::Value),
            at("$.items[*]", Change::Removed),
            at("line 3", Change::Added),
            at("lines", Change::Added),
        ] {
            likeness.saw(&seen, false);
        }
        assert!(matches!(likeness.leave(), Leave::Granted(None)));
        let likeness = Likeness::default();
        for seen in [at("$.items[*].price", Change::Removed), at("$.name", Change::Type)] {
            likeness.saw(&seen, false);
        }
        assert!(matches!(likeness.leave(), Leave::Later(_)));
    }

    #[test]
    fn one_copy_that_comes_back_in_another_shape_is_enough() {
        let likeness = Likeness::default();
        likeness.saw(&at("$.first", Change::Added), true);
        assert!(matches!(likeness.leave(), Leave::Refused(_)));
    }

    #[test]
    fn another_build_is_believed_in_the_end() {
        let likeness = Likeness::default();
        (0..10_000).for_each(|_| likeness.saw(&at("$.first", Change::Added), false));
        (0..2 * MOST).for_each(|_| likeness.saw(&[], false));
        assert!(matches!(likeness.leave(), Leave::Granted(None)));
    }
}
