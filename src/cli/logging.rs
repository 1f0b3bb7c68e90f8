//! What serin says about itself, on standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::LogFormat;
use crate::demo::Messages;

/// Sets up messages: warnings and notices at first, more with each -v. `SERIN_LOG` overrides by module.
pub(super) fn init(verbose: u8, format: LogFormat) {
    start(verbose, format, "serin=info,warn", std::io::stderr);
}

/// The same for the demo, which says itself what serin's notices and its rollout would say; its screen decides when messages are shown.
pub(super) fn init_for_demo(verbose: u8, format: LogFormat, messages: &Messages) {
    let messages = messages.clone();
    start(verbose, format, "warn,serin::control::rolling=error", move || messages.clone());
}

fn start<W>(verbose: u8, format: LogFormat, at_first: &str, writer: W)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let level = match verbose {
        0 => at_first,
        1 => "serin=debug,info",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("SERIN_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_target(verbose > 0);
    match format {
        LogFormat::Text => {
            let colour = std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
            builder.with_ansi(colour).init();
        }
        LogFormat::Json => builder.json().init(),
    }
}
