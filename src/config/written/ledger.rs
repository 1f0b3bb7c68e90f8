//! The ledger: how large it grows.

use crate::config::read::{At, written};
use crate::config::values::{Count, Size};

written! {
    /// How large the ledger in `stateDir` grows.
    Ledger {
        /// Size after which another file is begun. Default: 4MiB.
        optional "maxFileSize" max_file_size: At<Size<{ 64 << 10 }, { 1 << 30 }>>,
        /// Most files; older ones are removed, which an entry says. Default: 256.
        optional "keep" keep: At<Count<2, 1000>>,
    }
}
