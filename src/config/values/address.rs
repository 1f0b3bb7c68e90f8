//! Where serin listens, where upstreams answer, and which peers are meant.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use serde_json::{Value, json};

use crate::plan::Address;

use super::{Scalar, Wrong};

/// Where serin listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Bind {
    /// An address and port; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A unix socket, by its path of at most 107 bytes.
    Unix(PathBuf),
}

/// One upstream address.
#[derive(Debug, Clone)]
pub(in crate::config) struct Upstream {
    pub(in crate::config) address: Address,
    /// It was written with `https`.
    pub(in crate::config) secure: bool,
}

/// A range of addresses.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Cidr(pub(in crate::config) IpNet);

/// What `sun_path` holds on Linux, less its final zero.
const MAX_SOCKET_PATH: usize = 107;

impl Bind {
    /// Whether only this machine can reach it: a loopback address or a unix socket.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Scalar for Bind {
    fn expected() -> String {
        "host:port with an IP address or `localhost`, [::]:port, or unix:/path".to_owned()
    }

    fn schema() -> Value {
        json!({ "type": "string", "examples": ["127.0.0.1:8080", "[::]:8080", "unix:/run/serin.sock"] })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        if let Some(path) = text.strip_prefix("unix:") {
            return socket_path(path).map(Self::Unix);
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Tcp(address));
        }
        let wrong = || Wrong::new("not an address to listen on");
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(wrong().help(format!("a port is missing: `{text}:8080`")));
        };
        let Some(port) = port_number(port) else {
            return Err(Wrong::new("the port is not a number from 0 to 65535"));
        };
        match host {
            "localhost" => Ok(Self::Tcp((Ipv4Addr::LOCALHOST, port).into())),
            "" | "*" => {
                Err(wrong().help(format!("all addresses are `[::]:{port}`, or `0.0.0.0:{port}` for IPv4 alone")))
            }
            _ if host.parse::<Ipv6Addr>().is_ok() => Err(wrong().help(format!("write `[{host}]:{port}`"))),
            _ if host.contains("//") => Err(wrong().help("an address has no scheme")),
            _ => Err(wrong().help("serin listens on addresses; a DNS name does not say which")),
        }
    }

    fn from_integer(number: i128) -> Result<Self, Wrong> {
        Err(Wrong::kind().help(format!("a port alone does not say where: `127.0.0.1:{number}` or `[::]:{number}`")))
    }
}

impl Scalar for Upstream {
    fn expected() -> String {
        "a URL without a path, such as http://127.0.0.1:9001 or http://shop.internal, or unix:/path".to_owned()
    }

    fn schema() -> Value {
        json!({ "type": "string", "examples": ["http://127.0.0.1:9001", "http://[::1]:9001", "unix:/run/app.sock"] })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        if let Some(path) = text.strip_prefix("unix:") {
            return socket_path(path).map(|path| Self { address: Address::Unix(path), secure: false });
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            let rest = text.strip_prefix("http:").unwrap_or(text).trim_start_matches('/');
            return Err(Wrong::new("not a URL").help(format!("write `http://{rest}`")));
        };
        match scheme {
            "http" => authority(rest, 80).map(|address| Self { address, secure: false }),
            "https" => authority(rest, 443).map(|address| Self { address, secure: true }),
            _ => {
                Err(Wrong::new("unknown scheme")
                    .help("the scheme is http or https; HTTP/2 is chosen by `protocol: h2`"))
            }
        }
    }
}

/// `host[:port]` after `http://` or `https://`.
pub(super) fn authority(text: &str, default_port: u16) -> Result<Address, Wrong> {
    let text = text.strip_suffix('/').unwrap_or(text);
    if text.contains('@') {
        return Err(Wrong::new("a user or password has no place in an upstream's URL"));
    }
    if text.contains(['/', '?', '#']) {
        return Err(Wrong::new("an upstream's URL has no path or query")
            .help("a path is changed by a route's filter: `urlRewrite`"));
    }
    if let Some((host, after)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        let host: Ipv6Addr = host.parse().map_err(|_| Wrong::new("not an IPv6 address between [ and ]"))?;
        let port =
            if after.is_empty() { default_port } else { upstream_port(after.strip_prefix(':').unwrap_or_default())? };
        return Ok(Address::Ip((host, port).into()));
    }
    let (host, port) = match text.split_once(':') {
        Some((_, port)) if port.contains(':') => {
            return Err(
                Wrong::new("not a host and port").help("an IPv6 address stands between brackets: http://[::1]:80")
            );
        }
        Some((host, port)) => (host, upstream_port(port)?),
        None => (text, default_port),
    };
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(Address::Ip((address, port).into()));
    }
    if !is_dns_name(host) {
        return Err(Wrong::new("the host is neither an IP address nor a DNS name"));
    }
    Ok(Address::Name(host.to_ascii_lowercase().into(), port))
}

