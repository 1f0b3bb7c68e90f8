use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|digit| !digit.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn text(field: &Field) -> String {
    match field {
        Field::Authority(value) => format!(":authority: {}", value.to_str().unwrap()),
        Field::Method(method) => format!(":method: {method}"),
        Field::Path(path) => format!(":path: {path}"),
        Field::Scheme => ":scheme".to_owned(),
        Field::Status(status) => format!(":status: {}", status.as_u16()),
        Field::Header(name, value) => format!("{name}: {}", value.to_str().unwrap()),
        Field::Malformed(what) => format!("malformed: {what}"),
    }
}

fn fields(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<String>, Undecodable> {
    let mut found = Vec::new();
    decoder.decode(block, &mut Effects::default(), |field, _| found.push(text(field)))?;
    Ok(found)
}

/// RFC 7541, appendices C.3 and C.4: requests, without and with Huffman's code.
#[test]
fn the_requests_of_the_specification_are_decoded() {
    for blocks in [
        [
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "8286 84be 5808 6e6f 2d63 6163 6865",
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        ],
        [
            "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
            "8286 84be 5886 a8eb 1064 9cbf",
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        ],
    ] {
        let mut decoder = Decoder::default();
        let mut next = |at: usize| fields(&mut decoder, &bytes(blocks[at])).unwrap();
        assert_eq!(next(0), [":method: GET", ":scheme", ":path: /", ":authority: www.example.com"]);
        let second = [":method: GET", ":scheme", ":path: /", ":authority: www.example.com", "cache-control: no-cache"];
        assert_eq!(next(1), second);
        let third = [
            ":method: GET",
            ":scheme",
            ":path: /index.html",
            ":authority: www.example.com",
            "custom-key: custom-value",
        ];
        assert_eq!(next(2), third);
        assert_eq!(decoder.size(), 164);
    }
}

/// RFC 7541, appendices C.5 and C.6: responses, with a table of 256 bytes.
#[test]
fn the_responses_of_the_specification_are_decoded() {
    for blocks in [
        [
            "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "4803 3330 37c1 c0bf",
            "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
        ],
        [
            "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
            "4883 640e ffc1 c0bf",
            "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
        ],
    ] {
        let mut decoder = Decoder::default();
        // 256: 31 in the prefix, then 225.
        assert_eq!(fields(&mut decoder, &[0x3f, 0xe1, 0x01]), Ok(Vec::new()));
        let mut next = |at: usize| fields(&mut decoder, &bytes(blocks[at])).unwrap();
        let (date, location) = ("date: Mon, 21 Oct 2013 20:13:21 GMT", "location: https://www.example.com");
        assert_eq!(next(0), [":status: 302", "cache-control: private", date, location]);
        assert_eq!(next(1), [":status: 307", "cache-control: private", date, location]);
        let cookie = "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
        let (date, encoding) = ("date: Mon, 21 Oct 2013 20:13:22 GMT", "content-encoding: gzip");
        assert_eq!(next(2), [":status: 200", "cache-control: private", date, location, encoding, cookie]);
        assert_eq!(decoder.size(), 215);
    }
}

#[test]
fn what_no_message_may_have_is_named() {
    for (name, value) in [
        ("Upper", "x"),
        ("bad name", "x"),
        ("", "x"),
        ("x", "a\nb"),
        ("x", "a\0b"),
        ("x", " a"),
        ("x", "a\t"),
        (":path", ""),
        (":path", "/a b"),
        (":path", "/ä"),
        (":method", "G T"),
        (":status", "20"),
        (":scheme", ""),
        (":scheme", "1"),
        (":unknown", "x"),
        (":authority", "a\rb"),
    ] {
        let mut block = vec![0x40, name.len() as u8];
        block.extend(name.bytes());
        block.push(value.len() as u8);
        block.extend(value.bytes());
        let mut decoder = Decoder::default();
        let found = fields(&mut decoder, &block).unwrap();
        assert!(found[0].starts_with("malformed"), "{name}: {value:?}: {found:?}");
        // It is in the table all the same: the other side counts on that.
        assert_eq!(decoder.size(), name.len() + value.len() + OVERHEAD);
        assert!(fields(&mut decoder, &[0xbe]).unwrap()[0].starts_with("malformed"));
    }
}

#[test]
fn what_is_no_block_is_refused() {
    for bad in [
        // No field has this number.
        &[0x80][..],
        &[0xbe],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0x0f],
        // Strings that are not there, or not whole.
        &[0x41],
        &[0x41, 5, b'a'],
        &[0x00, 1, b'a'],
        &[0x41, 0x81, 0x00],
        // A table larger than allowed, or resized after a field.
        &[0x3f, 0xe2, 0x1f],
        &[0x82, 0x20],
    ] {
        assert_eq!(fields(&mut Decoder::default(), bad), Err(Undecodable), "{bad:02x?}");
    }
    assert_eq!(fields(&mut Decoder::default(), &[0x3f, 0xe1, 0x1f, 0x20]), Ok(Vec::new()));
}

