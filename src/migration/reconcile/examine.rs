//! One key looked at, and mended where that is asked for.
//!
//! A first look costs nobody anything. Where it finds a disagreement, the key's turn is taken in the journal: then nothing of
//! it is on its way and nothing sets out meanwhile, so that what is seen is so. A repair happens within the same turn: it
//! never takes the place of a later write, and earlier ones that the other side never took have become superfluous. One by
//! sending writes again gives the turn back for that, and takes it anew to see what came of it.

use std::future::Future;

use super::likeness::Leave;
use super::look::{Disagreement, Entity, Kind, Reading, look};
use crate::diff::{Difference, Rules};
use crate::plan::{Repair, Side};

/// Both sides, as they are reached.
pub trait Sides {
    /// While it is held, nothing of the key is sent to either side.
    type Turn;

    /// The side that is right, by the stage that the key is in now.
    fn authoritative(&self, key: &str) -> Side;

    /// What a side says of a key; else why it says nothing.
    fn read(&self, side: Side, key: &str) -> impl Future<Output = Result<Reading, String>>;

    /// Writes an entity as the other side represents it; else why it was not taken.
    fn write(&self, side: Side, key: &str, entity: &Entity) -> impl Future<Output = Result<(), String>>;

    /// Takes away what a side has of a key; else why it is still there.
    fn remove(&self, side: Side, key: &str) -> impl Future<Output = Result<(), String>>;

    /// How a disagreement is mended.
    fn repair(&self) -> Repair;

    /// Both sides have something, and differ like this; `written`: right after it was copied.
    fn saw(&self, differences: &[Difference], written: bool);

    /// Whether what one side says can be written to the other.
    fn leave(&self) -> Leave;

    /// Has what the journal still has of the key for the other side sent there again, and waits for that; else why it is not there.
    fn resend(&self, key: &str) -> impl Future<Output = Result<(), String>>;

    /// The key's turn; `None` where that cannot be had now.
    fn turn(&self, key: &str) -> impl Future<Output = Option<Self::Turn>>;

    /// Whether writes of the key wait that the other side has yet to get, so that it need not say the same by now.
    fn lags(&self, key: &str) -> bool;

    /// Within the turn both sides were seen to say the same: what still waited of the key has become superfluous.
    fn is_same(&self, turn: Self::Turn);
}

/// How a key is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Where the sides disagree, the other side is made to say what the authoritative one does.
    pub repair: bool,
    /// There are doubts about the key, which a look without its turn does not settle.
    pub in_turn: bool,
}

/// What a look at a key found, and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Both sides say the same.
    Agreed,
    /// They do not.
    Disagreed(Disagreement, Mended),
    /// It is being written; it is to be looked at again.
    Busy,
    /// A side gave no answer that says anything; it is to be asked again.
    Failed(String),
}

/// What became of a disagreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mended {
    /// Nothing: nobody asked for that.
    NotAsked,
    /// Both sides say the same now.
    Done,
    /// They still do not, for this reason.
    Not(String),
    /// Nothing was done, for this reason, which may not hold a moment later.
    Later(String),
}