fn upstream_port(text: &str) -> Result<u16, Wrong> {
    let port = port_number(text).filter(|port| *port != 0);
    port.ok_or_else(|| Wrong::new("the port is not a number from 1 to 65535"))
}

/// Digits alone: `u16::from_str` would take a `+` as well.
fn port_number(text: &str) -> Option<u16> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Labels of letters, digits, `-` and `_` (service names in use have it), the last not all digits, 253 bytes at most.
pub(super) fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(plain) && !label.starts_with('-') && !label.ends_with('-')
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253 && name.split('.').all(label) && !last.bytes().all(|b| b.is_ascii_digit())
}

fn socket_path(path: &str) -> Result<PathBuf, Wrong> {
    if !path.starts_with('/') || path.starts_with("//") || path.contains('\0') {
        return Err(Wrong::new("the path of a unix socket is absolute").help("write unix:/path, with one slash"));
    }
    if path.len() > MAX_SOCKET_PATH {
        return Err(Wrong::new(format!(
            "the path of a unix socket has at most {MAX_SOCKET_PATH} bytes, this one has {}",
            path.len()
        )));
    }
    Ok(path.into())
}

impl Scalar for Cidr {
    fn expected() -> String {
        "an address range such as 10.0.0.0/8 or fd00::/8, or one IP address".to_owned()
    }

    fn schema() -> Value {
        json!({ "type": "string", "examples": ["10.0.0.0/8", "fd00::/8", "127.0.0.1"] })
    }

    fn from_text(text: &str) -> Result<Self, Wrong> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(address.into()));
        }
        let range: IpNet = text.parse().map_err(|_| Wrong::new("not an address range"))?;
        if range.trunc() != range {
            let help = format!("the range is `{}`, the one address is `{}`", range.trunc(), range.addr());
            return Err(Wrong::new("the address has bits beyond the range").help(help));
        }
        Ok(Self(range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_addresses_or_sockets() {
        let bind = |text: &str| Bind::from_text(text).ok().map(|bind| bind.to_string());
        assert_eq!(bind("127.0.0.1:8080").as_deref(), Some("127.0.0.1:8080"));
        assert_eq!(bind("localhost:0").as_deref(), Some("127.0.0.1:0"));
        assert_eq!(bind("[::]:80").as_deref(), Some("[::]:80"));
        assert_eq!(bind("unix:/run/a.sock").as_deref(), Some("unix:/run/a.sock"));
        for bad in [
            ":80",
            "*:80",
            "::1:80",
            "web:80",
            "1.2.3.4",
            "1.2.3.4:99999",
            "1.2.3.4:+80",
            "unix:a",
            "unix:///a",
            "http://a:1",
            "",
        ] {
            assert_eq!(bind(bad), None, "{bad}");
        }
        assert_eq!(bind(&format!("unix:/{}", "a".repeat(107))), None);
        assert!(bind(&format!("unix:/{}", "a".repeat(106))).is_some());
    }

    #[test]
    fn upstreams_are_urls_without_a_path() {
        let upstream = |text: &str| Upstream::from_text(text).ok().map(|upstream| upstream.address);
        assert_eq!(upstream("http://10.0.0.1"), Some(Address::Ip(([10, 0, 0, 1], 80).into())));
        assert_eq!(upstream("http://[::1]:9000/"), Some(Address::Ip((Ipv6Addr::LOCALHOST, 9000).into())));
        assert_eq!(upstream("http://[::1]"), Some(Address::Ip((Ipv6Addr::LOCALHOST, 80).into())));
        assert_eq!(upstream("http://Shop.internal:81"), Some(Address::Name("shop.internal".into(), 81)));
        assert_eq!(upstream("https://10.0.0.1"), Some(Address::Ip(([10, 0, 0, 1], 443).into())));
        assert_eq!(upstream("https://[::1]"), Some(Address::Ip((Ipv6Addr::LOCALHOST, 443).into())));
        assert!(Upstream::from_text("https://a").is_ok_and(|upstream| upstream.secure));
        assert!(Upstream::from_text("http://a").is_ok_and(|upstream| !upstream.secure));
        assert_eq!(upstream("unix:/run/a"), Some(Address::Unix("/run/a".into())));
        for bad in [
            "shop:80",
            "http://",
            "http://a/b",
            "http://a?b",
            "http://a#b",
            "http://u:p@a",
            "http://a:0",
            "http://a:",
            "http://[::1",
            "http://[::1]80",
            "http://::1:80",
            "http://1.2.3",
            "http://a..b",
            "http://-a",
            "ftp://a",
            "",
        ] {
            assert_eq!(upstream(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_range_with_host_bits_is_refused() {
        let range = |text: &str| Cidr::from_text(text).ok().map(|cidr| cidr.0.to_string());
        assert_eq!(range("10.0.0.0/8").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(range("::1").as_deref(), Some("::1/128"));
        assert_eq!(range("10.0.0.1/8"), None);
        assert_eq!(range("10.0.0.0/33"), None);
    }
}
