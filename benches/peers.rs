//! Side by side with other proxies: the same job for `haproxy`, nginx, Envoy and serin, on one core each.
//!
//!     cargo bench --bench peers                                    everything, 7 rounds; about 25 minutes
//!     cargo bench --bench peers -- --quick                         one short round, to see that it works
//!     cargo bench --bench peers -- compare --peers serin,haproxy --rounds 3 --seconds 2
//!     cargo bench --bench peers -- reload edits ready tls          serin alone
//!
//! The job: split requests 90/10 over two nginx upstreams, keep-alive on both sides, one thread, no access log. The proxy
//! has core 0 for itself; load generator, upstream and this program share core 1. Every round starts every proxy afresh,
//! one after the other, so that a slow minute of the machine meets all of them. Peers and tools that are not installed
//! are skipped, aloud. Nothing but this program's own children is ever signalled, and they end with it.
//!
//! Another job, HTTP/2 say, is one more function in `loads.rs` and one more line in its `JOBS`; another peer is one more
//! variant in `setup.rs`.

#[path = "peers/client.rs"]
mod client;
#[path = "peers/loads.rs"]
mod loads;
#[path = "peers/own.rs"]
mod own;
#[path = "peers/process.rs"]
mod process;
#[path = "peers/report.rs"]
mod report;
#[path = "peers/setup.rs"]
mod setup;
#[path = "peers/tls.rs"]
mod tls;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use report::Report;
use setup::{Bench, Peer};

/// What can go wrong in a bench: something outside of it, to be read by a person.
pub(crate) type Fallible<T> = Result<T, Box<dyn Error>>;

/// Measures serin beside other proxies.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// What to measure; everything if nothing is named.
    #[arg(value_enum)]
    sections: Vec<Section>,
    /// Rounds over all peers.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Length of one load, in seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Which proxies, in this order.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Peer::Serin, Peer::Haproxy, Peer::Nginx, Peer::Envoy])]
    peers: Vec<Peer>,
    /// One round of one-second loads, few repetitions: shows that it works, measures nothing.
    #[arg(long)]
    quick: bool,
    /// Writes every reading here as well.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measures this binary instead of the one just built.
    #[arg(long, value_name = "PATH", default_value = env!("CARGO_BIN_EXE_serin"))]
    serin: PathBuf,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Section {
    /// All peers at the same job.
    Compare,
    /// All peers over HTTP/2, gRPC and TLS.
    Protocols,
    /// serin: from exec to the first request answered.
    Ready,
    /// serin: from a written weight file to the new split.
    Reload,
    /// serin: many weight edits under full load.
    Edits,
    /// serin: memory of large bodies and of many connections inside TLS.
    Tls,
}

fn main() -> ExitCode {
    let mut options = Options::parse();
    if !options.bench {
        // `cargo test --all-targets` runs bench targets too, without this flag.
        println!("peers: started without --bench; `cargo bench --bench peers` measures");
        return ExitCode::SUCCESS;
    }
    if options.quick {
        (options.rounds, options.seconds) = (1, 1);
    }
    if options.sections.is_empty() {
        options.sections = Section::value_variants().to_vec();
    }
    let mut report = Report::default();
    let outcome = measure(&options, &mut report);
    print!("{}", report.markdown(&options));
    if let Err(error) = outcome.and_then(|()| options.json.as_ref().map_or(Ok(()), |path| report.write_json(path))) {
        eprintln!("peers: {error}");
        return ExitCode::FAILURE;
    }
    if report.troubles.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the sections asked for. What goes wrong with one peer is noted in the report and does not stop the others.
fn measure(options: &Options, report: &mut Report) -> Fallible<()> {
    let bench = Bench::prepare(options)?;
    let peers = setup::installed(options, report);
    for (section, protocols) in [(Section::Compare, false), (Section::Protocols, true)] {
        if !options.sections.contains(&section) {
            continue;
        }
        for round in 1..=options.rounds {
            for &peer in &peers {
                let time = Duration::from_secs(options.seconds);
                loads::measure(&bench, peer, protocols, time, |readings| report.round(round, peer, readings));
            }
        }
    }
    let repeats = |full: usize| if options.quick { full / 10 } else { full };
    for section in &options.sections {
        let (name, readings) = match section {
            Section::Compare | Section::Protocols => continue,
            Section::Ready => ("ready", own::ready(&bench, repeats(50))),
            Section::Reload => ("reload", own::reload(&bench, repeats(200))),
            Section::Edits => ("edits", own::edits(&bench, repeats(500))),
            Section::Tls => ("tls", tls::tls(&bench, options.quick)),
        };
        report.own(name, readings);
    }
    Ok(())
}
