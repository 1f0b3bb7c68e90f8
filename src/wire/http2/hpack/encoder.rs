//! Header blocks put together.

use std::collections::VecDeque;

use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::hash::hash;
use super::statics::{AUTHORITY, COUNT, METHOD, METHOD_POST, PATH, SCHEME, SCHEME_HTTPS, STATUS, is_secret, number_of};
use super::{OVERHEAD, TABLE_SIZE, integer};

/// Fields remembered to have been sent lately; a power of two.
const SEEN: usize = 128;

/// The sending side of one connection's header compression.
///
/// A field enters the table when it is sent for the second time, so that what differs from message to message (a length, a
/// time, an id) never drives out what repeats. Strings are sent as they are: to code them saves bytes once for each field
/// that repeats, and costs time for all that do not.
#[derive(Debug)]
pub(crate) struct Encoder {
    /// The newest last.
    table: VecDeque<Entry>,
    size: usize,
    max: usize,
    /// Entries made so far: the newest has this number.
    made: u32,
    /// By the lowest bits of a field's hash; empty until there is a field.
    seen: Vec<Seen>,
    /// The numbers of the fields that stood in the last head and in the last trailers, in order: messages to one peer are alike.
    stood: [[u32; STOOD]; 2],
    /// The present block is a head.
    of_head: bool,
    /// Which of its fields comes next.
    nth: usize,
    /// The smallest and the last size of the table since the last block, where it has changed.
    resized: Option<(usize, usize)>,
}

/// Fields of a block whose numbers are remembered.
const STOOD: usize = 16;

/// A field that was sent.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// The rest of its hash.
    mark: u32,
    /// Its number in the table; one that is not there has a number that no entry has.
    number: u32,
}

#[derive(Debug)]
struct Entry {
    /// The number of its name among the static fields; 0 where it has none there.
    known: u8,
    /// Its name, where it has none there.
    name: Box<[u8]>,
    value: Box<[u8]>,
}

impl Entry {
    fn size(&self) -> usize {
        name_length(self.known, &self.name) + self.value.len() + OVERHEAD
    }

    fn is(&self, known: u8, name: &[u8], value: &[u8]) -> bool {
        self.known == known && *self.value == *value && (known != 0 || *self.name == *name)
    }
}

fn name_length(known: u8, name: &[u8]) -> usize {
    if known == 0 { name.len() } else { super::statics::FIELDS[usize::from(known) - 1].name_length }
}

impl Default for Encoder {
    fn default() -> Self {
        Self {
            table: VecDeque::new(),
            size: 0,
            max: TABLE_SIZE,
            made: 0,
            seen: Vec::new(),
            stood: [[0; STOOD]; 2],
            of_head: false,
            nth: 0,
            resized: None,
        }
    }
}

impl Encoder {
    /// The other side keeps a table of at most so many bytes.
    pub(crate) fn limit_table(&mut self, max: usize) {
        let max = max.min(TABLE_SIZE);
        if max == self.max {
            return;
        }
        let lowest = self.resized.map_or(max, |(lowest, _)| lowest.min(max));
        self.resized = Some((lowest, max));
        self.max = max;
        self.shrink(max);
    }

    /// Begins a block.
    pub(crate) fn begin(&mut self, into: &mut Vec<u8>) {
        if let Some((lowest, last)) = self.resized.take() {
            if lowest != last {
                integer::encode(into, 0x20, 5, lowest);
            }
            integer::encode(into, 0x20, 5, last);
        }
        if self.seen.is_empty() {
            self.seen = vec![Seen { mark: 0, number: NOWHERE }; SEEN];
        }
        // Until there is a field of a head.
        self.of_head = false;
        self.nth = 0;
    }

    /// Appends `:status`.
    pub(crate) fn status(&mut self, into: &mut Vec<u8>, status: StatusCode) {
        self.of_head = true;
        let nth = match status.as_u16() {
            200 => 0,
            204 => 1,
            206 => 2,
            304 => 3,
            400 => 4,
            404 => 5,
            500 => 6,
            _ => return self.text(into, STATUS, b"", status.as_str().as_bytes()),
        };
        into.push(0x80 | (STATUS + nth));
    }

