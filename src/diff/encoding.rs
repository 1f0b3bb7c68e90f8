//! Bodies as they were before they were compressed.

use std::io::Read;

use flate2::read::{MultiGzDecoder, ZlibDecoder};

use super::Answer;

/// Headers without which an answer cannot be read, whatever else is compared.
pub const HEADERS_ALWAYS_KEPT: [&str; 3] = ["content-type", "content-encoding", "grpc-status"];

/// The answer with its body as it was before it was compressed by gzip or deflate, at most `most` bytes long; what is
/// longer counts as too long to be kept. Other encodings, and what cannot be read, stay as they are: such bodies are the
/// same where their bytes are.
#[must_use]
pub fn decoded(answer: Answer, most: usize) -> Answer {
    let encoding = answer.header("content-encoding").unwrap_or_default().to_ascii_lowercase();
    let Some(body) = answer.body.as_deref().filter(|body| !body.is_empty()) else { return answer };
    let read = match encoding.trim() {
        "gzip" | "x-gzip" => read_up_to(MultiGzDecoder::new(body), most),
        "deflate" => read_up_to(ZlibDecoder::new(body), most),
        _ => return answer,
    };
    let Some(plain) = read else { return answer };
    let body = Some(plain).filter(|plain| plain.len() <= most);
    Answer { body, ..answer }
}

/// What `from` gives, up to one byte more than `most`. `None`: it cannot be read.
fn read_up_to(from: impl Read, most: usize) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    from.take(most as u64 + 1).read_to_end(&mut plain).ok().map(|_| plain)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;

    fn answer(encoding: &str, body: Vec<u8>) -> Answer {
        let headers = vec![("content-encoding".to_owned(), encoding.as_bytes().to_vec())];
        Answer { status: 200, headers, body: Some(body) }
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn compressed_bodies_are_compared_as_they_were_before() {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(b"{\"a\":1}").unwrap();
        let deflate = encoder.finish().unwrap();
        for (encoding, body) in [("gzip", gzip(b"{\"a\":1}")), ("GZIP", gzip(b"{\"a\":1}")), ("deflate", deflate)] {
            assert_eq!(decoded(answer(encoding, body), 100).body.as_deref(), Some(&b"{\"a\":1}"[..]), "{encoding}");
        }
    }

    #[test]
    fn what_grows_beyond_the_bound_is_too_long_and_what_is_no_gzip_stays() {
        let bomb = gzip(&vec![0; 50_000_000]);
        assert!(bomb.len() < 100_000);
        assert_eq!(decoded(answer("gzip", bomb), 1_000).body, None);
        let exact = gzip(&[b'x'; 1_000]);
        assert_eq!(decoded(answer("gzip", exact), 1_000).body.map(|body| body.len()), Some(1_000));
        assert_eq!(decoded(answer("gzip", b"no".to_vec()), 100).body.as_deref(), Some(&b"no"[..]));
        assert_eq!(decoded(answer("br", b"no".to_vec()), 100).body.as_deref(), Some(&b"no"[..]));
    }
}
