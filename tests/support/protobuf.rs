//! Protobuf without a schema (<https://protobuf.dev/programming-guides/encoding/>): fields by their numbers.

/// One field's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(Vec<u8>),
}

/// A message: numbers and values in the order they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message(pub Vec<(u64, Field)>);

impl Message {
    /// # Panics
    /// If the bytes are no message.
    pub fn parse(bytes: &[u8]) -> Self {
        let mut rest = bytes;
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let key = varint(&mut rest);
            let field = match key & 7 {
                0 => Field::Varint(varint(&mut rest)),
                1 => Field::Fixed64(u64::from_le_bytes(take(&mut rest, 8).try_into().expect("eight"))),
                2 => {
                    let length = usize::try_from(varint(&mut rest)).expect("a length");
                    Field::Bytes(take(&mut rest, length).to_vec())
                }
                5 => Field::Fixed32(u32::from_le_bytes(take(&mut rest, 4).try_into().expect("four"))),
                other => panic!("wire type {other}"),
            };
            fields.push((key >> 3, field));
        }
        Self(fields)
    }

    /// All bytes under a number.
    pub fn all(&self, number: u64) -> Vec<Vec<u8>> {
        let fields = self.0.iter().filter(|(known, _)| *known == number);
        fields
            .map(|(_, field)| if let Field::Bytes(bytes) = field { bytes.clone() } else { panic!("{field:?}") })
            .collect()
    }

    /// All messages under a number.
    pub fn messages(&self, number: u64) -> Vec<Self> {
        self.all(number).iter().map(|bytes| Self::parse(bytes)).collect()
    }

    /// The text under a number; empty where there is none.
    pub fn text(&self, number: u64) -> String {
        String::from_utf8(self.all(number).pop().unwrap_or_default()).expect("text")
    }

    /// The number under a number; 0 where there is none.
    pub fn number(&self, number: u64) -> u64 {
        match self.0.iter().find(|(known, _)| *known == number) {
            None => 0,
            Some((_, Field::Varint(value) | Field::Fixed64(value))) => *value,
            Some((_, Field::Fixed32(value))) => u64::from(*value),
            Some((_, field)) => panic!("{field:?}"),
        }
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(length);
    *rest = left;
    taken
}

fn varint(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
    }
    panic!("a varint without an end")
}
