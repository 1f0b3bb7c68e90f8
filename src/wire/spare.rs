//! Header maps that were of messages which are gone, for those that come: a map is two allocations, and not small ones.

use std::cell::RefCell;

use http::HeaderMap;

/// Maps kept by a thread, a quarter of a mebibyte of them. Messages come in turns, as many as are read at once, and a call has three maps:
/// its request's, its answer's, its trailers'.
const KEPT: usize = 192;
/// Fields a map has room for at most that is kept: what few messages have is not kept for all.
const MOST_FIELDS: usize = 48;

thread_local! {
    static SPARE: RefCell<Vec<HeaderMap>> = const { RefCell::new(Vec::new()) };
}

/// An empty map with room for `fields`, or for some more.
#[must_use]
pub fn take_headers(fields: usize) -> HeaderMap {
    let spare = if fields > MOST_FIELDS { None } else { SPARE.with_borrow_mut(Vec::pop) };
    spare.unwrap_or_else(|| HeaderMap::with_capacity(fields))
}

/// Keeps a map for whoever needs one next.
pub fn give_back_headers(mut headers: HeaderMap) {
    // Values of the same name have room of their own.
    let is_kept = (1..=MOST_FIELDS).contains(&headers.capacity()) && headers.len() <= MOST_FIELDS;
    if is_kept {
        headers.clear();
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < KEPT {
                spare.push(headers);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use http::header::{ACCEPT, HOST, HeaderValue};

    use super::*;

    #[test]
    fn a_map_that_is_used_again_has_nothing_of_the_message_before() {
        let mut headers = take_headers(4);
        headers.append(HOST, HeaderValue::from_static("a"));
        headers.append(ACCEPT, HeaderValue::from_static("b"));
        headers.append(ACCEPT, HeaderValue::from_static("c"));
        let capacity = headers.capacity();
        give_back_headers(headers);
        let mut again = take_headers(2);
        assert_eq!((again.capacity(), again.len(), again.get(HOST)), (capacity, 0, None));
        assert_eq!(again.get_all(ACCEPT).iter().count(), 0);
        again.insert(ACCEPT, HeaderValue::from_static("d"));
        assert_eq!(again.iter().count(), 1);
    }

    #[test]
    fn what_few_messages_need_is_not_kept_for_all() {
        give_back_headers(HeaderMap::with_capacity(1000));
        give_back_headers(HeaderMap::new());
        let mut lines = take_headers(4);
        let capacity = lines.capacity();
        (0..1000).for_each(|_| _ = lines.append(ACCEPT, HeaderValue::from_static("x")));
        give_back_headers(lines);
        let fresh = SPARE.with_borrow(Vec::len);
        assert_eq!((fresh, take_headers(4).capacity()), (0, capacity));
    }
}
