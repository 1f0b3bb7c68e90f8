//! A parser of HTTP/1.1 requests that forgives nothing (RFC 9112): the judge of what may reach an upstream.
//!
//! It is written for clarity over a whole buffer, and on purpose knows nothing of how serin reads a message.

/// One request, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub method: String,
    pub target: Vec<u8>,
    pub body: Vec<u8>,
}

/// What stands after the last whole request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rest {
    Nothing,
    /// A head that does not end.
    PartialHead,
    /// A body that does not end.
    PartialBody,
    /// Something that is not HTTP/1.1.
    Wrong(String),
}

/// What may be overlooked in the bytes a client sends to a gateway, as opposed to those a gateway sends on.
#[derive(Debug, Clone, Copy)]
pub struct Leave {
    /// Blank lines before a request.
    pub blank_lines: usize,
    /// Chunk extensions, and trailer fields that would frame a message in its head.
    pub chunk_oddities: bool,
}

/// A gateway's own requests.
pub const NO_LEAVE: Leave = Leave { blank_lines: 0, chunk_oddities: false };
/// A client's requests.
pub const CLIENT: Leave = Leave { blank_lines: 4, chunk_oddities: true };

/// The requests in `bytes`, and what is left.
pub fn requests(mut bytes: &[u8], leave: Leave) -> (Vec<Message>, Rest) {
    let mut messages = Vec::new();
    loop {
        let mut blank = 0;
        while bytes.starts_with(b"\r\n") && blank < leave.blank_lines {
            bytes = &bytes[2..];
            blank += 1;
        }
        if bytes.is_empty() {
            return (messages, Rest::Nothing);
        }
        match request(bytes, leave) {
            Ok((message, used)) => {
                messages.push(message);
                bytes = &bytes[used..];
            }
            Err(rest) => return (messages, rest),
        }
    }
}

fn wrong<T>(what: &str, bytes: &[u8]) -> Result<T, Rest> {
    Err(Rest::Wrong(format!("{what}: {:?}", String::from_utf8_lossy(bytes))))
}

/// The line at the front, without its CR LF, and what follows. A line feed or carriage return anywhere else is wrong.
fn line(bytes: &[u8], partial: Rest) -> Result<(&[u8], &[u8]), Rest> {
    let Some(end) = bytes.iter().position(|b| *b == b'\n' || *b == b'\r') else { return Err(partial) };
    match &bytes[end..] {
        [b'\r', b'\n', rest @ ..] => Ok((&bytes[..end], rest)),
        [b'\r'] => Err(partial),
        _ => wrong("a line that does not end with CR LF", &bytes[..=end]),
    }
}

fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

/// Without the spaces and tabs around it.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// A field line's name in lower case and value.
fn field(line: &[u8]) -> Result<(String, &[u8]), Rest> {
    let Some(colon) = line.iter().position(|b| *b == b':') else { return wrong("no colon", line) };
    let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
    if !is_token(name) {
        return wrong("not a field name", line);
    }
    if value.iter().any(|b| (*b < b' ' && *b != b'\t') || *b == 0x7f) {
        return wrong("a control character in a value", line);
    }
    Ok((String::from_utf8_lossy(name).to_ascii_lowercase(), value))
}

fn request(bytes: &[u8], leave: Leave) -> Result<(Message, usize), Rest> {
    let (start, mut rest) = line(bytes, Rest::PartialHead)?;
    let parts: Vec<_> = start.split(|b| *b == b' ').collect();
    let [method, target, version] = parts[..] else { return wrong("not a request line", start) };
    let http10 = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        _ => return wrong("not a version", start),
    };
    if !is_token(method) || target.is_empty() || target.iter().any(|b| *b <= b' ' || *b == 0x7f) {
        return wrong("not a request line", start);
    }
    let (mut lengths, mut codings, mut hosts) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let (text, after) = line(rest, Rest::PartialHead)?;
        rest = after;
        if text.is_empty() {
            break;
        }
        let (name, value) = field(text)?;
        match name.as_str() {
            "content-length" => lengths.push(value),
            "transfer-encoding" => codings.push(value),
            "host" => hosts.push(value),
            _ => {}
        }
    }
    if hosts.len() > 1 || (hosts.is_empty() && !http10) {
        return wrong("not one Host", start);
    }
    let body = match (&lengths[..], &codings[..]) {
        ([], []) => Vec::new(),
        ([length], []) => {
            let text = std::str::from_utf8(length).unwrap_or_default();
            let plain = text == "0" || (text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0'));
            let Some(length) = text.parse::<u64>().ok().filter(|_| plain) else { return wrong("a bad length", length) };
            if (rest.len() as u64) < length {
                return Err(Rest::PartialBody);
            }
            let (body, after) = rest.split_at(length as usize);
            rest = after;
            body.to_vec()
        }
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") && !http10 => {
            let (body, after) = chunked(rest, leave)?;
            rest = after;
            body
        }
        _ => return wrong("more than one framing", start),
    };
    let message = Message { method: String::from_utf8_lossy(method).into_owned(), target: target.to_vec(), body };
    Ok((message, bytes.len() - rest.len()))
}

fn chunked(mut rest: &[u8], leave: Leave) -> Result<(Vec<u8>, &[u8]), Rest> {
    let mut body = Vec::new();
    loop {
        let (text, after) = line(rest, Rest::PartialBody)?;
        let digits = text.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        let (size, extension) = text.split_at(digits);
        let extension_allowed = leave.chunk_oddities
            && trim(extension).first().is_none_or(|first| *first == b';')
            && extension.iter().all(|b| (*b >= b' ' && *b != 0x7f) || *b == b'\t');
        if !(extension.is_empty() || extension_allowed) {
            return wrong("a bad chunk extension", text);
        }
        let size = std::str::from_utf8(size).ok().and_then(|size| u64::from_str_radix(size, 16).ok());
        let Some(size) = size else { return wrong("a bad chunk size", text) };
        rest = after;
        if size == 0 {
            break;
        }
        if (rest.len() as u64) < size {
            return Err(Rest::PartialBody);
        }
        let (data, after) = rest.split_at(size as usize);
        body.extend_from_slice(data);
        let (end, after) = line(after, Rest::PartialBody)?;
        if !end.is_empty() {
            return wrong("a chunk longer than its size", end);
        }
        rest = after;
    }
    loop {
        let (text, after) = line(rest, Rest::PartialBody)?;
        rest = after;
        if text.is_empty() {
            return Ok((body, rest));
        }
        let (name, _) = field(text)?;
        if !leave.chunk_oddities && ["content-length", "transfer-encoding", "host"].contains(&name.as_str()) {
            return wrong("a trailer that frames", text);
        }
    }
}
