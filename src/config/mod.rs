//! Floor 2. Files as written to a whole that cannot be wrong, every error collected.
//!
//! A text becomes a tree with places (`node`), the tree typed values (`read`, `written`), and these a [`Loaded`]
//! whole (`compile`). Each stage notes what is wrong and goes on, so that one look shows everything there is to mend.
//! Nothing here reads anything but the text it is given: no file, no clock, no socket.

mod compile;
mod flag_uses;
mod flags;
mod method;
mod node;
mod problem;
mod read;
mod settings;
mod starter;
#[cfg(test)]
mod tests;
mod values;
mod written;

pub use flag_uses::FlagUses;
pub use flags::{LoadedFlags, MAX_FLAG_FILE_BYTES, flags};
pub use node::MAX_BYTES;
pub use problem::{Errors, Problem, Source};
pub(crate) use read::did_you_mean;
pub use settings::{
    AccessLogFormat, AccessLogSettings, AccessLogTarget, AdminSettings, Listener, ListenerTls, Loaded, OfrepSettings,
    Origins, Settings, TracingSettings, WebhookSettings,
};
pub use starter::{Starter, StarterError, StarterFiles, starter};
pub use values::Bind;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::access::Tokens;
use crate::plan::{Plan, ServiceId, Share, Weight};

use self::compile::Known;
use self::node::Kind;
use self::problem::{Problems, Spot};
use self::read::{Cursor, Read};
use self::values::{Percent, Period};
use self::written::{Serin, TokensFile, WeightFile};

/// Everything that `serin.yaml` and the weight file say, as one whole with a plan of generation 0. What depends on the time
/// at which that is read is said by [`Loaded::at`].
///
/// # Errors
/// Every error of both files.
pub fn load(serin: Source<'_>, weights: Option<Source<'_>>) -> Result<Loaded, Errors> {
    let mut problems = Problems::of(serin);
    let written: Option<Serin> = read(serin, EMPTY_SERIN, &mut problems);
    let mut file_errors = Vec::new();
    let mut file_weights = Vec::new();
    if let Some(source) = weights {
        let known = written.as_ref().and_then(|serin| serin.services.as_ref()).map(Known::of_written);
        match weights_of(source, known.as_deref()) {
            Ok(weights) => file_weights = weights,
            Err(Errors(errors)) => file_errors = errors,
        }
    }
    let loaded = written.and_then(|written| compile::serin(&written, file_weights, &mut problems));
    match problems.into_result(loaded) {
        Ok(loaded) if file_errors.is_empty() => Ok(loaded),
        Ok(_) => Err(Errors(file_errors)),
        Err(Errors(errors)) => Err(Errors(errors.into_iter().chain(file_errors).collect())),
    }
}

/// The weight file that `serin.yaml` names, as written: relative to its folder. `None` also where this cannot be told;
/// [`load`] says why. For whoever reads the files, before anything is known to be right.
#[must_use]
pub fn weights_path(serin: Source<'_>) -> Option<PathBuf> {
    let written: Serin = read(serin, EMPTY_SERIN, &mut Problems::of(serin))?;
    Some(written.files?.weights?.value.0)
}

/// The folder of the state that `serin.yaml` names, as written: relative to its folder. `None` also where this cannot be told;
/// [`load`] says why.
#[must_use]
pub fn state_dir(serin: Source<'_>) -> Option<PathBuf> {
    let written: Serin = read(serin, EMPTY_SERIN, &mut Problems::of(serin))?;
    Some(written.state_dir?.value.0)
}

/// The flag file that `serin.yaml` names, told in the same way.
#[must_use]
pub fn flags_path(serin: Source<'_>) -> Option<PathBuf> {
    let written: Serin = read(serin, EMPTY_SERIN, &mut Problems::of(serin))?;
    Some(written.files?.flags?.value.0)
}

/// The files of certificates, keys, CAs and tokens that `serin.yaml` names, as written, as far as this can be told. For whoever
/// watches them, before anything is known to be right.
#[must_use]
pub fn tls_paths(serin: Source<'_>) -> Vec<PathBuf> {
    let mut problems = Problems::of(serin);
    let written: Option<Serin> = read(serin, EMPTY_SERIN, &mut problems);
    let named = written.and_then(|written| compile::serin(&written, Vec::new(), &mut problems));
    let places = named.map_or(problems.places, |loaded| loaded.places);
    places.into_iter().map(|(path, _)| path).filter(|path| !path.as_os_str().is_empty()).collect()
}