#[test]
fn a_secret_stays_one() {
    let mut encoder = Encoder::default();
    let mut sensitive = HeaderValue::from_static("hush");
    sensitive.set_sensitive(true);
    for _ in 0..3 {
        let mut block = Vec::new();
        encoder.begin(&mut block);
        encoder.field(&mut block, &HeaderName::from_static("x"), &sensitive);
        encoder.field(&mut block, &http::header::COOKIE, &HeaderValue::from_static("a=b"));
        assert_eq!(block, b"\x10\x01x\x04hush\x1f\x11\x03a=b");
        let mut all_secret = true;
        let taken = Decoder::default().decode(&block, &mut Effects::default(), |field, _| {
            all_secret &= matches!(field, Field::Header(_, value) if value.is_sensitive());
        });
        assert!(taken.is_ok() && all_secret);
    }
}

#[test]
fn a_field_that_repeats_takes_a_byte_and_one_that_does_not_takes_no_room() {
    let mut encoder = Encoder::default();
    let mut lengths = Vec::new();
    for number in 0..100 {
        let mut block = Vec::new();
        encoder.begin(&mut block);
        encoder.field(&mut block, &HeaderName::from_static("x-always"), &HeaderValue::from_static("the same"));
        lengths.push(block.len());
        encoder.field(&mut block, &HeaderName::from_static("x-never"), &number.into());
    }
    assert_eq!((lengths[0], lengths[1]), (19, 19));
    assert!(lengths[2..].iter().all(|length| *length == 1), "{lengths:?}");
    assert_eq!(encoder.table_len(), 1);
}

/// Peers repeat literals; what they meant before is known, unless their name is a number of the table, which moves.
#[test]
fn literals_that_repeat_mean_what_they_say_each_time() {
    let mut decoder = Decoder::default();
    let mut next = |hex: &str| fields(&mut decoder, &bytes(hex)).unwrap().concat();
    for _ in 0..3 {
        assert_eq!(next("00 0161 0162"), "a: b");
        assert_eq!(next("0f00 0162"), "accept-charset: b");
    }
    for (name, expected) in [("61", "a: c"), ("78", "x: c")] {
        next(&format!("40 01{name} 0179"));
        // The newest name of the table is 62: 15 in the prefix, then 47.
        for _ in 0..3 {
            assert_eq!(next("0f2f 0163"), expected);
        }
    }
}

#[test]
fn a_literal_that_is_secret_is_not_taken_for_one_that_is_not() {
    let mut decoder = Decoder::default();
    for first in ["00", "00", "10", "10", "00"] {
        let block = bytes(&format!("{first} 0161 0162"));
        let secret = |field: &Field| matches!(field, Field::Header(_, value) if value.is_sensitive());
        decoder.decode(&block, &mut Effects::default(), |field, _| assert_eq!(secret(field), first == "10")).unwrap();
    }
}

fn word() -> impl Strategy<Value = (usize, usize, bool)> {
    (0..12_usize, 0..6_usize, prop::bool::weighted(0.1))
}

proptest! {
    /// Whatever is sent, whichever table the other side keeps: it reads what was meant.
    #[test]
    fn what_was_encoded_is_decoded(
        messages in prop::collection::vec((prop::collection::vec(word(), 0..20), prop::option::of(0..5000_usize)), 1..40),
    ) {
        let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
        for (words, resize) in messages {
            if let Some(size) = resize {
                encoder.limit_table(size / 2);
                encoder.limit_table(size);
            }
            let mut sent = HeaderMap::new();
            for (name, value, sensitive) in words {
                let long = "v".repeat(value * value * 17);
                let mut value = HeaderValue::try_from(format!("{value}{long}")).unwrap();
                value.set_sensitive(sensitive);
                let name = ["date", "x-a", "etag", "cookie", "x-b", "accept", "via", "x-c", "te", "x-d", "age", "x-e"][name];
                sent.append(HeaderName::from_static(name), value);
            }
            let mut block = Vec::new();
            encoder.begin(&mut block);
            for (name, value) in &sent {
                encoder.field(&mut block, name, value);
            }
            let mut found = HeaderMap::new();
            decoder.decode(&block, &mut Effects::default(), |field, _| match field {
                Field::Header(name, value) => drop(found.append(name.clone(), value.clone())),
                other => panic!("{other:?}"),
            }).unwrap();
            prop_assert_eq!(&found, &sent);
            prop_assert!(decoder.size() <= TABLE_SIZE);
        }
    }

    #[test]
    fn whatever_comes_is_decoded_or_refused_within_its_bounds(
        blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20),
    ) {
        let mut decoder = Decoder::default();
        for block in blocks {
            let mut count = 0;
            if decoder.decode(&block, &mut Effects::default(), |_, _| count += 1).is_err() {
                break;
            }
            prop_assert!(count <= block.len());
            prop_assert!(decoder.size() <= TABLE_SIZE);
        }
    }
}
