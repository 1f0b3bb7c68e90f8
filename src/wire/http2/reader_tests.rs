use proptest::prelude::*;

use super::super::frame;
use super::*;

fn bytes(frames: &[(u8, u8, u32, &[u8])]) -> Vec<u8> {
    let settings = frame::head(0, SETTINGS, 0, 0).to_vec();
    frames.iter().fold(settings, |mut bytes, (kind, flags, stream, payload)| {
        bytes.extend(frame::head(payload.len(), *kind, *flags, *stream));
        bytes.extend_from_slice(payload);
        bytes
    })
}

/// What is read of `bytes` that come in pieces of these lengths.
fn read(bytes: &[u8], lengths: &[usize]) -> (Vec<String>, Result<(), Fault>) {
    let mut reader = FrameReader::new(20_000);
    let (mut found, mut rest) = (Vec::new(), bytes);
    for length in lengths.iter().copied().chain([usize::MAX]) {
        let (piece, after) = rest.split_at(length.min(rest.len()));
        rest = after;
        if let Err(fault) = reader.read(piece, |frame| {
            found.push(format!("{frame:?}"));
            Ok(())
        }) {
            return (found, Err(fault));
        }
    }
    (found, Ok(()))
}

fn fault(frames: &[(u8, u8, u32, &[u8])]) -> Option<Reason> {
    read(&bytes(frames), &[]).1.err().map(|fault| fault.reason)
}

#[test]
fn frames_are_read_as_they_were_written() {
    let all = bytes(&[
        (HEADERS, END_STREAM | PADDED | HAS_PRIORITY, 1, b"\x02\0\0\0\x03\x10ab\0\0"),
        (CONTINUATION, 0, 1, b"c"),
        (CONTINUATION, END_HEADERS, 1, b"d"),
        (DATA, PADDED, 3, b"\x03data\0\0\0"),
        (PING, 0, 0, b"12345678"),
        (WINDOW_UPDATE, 0, 0, b"\x80\0\0\x05"),
        (77, 0, 9, b"whatever"),
    ]);
    let (found, ended) = read(&all, &[]);
    assert_eq!(ended, Ok(()));
    let expected = [
        Frame::Settings(b""),
        Frame::Headers { stream: 1, block: b"abcd", end: true },
        Frame::Data { stream: 3, data: b"data", padding: 4, end: false },
        Frame::Ping(*b"12345678"),
        Frame::WindowUpdate { stream: 0, increment: 5 },
        Frame::Unknown,
    ];
    assert_eq!(found, expected.map(|frame| format!("{frame:?}")));
}

#[test]
fn what_breaks_the_rules_ends_the_connection() {
    let (protocol, size, calm) = (Reason::PROTOCOL_ERROR, Reason::FRAME_SIZE_ERROR, Reason::ENHANCE_YOUR_CALM);
    for (frames, reason) in [
        (&[(DATA, 0, 0, &b""[..])][..], protocol),
        (&[(HEADERS, END_HEADERS, 0, b"")], protocol),
        (&[(SETTINGS, 0, 1, b"")], protocol),
        (&[(PING, 0, 1, b"12345678")], protocol),
        (&[(CONTINUATION, END_HEADERS, 1, b"")], protocol),
        (&[(HEADERS, 0, 1, b""), (DATA, 0, 1, b"")], protocol),
        (&[(HEADERS, 0, 1, b""), (CONTINUATION, 0, 3, b"")], protocol),
        (&[(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\x02")], protocol),
        (&[(DATA, PADDED, 1, b"\x01")], protocol),
        (&[(DATA, PADDED, 1, b"")], size),
        (&[(RST_STREAM, 0, 1, b"\0\0\0")], size),
        (&[(PING, 0, 0, b"1234567")], size),
        (&[(SETTINGS, ACK, 0, b"123456")], size),
        (&[(GOAWAY, 0, 0, b"1234567")], size),
        (&[(WINDOW_UPDATE, 0, 0, b"12345")], size),
        (&[(HEADERS, END_HEADERS | HAS_PRIORITY, 1, b"1234")], size),
        (&[(HEADERS, 0, 1, &[0; 16_000]), (CONTINUATION, 0, 1, &[0; 16_000])], calm),
    ] {
        assert_eq!(fault(frames), Some(reason), "{frames:?}");
    }
    assert_eq!(fault(&[(DATA, 0, 1, &vec![0; MAX_PAYLOAD + 1])]), Some(size));
    let endless: Vec<_> =
        [(HEADERS, 0, 1, &b""[..])].into_iter().chain([(CONTINUATION, 0, 1, &b""[..]); 100]).collect();
    assert_eq!(fault(&endless), Some(calm));
    assert_eq!(read(b"HTTP/1.1 400 Bad Request", &[]).1.map_err(|fault| fault.reason), Err(size));
    assert_eq!(read(&frame::head(0, PING, 0, 0), &[]).1.map_err(|fault| fault.reason), Err(protocol));
}

proptest! {
    #[test]
    fn frames_are_the_same_however_their_bytes_come(
        frames in prop::collection::vec((any::<u8>(), any::<u8>(), 0..4_u32, prop::collection::vec(any::<u8>(), 0..40)), 0..12),
        lengths in prop::collection::vec(0..30_usize, 0..40),
    ) {
        let frames: Vec<_> = frames.iter().map(|(kind, flags, stream, payload)| (kind % 12, *flags, *stream, &payload[..])).collect();
        let bytes = bytes(&frames);
        prop_assert_eq!(read(&bytes, &lengths), read(&bytes, &[]));
    }
}
