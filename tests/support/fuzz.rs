//! Requests that were whole before they were damaged, by seed.

/// Whole requests, one or several in a row.
const SEEDS: [&str; 9] = [
    "GET /a HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\n\r\n",
    "GET /a?b=c HTTP/1.0\r\nHost: shop.example\r\nConnection: keep-alive\r\n\r\n",
    "POST /b HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 11\r\n\r\nhello world",
    "POST /c HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    "PUT /d HTTP/1.1\r\nHost: shop.example\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n",
    "POST /e HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 44\r\n\r\nGET /inner HTTP/1.1\r\nHost: shop.example\r\n\r\n\r\n",
    "GET /f HTTP/1.1\r\nHost: shop.example\r\n\r\nPOST /g HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 2\r\n\r\nok",
    "POST /h HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nGET /i HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    "GET http://shop.example/j HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n",
];

/// Lines that do harm in some places.
const LINES: [&str; 18] = [
    "Content-Length: 5",
    "Content-Length: 0",
    "content-length: 11",
    "Content-Length: 2, 2",
    "Content-Length : 3",
    "Transfer-Encoding: chunked",
    "transfer-encoding: identity",
    "Transfer-Encoding: ,chunked",
    "Transfer-Encoding:\tchunked",
    "Transfer-Encoding : chunked",
    "X: y\r\n Transfer-Encoding: chunked",
    "Host: other.example",
    "Connection: content-length",
    "Connection: close",
    "0",
    "5;x",
    "",
    "GET /smuggled HTTP/1.1",
];

const BYTES: &[u8] = b"\0\r\n \t:,;0159afx/\x0b\x7f\x80\xff\"";

/// Some of [`SEEDS`], damaged in one to three places. The same for the same seed.
pub fn damaged_requests(seed: u64) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut bytes = SEEDS[rng.usize(..SEEDS.len())].as_bytes().to_vec();
    for _ in 0..rng.usize(1..=3) {
        damage(&mut bytes, &mut rng);
    }
    bytes
}

fn damage(bytes: &mut Vec<u8>, rng: &mut fastrand::Rng) {
    let at = rng.usize(..=bytes.len());
    let ends: Vec<usize> = bytes.windows(2).enumerate().filter(|(_, w)| *w == b"\r\n").map(|(at, _)| at).collect();
    let Some(&end) = ends.get(rng.usize(..ends.len().max(1))) else { return };
    match rng.u8(..9) {
        0 => bytes.insert(at, BYTES[rng.usize(..BYTES.len())]),
        1 if at < bytes.len() => bytes[at] = BYTES[rng.usize(..BYTES.len())],
        2 if at < bytes.len() => drop(bytes.remove(at)),
        3 => {
            let ending: &[u8] = [&b"\n"[..], b"\r", b"\r\r\n", b"\n\r\n", b"\r\n\r\n", b""][rng.usize(..6)];
            bytes.splice(end..end + 2, ending.iter().copied());
        }
        4 | 5 => {
            let line = format!("\r\n{}", LINES[rng.usize(..LINES.len())]);
            bytes.splice(end..end, line.bytes());
        }
        6 => {
            // A line once more, somewhere else.
            let from = ends.iter().rev().find(|known| **known < end).map_or(0, |known| known + 2);
            let line = bytes[from..end + 2].to_vec();
            let to = ends[rng.usize(..ends.len())] + 2;
            bytes.splice(to..to, line);
        }
        7 => bytes.truncate(at),
        8 if at < bytes.len() => {
            bytes[at] = if rng.bool() { bytes[at].to_ascii_uppercase() } else { bytes[at].to_ascii_lowercase() }
        }
        _ => {}
    }
}

/// Whole answers.
const ANSWERS: [&str; 6] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nX: y\r\n\r\npayload",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n3\r\npay\r\n4\r\nload\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\npayload",
    "HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\npayload",
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\npayload",
    "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\npayloadHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
];

/// One of [`ANSWERS`], damaged in one or two places. The same for the same seed.
pub fn damaged_answer(seed: u64) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut bytes = ANSWERS[rng.usize(..ANSWERS.len())].as_bytes().to_vec();
    for _ in 0..rng.usize(1..=2) {
        damage(&mut bytes, &mut rng);
    }
    bytes
}
