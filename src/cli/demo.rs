//! `serin demo`: versions, proxy and traffic in one process, and a rollout of the new version.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::sync::oneshot;

use super::BAD_USAGE;
use super::print::failed;
use super::run::{self, Ready, RunError, Stop};
use crate::config::{self, Bind};
use crate::demo::{Demo, DemoError, Messages, MigrationDemo, Options, Proxy, Scenario, Show};
use crate::proxy::ListenError;

/// What the demo takes.
#[derive(Debug, Clone, Args)]
pub(super) struct DemoArgs {
    /// How the new version behaves.
    #[arg(long, value_enum, default_value = "good")]
    scenario: ScenarioArg,
    /// How long it runs: 60s, 10m.
    #[arg(long = "for", value_name = "DURATION", default_value = "60s", value_parser = config::duration)]
    duration: Duration,
    /// Where the proxy listens; with port 0 the system chooses one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = tcp_address)]
    listen: SocketAddr,
    /// Where the demo's admin API listens; with port 0 the system chooses one.
    // Has the name of the global option, in whose place it stands: there it is where to ask, here where to answer.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9901")]
    admin: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScenarioArg {
    /// A bit faster than the old one: widened to 100 %.
    Good,
    /// Its slowest requests take three times as long from 25 % on: withdrawn.
    Regression,
    /// One request in five fails from 25 % on: withdrawn.
    Errors,
    /// It keeps its data in another shape: moved there stage by stage.
    Migration,
}

impl ScenarioArg {
    /// How a version behaves that is widened. `None`: this is another story.
    fn widening(self) -> Option<Scenario> {
        match self {
            Self::Good => Some(Scenario::Good),
            Self::Regression => Some(Scenario::Regression),
            Self::Errors => Some(Scenario::Errors),
            Self::Migration => None,
        }
    }
}

/// Plays the demo; gives the exit code.
pub(super) fn run(args: &DemoArgs, messages: &Messages) -> ExitCode {
    let admin = match admin(args) {
        Ok(admin) => admin,
        Err(error) => return failed(error, BAD_USAGE),
    };
    let DemoArgs { scenario, duration, listen, .. } = *args;
    let result = match scenario.widening() {
        Some(scenario) => {
            let options = Options { scenario, total: duration, listen, admin: admin.clone() };
            play(listen, &admin, || Demo::prepare(options), messages)
        }
        None => play(listen, &admin, || MigrationDemo::prepare(duration, listen, admin.clone()), messages),
    };
    messages.open();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(error, ExitCode::FAILURE),
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}\nChoose another with {1}; {1} 127.0.0.1:0 takes any free port.")]
    Listen(ListenError, &'static str),
    #[error("{0}")]
    Run(RunError),
    #[error("{0}")]
    Demo(#[from] DemoError),
    #[error("the demo ended before its time; what went wrong is said above")]
    Broken,
}

fn play<S: Show + Send + 'static>(
    listen: SocketAddr,
    admin: &Bind,
    prepare: impl FnOnce() -> Result<S, DemoError>,
    messages: &Messages,
) -> Result<(), Failure> {
    // serin's listeners share a port with any other serin's, which here would share the demo's traffic too.
    let free = std::net::TcpListener::bind(listen);
    free.map_err(|source| Failure::Listen(ListenError { address: listen.to_string(), source }, "--listen"))?;
    let admin = admin.to_string();
    let failed = |error| match error {
        RunError::Listen(error) if error.address == admin => Failure::Listen(error, "--admin"),
        RunError::Listen(error) => Failure::Listen(error, "--listen"),
        error => Failure::Run(error),
    };
    let demo = prepare()?;
    let prepared = run::prepare(&demo.config()).map_err(failed)?;
    let mut playing = None;
    let well = run::serve(prepared, |ready| {
        let (over, stop) = oneshot::channel::<()>();
        let messages = messages.clone();
        playing = Some(std::thread::spawn(move || {
            let _over = over;
            demo.play(proxy(ready), messages)
        }));
        Stop::When(stop)
    })
    .map_err(failed)?;
    if !well {
        return Err(Failure::Broken);
    }
    match playing.map(std::thread::JoinHandle::join) {
        // Whoever read it has enough.
        Some(Ok(Err(DemoError::Output(error)))) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Some(Ok(result)) => Ok(result?),
        Some(Err(_)) | None => Err(Failure::Broken),
    }
}

fn admin(args: &DemoArgs) -> Result<Bind, String> {
    // The global option's default, and whatever else people give it, is a URL.
    let admin = args.admin.strip_prefix("http://").unwrap_or(&args.admin).trim_end_matches('/');
    config::bind(admin).map_err(|error| format!("--admin {}: {error}", args.admin))
}

fn tcp_address(text: &str) -> Result<SocketAddr, String> {
    match config::bind(text)? {
        Bind::Tcp(address) => Ok(address),
        Bind::Unix(_) => {
            Err("the demo's traffic comes over TCP: expected an address such as 127.0.0.1:8080".to_owned())
        }
    }
}

fn proxy(ready: Ready) -> Proxy {
    let address = ready.listeners.first().and_then(|(_, address)| address.parse().ok());
    // Invariant: the demo's serin.yaml has one listener, and its address is of TCP.
    let address = reachable(address.expect("one TCP listener"));
    let admin = match ready.admin {
        Some(address) => match address.parse::<SocketAddr>() {
            Ok(address) => format!("http://{}", reachable(address)),
            Err(_) => address,
        },
        None => "none".to_owned(),
    };
    Proxy { address, admin, control: ready.control, plan: ready.plan }
}

/// Where to connect to reach what listens on `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn parsed(args: &[&str]) -> Result<(DemoArgs, Bind), String> {
        let words = ["serin", "demo"].iter().chain(args);
        match super::super::Cli::try_parse_from(words).map_err(|error| error.to_string())?.command {
            super::super::Command::Demo(args) => admin(&args).map(|admin| (args, admin)),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn the_demo_is_spelled_as_documented() {
        let (args, admin) = parsed(&[]).expect("no arguments");
        assert_eq!((args.scenario.widening(), args.duration), (Some(Scenario::Good), Duration::from_mins(1)));
        assert_eq!(args.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(admin.to_string(), "127.0.0.1:9901");
        let args = ["--scenario", "errors", "--for", "1m30s", "--listen", "[::1]:0", "--admin", "127.0.0.1:7"];
        let (args, admin) = parsed(&args).expect("the documented arguments");
        assert_eq!((args.scenario.widening(), args.duration), (Some(Scenario::Errors), Duration::from_secs(90)));
        assert_eq!((args.listen.to_string(), admin.to_string()), ("[::1]:0".into(), "127.0.0.1:7".into()));
        assert_eq!(parsed(&["--scenario", "migration"]).expect("a scenario").0.scenario.widening(), None);
    }

    #[test]
    fn an_admin_url_is_taken_for_its_address() {
        let (_, admin) = parsed(&["--admin", "http://127.0.0.1:9902/"]).expect("a URL");
        assert_eq!(admin.to_string(), "127.0.0.1:9902");
    }

    #[test]
    fn what_is_no_duration_or_address_is_refused_with_what_is_expected() {
        for (args, expected) in [
            (["--for", "60"], "a duration such as"),
            (["--for", "0s"], "above zero"),
            (["--listen", "8080"], "127.0.0.1:8080"),
            (["--listen", "unix:/run/serin.sock"], "TCP"),
            (["--admin", "example.com:1"], "--admin example.com:1"),
            (["--scenario", "bad"], "regression"),
        ] {
            let error = parsed(&args).expect_err(args[1]);
            assert!(error.contains(expected), "{args:?}: {error}");
        }
    }

    #[test]
    fn what_listens_everywhere_is_reached_on_this_machine() {
        let reached = |address: &str| reachable(address.parse().expect("an address")).to_string();
        assert_eq!(reached("0.0.0.0:80"), "127.0.0.1:80");
        assert_eq!(reached("[::]:80"), "[::1]:80");
        assert_eq!(reached("192.0.2.1:80"), "192.0.2.1:80");
    }
}