/// Looks at a key, and mends it where that is `wanted`.
pub async fn examine<S: Sides>(sides: &S, rules: &Rules, key: &str, wanted: Wanted) -> Outcome {
    if !wanted.in_turn {
        match both(sides, rules, key).await {
            Ok((None, right)) => {
                note(sides, None, &right, false);
                return Outcome::Agreed;
            }
            Ok(_) => {}
            Err(why) => return Outcome::Failed(why),
        }
    }
    // Perhaps a write came between the two readings.
    let Some(turn) = sides.turn(key).await else { return Outcome::Busy };
    let (disagreement, right) = match both(sides, rules, key).await {
        Ok((Some(disagreement), right)) => (disagreement, right),
        Ok((None, right)) => {
            note(sides, None, &right, false);
            sides.is_same(turn);
            return Outcome::Agreed;
        }
        Err(why) => return Outcome::Failed(why),
    };
    note(sides, Some(&disagreement), &right, false);
    if !wanted.repair {
        return if sides.lags(key) { Outcome::Busy } else { Outcome::Disagreed(disagreement, Mended::NotAsked) };
    }
    let leave = match (sides.repair(), &right) {
        (Repair::None, _) => Leave::Refused("`repair` is `none`".to_owned()),
        (Repair::Resend, _) => {
            drop(turn);
            return resent(sides, rules, key, disagreement).await;
        }
        (Repair::CopyAlike, Reading::Entity(_)) => sides.leave(),
        (Repair::CopyAlike | Repair::Copy, _) => Leave::Granted(None),
    };
    let trial = match leave {
        Leave::Granted(trial) => trial,
        Leave::Later(why) => return Outcome::Disagreed(disagreement, Mended::Later(why)),
        Leave::Refused(why) => return Outcome::Disagreed(disagreement, Mended::Not(why)),
    };
    let other = sides.authoritative(key).other();
    let done = match &right {
        Reading::Entity(entity) => sides.write(other, key, entity).await,
        Reading::Absent => sides.remove(other, key).await,
    };
    let mended = match done {
        Err(why) => Mended::Not(why),
        Ok(()) => match sides.read(other, key).await {
            Err(why) => Mended::Not(format!("it was taken, but then: {why}")),
            Ok(now) => {
                let still = look(rules, &right, &now);
                note(sides, still.as_ref(), &right, true);
                match still {
                    None => Mended::Done,
                    Some(still) => Mended::Not(format!("it was taken, and still {}", still.in_words())),
                }
            }
        },
    };
    drop(trial);
    if mended == Mended::Done {
        sides.is_same(turn);
    }
    Outcome::Disagreed(disagreement, mended)
}

/// Has the key's writes sent again, and looks what came of that.
async fn resent<S: Sides>(sides: &S, rules: &Rules, key: &str, before: Disagreement) -> Outcome {
    if let Err(why) = sides.resend(key).await {
        return Outcome::Disagreed(before, Mended::Not(why));
    }
    let Some(turn) = sides.turn(key).await else { return Outcome::Busy };
    let mended = match both(sides, rules, key).await {
        Ok((None, _)) => {
            sides.is_same(turn);
            Mended::Done
        }
        Ok((Some(still), _)) => Mended::Not(format!("its writes were sent again, and it still {}", still.in_words())),
        Err(why) => Mended::Not(format!("its writes were sent again, but then: {why}")),
    };
    Outcome::Disagreed(before, mended)
}

/// Takes note of how alike the sides are, where both have something.
fn note<S: Sides>(sides: &S, disagreement: Option<&Disagreement>, right: &Reading, written: bool) {
    match (right, disagreement) {
        (Reading::Entity(_), None) => sides.saw(&[], written),
        (_, Some(Disagreement { kind: Kind::Differs, differences })) => sides.saw(differences, written),
        _ => {}
    }
}

/// How the sides disagree, and what the authoritative one says.
async fn both<S: Sides>(sides: &S, rules: &Rules, key: &str) -> Result<(Option<Disagreement>, Reading), String> {
    let authoritative = sides.authoritative(key);
    let (right, other) = tokio::join!(sides.read(authoritative, key), sides.read(authoritative.other(), key));
    let (right, other) = (right?, other?);
    Ok((look(rules, &right, &other), right))
}

impl Disagreement {
    /// As the end of a sentence about the other side.
    fn in_words(&self) -> String {
        match (self.kind, self.differences.first()) {
            (Kind::Differs, Some(first)) => format!("differs at {}", first.place),
            (Kind::Differs, None) => "differs".to_owned(),
            (Kind::Missing, _) => "is not there".to_owned(),
            (Kind::Extra, _) => "is there".to_owned(),
        }
    }
}

#[cfg(test)]
#[path = "examine_tests.rs"]
mod tests;
