//! Where applications ask for flags.

use crate::config::read::{At, List, written};
use crate::config::values::{Bind, Count, Origin, Size};

written! {
    /// The flag evaluation API (OFREP), where applications ask for the flags of `files.flags`.
    Ofrep {
        /// `host:port`, `[::]:port` or `unix:/path`.
        required "address" address: At<Bind>,
        /// Which pages in browsers may ask. Default: none but those of the same origin.
        optional "cors" cors: Cors,
        /// Most bytes of a request body; more is answered 413. Default: 1000000.
        optional "maxBody" max_body: At<Size<1024, { 16 << 20 }>>,
        /// Most connections; one more is answered 429. At most half of them are event streams. Default: 1000.
        optional "connections" connections: At<Count<2, 100_000>>,
    }

    /// Cross-Origin Resource Sharing.
    Cors {
        /// Origins such as `https://shop.example`; or `*` alone, for all of them.
        required "origins" origins: List<At<Origin>, 1, 64>,
    }
}