    /// Appends `:method`.
    pub(crate) fn method(&mut self, into: &mut Vec<u8>, method: &Method) {
        self.of_head = true;
        match *method {
            Method::GET => into.push(0x80 | METHOD),
            Method::POST => into.push(0x80 | METHOD_POST),
            _ => self.text(into, METHOD, b"", method.as_str().as_bytes()),
        }
    }

    /// Appends `:scheme`.
    pub(crate) fn scheme(into: &mut Vec<u8>, https: bool) {
        into.push(0x80 | if https { SCHEME_HTTPS } else { SCHEME });
    }

    /// Appends `:path`.
    pub(crate) fn path(&mut self, into: &mut Vec<u8>, path: &str) {
        if path == "/" {
            return into.push(0x80 | PATH);
        }
        self.text(into, PATH, b"", path.as_bytes());
    }

    /// Appends `:authority`.
    pub(crate) fn authority(&mut self, into: &mut Vec<u8>, authority: &[u8]) {
        self.text(into, AUTHORITY, b"", authority);
    }

    /// Appends a field. What is secret never enters a table, here or at any later hop (RFC 7541, section 7.1.3).
    pub(crate) fn field(&mut self, into: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
        let known = number_of(name);
        let bytes = if known == 0 { name.as_str().as_bytes() } else { b"" };
        if value.is_sensitive() || is_secret(known) {
            return literal(into, 0x10, 4, known, bytes, value.as_bytes());
        }
        self.text(into, known, bytes, value.as_bytes());
    }

    /// `name`: empty where it is `known`.
    fn text(&mut self, into: &mut Vec<u8>, known: u8, name: &[u8], value: &[u8]) {
        let nth = self.nth;
        self.nth += 1;
        if let Some(number) = self.stood[usize::from(self.of_head)].get(nth) {
            let age = self.made.wrapping_sub(*number) as usize;
            if self.aged(age).is_some_and(|entry| entry.is(known, name, value)) {
                return integer::encode(into, 0x80, 7, COUNT + 1 + age);
            }
        }
        let hash = hash(known, name, value);
        let (at, mark) = ((hash as usize) & (SEEN - 1), (hash >> 32) as u32);
        let Seen { mark: last, number } = self.seen[at];
        let age = self.made.wrapping_sub(number) as usize;
        let found = self.aged(age);
        if last != mark {
            // What is in the table is not forgotten for what may never come again.
            if found.is_none() {
                self.seen[at] = Seen { mark, number: self.made.wrapping_add(NOWHERE) };
            }
            return literal(into, 0, 4, known, name, value);
        }
        if found.is_some_and(|entry| entry.is(known, name, value)) {
            if let Some(stood) = self.stood[usize::from(self.of_head)].get_mut(nth) {
                *stood = number;
            }
            return integer::encode(into, 0x80, 7, COUNT + 1 + age);
        }
        let size = name_length(known, name) + value.len() + OVERHEAD;
        if size > self.max / 4 {
            // It would drive out too much.
            return literal(into, 0, 4, known, name, value);
        }
        literal(into, 0x40, 6, known, name, value);
        self.shrink(self.max - size);
        self.size += size;
        self.table.push_back(Entry { known, name: name.into(), value: value.into() });
        self.made = self.made.wrapping_add(1);
        self.seen[at].number = self.made;
    }

    /// The entry before which so many newer ones are.
    fn aged(&self, age: usize) -> Option<&Entry> {
        self.table.len().checked_sub(age + 1).and_then(|at| self.table.get(at))
    }

    fn shrink(&mut self, to: usize) {
        while self.size > to
            && let Some(entry) = self.table.pop_front()
        {
            self.size -= entry.size();
        }
    }

    /// Fields in the table.
    #[cfg(test)]
    pub(super) fn table_len(&self) -> usize {
        self.table.len()
    }
}

/// Added to the number of the newest entry: a number that no entry has, as there are never so many.
const NOWHERE: u32 = 1 << 31;

/// A field that does not enter the table, or enters it by this, as `first` says.
fn literal(into: &mut Vec<u8>, first: u8, bits: u32, known: u8, name: &[u8], value: &[u8]) {
    into.reserve(name.len() + value.len() + 12);
    integer::encode(into, first, bits, usize::from(known));
    if known == 0 {
        integer::encode(into, 0, 7, name.len());
        into.extend_from_slice(name);
    }
    integer::encode(into, 0, 7, value.len());
    into.extend_from_slice(value);
}
