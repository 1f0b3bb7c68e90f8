//! "Did you mean …?"

/// Most slips of the fingers in a word that is still recognised.
const MOST: usize = 2;

/// Help with a word that is not known but close to one that is.
pub(crate) fn did_you_mean<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    closest(typed, known).map(|word| format!("did you mean `{word}`?"))
}

/// The known word that is at most two slips away from `typed`, or the same but for upper and lower case.
pub(super) fn closest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Words of this length are no slips of a key, and the distance costs their product.
    if typed.len() > 64 {
        return None;
    }
    let (typed, mut best) = (typed.to_lowercase(), None);
    for word in known {
        let slips = distance(&typed, &word.to_lowercase());
        // Two slips in a word of three letters make another word.
        let close = slips <= MOST && slips * 2 < word.chars().count().max(2);
        if close && best.is_none_or(|(least, _)| slips < least) {
            best = Some((slips, word));
        }
    }
    best.map(|(_, word)| word)
}

/// Levenshtein's distance in characters, a swap of neighbours counted as one (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_fingers_is_recognised_and_another_word_is_not() {
        let known = || ["weights", "versions", "sticky", "old", "new"].into_iter();
        assert_eq!(did_you_mean("wieghts", known()).as_deref(), Some("did you mean `weights`?"));
        assert_eq!(did_you_mean("Weights", known()).as_deref(), Some("did you mean `weights`?"));
        assert_eq!(did_you_mean("stick", known()).as_deref(), Some("did you mean `sticky`?"));
        assert_eq!(did_you_mean("odl", known()).as_deref(), Some("did you mean `old`?"));
        assert_eq!(did_you_mean("tls", known()), None);
        assert_eq!(did_you_mean("", known()), None);
    }

    #[test]
    fn the_distance_counts_insertions_deletions_changes_and_swaps() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("abdc", "abcd"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
