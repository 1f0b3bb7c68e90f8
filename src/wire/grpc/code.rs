//! Status codes.

use http::{HeaderValue, StatusCode};

/// The status of a call: <https://grpc.io/docs/guides/status-codes/>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "named and described by gRPC")]
pub enum Code {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

const DIGITS: [&str; 17] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16"];

impl Code {
    const ALL: [Self; 17] = [
        Self::Ok,
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The code of this number; UNKNOWN where there is none.
    #[must_use]
    pub fn of_number(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Self::Unknown)
    }

    /// What a caller makes of an answer that carries no status of gRPC's ("HTTP to gRPC Status Code Mapping"). A 200
    /// is none of those it names: something answered that is no gRPC server.
    #[must_use]
    pub fn of_http(status: StatusCode) -> Self {
        match status.as_u16() {
            400 => Self::Internal,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 | 502 | 503 | 504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }

    /// As a header carries it.
    #[must_use]
    pub fn value(self) -> HeaderValue {
        HeaderValue::from_static(self.digits())
    }

    /// Its number in decimal.
    #[must_use]
    pub fn digits(self) -> &'static str {
        DIGITS[self as usize]
    }

    /// The number in a header; `None` where that is no number of at most three digits. What is no code gRPC knows is
    /// UNKNOWN to those who read it.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<u8> {
        match value {
            [] => None,
            digits if digits.len() <= 3 && digits.iter().all(u8::is_ascii_digit) => {
                std::str::from_utf8(digits).ok()?.parse().ok()
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_written_as_its_number() {
        for (number, digits) in DIGITS.iter().enumerate() {
            assert_eq!(Code::parse(digits.as_bytes()), u8::try_from(number).ok());
        }
        assert_eq!((Code::Unauthenticated.digits(), Code::Ok.value()), ("16", HeaderValue::from_static("0")));
        for odd in ["", "-1", "+1", "1.0", "1 ", "abc", "256", "0000"] {
            assert_eq!(Code::parse(odd.as_bytes()), None, "{odd:?}");
        }
    }

    #[test]
    fn an_answer_without_a_code_counts_as_its_http_status_means() {
        for (status, code) in [
            (200, Code::Unknown),
            (302, Code::Unknown),
            (400, Code::Internal),
            (401, Code::Unauthenticated),
            (403, Code::PermissionDenied),
            (404, Code::Unimplemented),
            (429, Code::Unavailable),
            (500, Code::Unknown),
            (502, Code::Unavailable),
            (503, Code::Unavailable),
            (504, Code::Unavailable),
        ] {
            assert_eq!(Code::of_http(StatusCode::from_u16(status).unwrap()), code, "{status}");
        }
    }
}