/// The weight file against the services of a plan: for each service it names, the weights of all its versions in their
/// order. A version that the file leaves out of a service gets 0.
///
/// # Errors
/// Every error of the file.
pub fn weights(source: Source<'_>, plan: &Plan) -> Result<Vec<(ServiceId, Vec<Weight>)>, Errors> {
    weights_of(source, Some(&Known::of_plan(plan)))
}

/// All that can be said of a weight file without knowing the services: it is well-formed, and every weight is one. The
/// number of services it names.
///
/// # Errors
/// Every error of the file.
pub fn check_weights_alone(source: Source<'_>) -> Result<usize, Errors> {
    let mut problems = Problems::of(source);
    let written: Option<WeightFile> = read(source, EMPTY_WEIGHTS, &mut problems);
    if let Some(written) = &written {
        compile::weights(written, None, &mut problems);
    }
    problems.into_result(written.map(|written| written.entries.len()))
}

/// The tokens file.
///
/// # Errors
/// Every error of the file; none of them shows its text.
pub fn tokens(source: Source<'_>) -> Result<Tokens, Errors> {
    let mut problems = Problems::of(source);
    let written: Option<TokensFile> = read(source, EMPTY_TOKENS, &mut problems);
    let tokens = written.and_then(|written| compile::tokens(&written, &mut problems));
    problems.into_result(tokens).map_err(|errors| errors.veiled(".sha256"))
}

/// The bytes of a file as text: at most 1 MiB of UTF-8.
///
/// # Errors
/// One error, with the place of the first byte that is no UTF-8.
pub fn text<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str, Errors> {
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
    let line = u32::try_from(before.matches('\n').count() + 1).unwrap_or(u32::MAX);
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let column = u32::try_from(column).unwrap_or(u32::MAX);
    let mut problems = Problems::of(Source { name, text: &before });
    problems
        .error(&Spot { key: String::new(), line, column, width: 1 }, "the file is not text")
        .found(format!("the byte 0x{:02x}", bytes[error.valid_up_to()]))
        .expected("UTF-8");
    Err(problems.into_errors())
}

/// A duration as the files write it ([GEP-2257](https://gateway-api.sigs.k8s.io/geps/gep-2257/)), above zero and at most
/// 720 hours.
///
/// # Errors
/// What is wrong and what is expected, in one line.
pub fn duration(text: &str) -> Result<Duration, String> {
    values::parse::<Period>(text).map(|period| period.0)
}

/// A share of requests as the files write it: a percentage above zero with at most two decimals.
///
/// # Errors
/// What is wrong and what is expected, in one line.
pub fn share(text: &str) -> Result<Share, String> {
    values::parse::<Percent<1>>(text).map(|percent| percent.0)
}

/// A rate as the files write it, such as `50/s`: so many a second.
#[must_use]
pub fn rate(text: &str) -> Option<f64> {
    values::parse::<values::PerSecond>(text).ok().map(|rate| rate.0)
}

/// An address to listen on as the files write it.
///
/// # Errors
/// What is wrong and what is expected, in one line.
pub fn bind(text: &str) -> Result<Bind, String> {
    values::parse(text)
}

/// JSON Schema (draft 2020-12) of `serin.yaml`.
#[must_use]
pub fn schema() -> Value {
    let mut schema = Serin::schema();
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("serin.yaml");
    schema
}

const EMPTY_SERIN: &str = "the least there is: `listeners`, `services` and `routes`";
const EMPTY_TOKENS: &str = "a tokens file that names nobody is `tokens: []`";
const EMPTY_WEIGHTS: &str = "a weight file that names no service is `{}`";

fn weights_of(source: Source<'_>, known: Option<&[Known<'_>]>) -> Result<Vec<(ServiceId, Vec<Weight>)>, Errors> {
    let mut problems = Problems::of(source);
    let written: Option<WeightFile> = read(source, EMPTY_WEIGHTS, &mut problems);
    let weights = written.map(|written| compile::weights(&written, known, &mut problems));
    problems.into_result(weights)
}

/// The whole text as one `T`. An empty file is an error: most often it is one that an editor has not yet filled.
fn read<T: Read>(source: Source<'_>, if_empty: &str, problems: &mut Problems<'_>) -> Option<T> {
    let root = node::parse(source, problems)?;
    if matches!(root.kind, Kind::Null) {
        let start = Spot { key: String::new(), line: 1, column: 1, width: 1 };
        problems.error(&start, "the file is empty").help(if_empty);
        return None;
    }
    T::read(&Cursor::root(&root), problems)
}
