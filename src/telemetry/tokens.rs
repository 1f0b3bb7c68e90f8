//! Figures of tokens that requests show.

use super::labels::labelled;
use crate::jwt::{Looked, Refused};

labelled! {
    /// What came of looking at a request's token.
    TokenResult {
        /// It holds; its signature was verified just now.
        Verified => "verified",
        /// It holds; its signature was verified before.
        Remembered => "remembered",
        /// It cannot be read.
        Malformed => "malformed",
        /// It is longer than what is looked at.
        TooLarge => "tooLarge",
        /// No key is known that it could be of.
        UnknownKey => "unknownKey",
        /// Its algorithm is not its key's, or it asks for what is not known.
        Unsupported => "unsupported",
        /// The signature is not the key's.
        Signature => "signature",
        /// It is over.
        Expired => "expired",
        /// It is not to be used yet.
        NotYet => "notYet",
        /// Issued by somebody else.
        Issuer => "issuer",
        /// Issued for somebody else.
        Audience => "audience",
    }
}

impl From<&Looked> for TokenResult {
    fn from(looked: &Looked) -> Self {
        match looked {
            Looked::Verified(_) => Self::Verified,
            Looked::Remembered(_) => Self::Remembered,
            Looked::Refused(refused) => match refused {
                Refused::Malformed => Self::Malformed,
                Refused::TooLarge => Self::TooLarge,
                Refused::UnknownKey => Self::UnknownKey,
                Refused::Unsupported => Self::Unsupported,
                Refused::Signature => Self::Signature,
                Refused::Expired => Self::Expired,
                Refused::NotYet => Self::NotYet,
                Refused::Issuer => Self::Issuer,
                Refused::Audience => Self::Audience,
            },
        }
    }
}
