//! Which requests and responses are gRPC's, and what is called.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, request};

/// How a call is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rpc {
    /// gRPC: messages in the body, the status in the trailers.
    Grpc,
    /// gRPC-Web: the trailers are the body's last frame.
    Web,
    /// gRPC-Web, its body in base64.
    WebText,
}

impl Rpc {
    /// How a request calls; `None` where it is no call. Calls are POSTs.
    #[must_use]
    pub fn of_request(request: &request::Parts) -> Option<Self> {
        Self::with_type(request).map(|(rpc, _)| rpc)
    }

    /// How a request calls, and the content type that says so.
    #[must_use]
    pub fn with_type(request: &request::Parts) -> Option<(Self, &HeaderValue)> {
        let content_type = if request.method == Method::POST { request.headers.get(CONTENT_TYPE) } else { None }?;
        Self::of_content_type(content_type).map(|rpc| (rpc, content_type))
    }

    /// How a message with these headers speaks: its content type says so, whatever follows `+` or `;` in it.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        headers.get(CONTENT_TYPE).and_then(Self::of_content_type)
    }

    fn of_content_type(value: &HeaderValue) -> Option<Self> {
        const GRPC: &[u8] = b"application/grpc";
        let (grpc, rest) = value.as_bytes().split_at_checked(GRPC.len())?;
        if !grpc.eq_ignore_ascii_case(GRPC) {
            return None;
        }
        if rest.is_empty() {
            return Some(Self::Grpc);
        }
        let end = rest.iter().position(|byte| matches!(byte, b'+' | b';' | b' ')).unwrap_or(rest.len());
        match rest[..end].to_ascii_lowercase().as_slice() {
            b"" => Some(Self::Grpc),
            b"-web" => Some(Self::Web),
            b"-web-text" => Some(Self::WebText),
            _ => None,
        }
    }
}

/// Service and method of a call's path, `/package.Service/Method`.
pub(super) fn called(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix('/')?.rsplit_once('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_says_how_a_call_is_spoken() {
        for (content_type, rpc) in [
            ("application/grpc", Some(Rpc::Grpc)),
            ("application/grpc+proto", Some(Rpc::Grpc)),
            ("application/grpc+json", Some(Rpc::Grpc)),
            ("application/grpc;charset=utf-8", Some(Rpc::Grpc)),
            ("Application/gRPC", Some(Rpc::Grpc)),
            ("application/grpc-web", Some(Rpc::Web)),
            ("application/grpc-web+proto", Some(Rpc::Web)),
            ("application/grpc-web-text", Some(Rpc::WebText)),
            ("application/grpc-web-text+proto; charset=utf-8", Some(Rpc::WebText)),
            ("application/grpcx", None),
            ("application/grpc-websocket", None),
            ("application/grp", None),
            ("application/json", None),
            ("text/application/grpc", None),
            ("", None),
        ] {
            let request = http::Request::post("/").header(CONTENT_TYPE, content_type).body(()).unwrap();
            assert_eq!(Rpc::of_request(&request.into_parts().0), rpc, "{content_type:?}");
        }
        let get = http::Request::get("/").header(CONTENT_TYPE, "application/grpc").body(()).unwrap();
        assert_eq!(Rpc::of_request(&get.into_parts().0), None);
        assert_eq!(Rpc::of(&HeaderMap::new()), None);
    }

    #[test]
    fn a_calls_path_is_its_service_and_its_method() {
        assert_eq!(called("/shop.Checkout/Pay"), Some(("shop.Checkout", "Pay")));
        assert_eq!(called("/behind/shop.Checkout/Pay"), Some(("behind/shop.Checkout", "Pay")));
        assert_eq!(called("//"), Some(("", "")));
        for path in ["", "/", "/shop.Checkout", "*"] {
            assert_eq!(called(path), None, "{path:?}");
        }
    }
}
