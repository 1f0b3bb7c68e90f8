//! Floor 3. Connections to the versions: which address, which connection, one request on it.
//!
//! Everything here belongs to one worker and never crosses threads, but for the addresses a name resolves to, which
//! the control plane looks up ([`Resolver`]), and for which of them can take requests ([`Health`]). A connection is ridden, not spawned: whoever reads the response polls the
//! connection, so dropping the response drops the connection. Nothing here knows routes, versions' weights or clients.

mod address;
mod body;
mod cap;
mod h1;
mod h2;
mod health;
mod lease;
mod pool;
mod replay;
mod resolve;
mod tee;
mod trail;

pub use address::Endpoint;
pub use body::{BodyFault, BodyWatch, RequestBody, clean_trailers};
pub use h1::Upgraded;
pub use health::{AddressState, Health, ServiceHealth, VersionHealth};
pub use lease::Lease;
pub use pool::{Leasing, Pool, Wish};
pub use replay::Replay;
pub use resolve::Resolver;
pub use tee::{Lost, Tee, Teed};
pub use trail::Trail;
