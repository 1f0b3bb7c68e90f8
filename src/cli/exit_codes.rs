//! What each command's exit code says, for scripts: told in its help and on its manual page.

use clap::Command;

/// What holds where nothing else is said.
const USUAL: &str = "0 done; 1 not done: no answer from serin, or it refuses; 2 wrong usage or configuration";

/// By the words that lead to a command.
const BY_COMMAND: &[(&str, &str)] = &[
    (
        "run",
        "0 stopped by a signal, in good order; 1 it cannot listen, or failed while running; 2 files it cannot run with",
    ),
    ("check", "0 every file is valid; 2 there are errors, or a file cannot be read"),
    ("demo", "0 played to its end; 1 it was not; 2 wrong usage"),
    ("status", "0 printed; 1 no answer from serin, it refuses, or there is no such service; 2 wrong usage"),
    (
        "top",
        "0 printed, or ended by a key or a signal; 1 no answer from serin at the start, it refuses, or there is no such \
         service; 2 wrong usage",
    ),
    (
        "pick",
        "0 each key has its line; 1 keys cannot be read, or lines not written; 2 wrong usage or files, or no such service",
    ),
    (
        "rollout",
        "0 done; with preflight: nothing stands in the way; with wait: the new version has everything; 1 anything else, or no \
         answer from serin; 2 wrong usage",
    ),
    (
        "reconcile",
        "0 both versions are the same for every key that was looked at, or it was begun (--detach); 1 they are not, it did \
         not come to its end, or no answer from serin; 2 wrong usage",
    ),
    ("drill rollback", "0 the version was withdrawn in time; 1 it was not, or the drill was refused; 2 wrong usage"),
    (
        "ledger verify",
        "0 every entry is what was written; 1 one is not, or no answer from serin; 2 wrong usage, or no ledger there",
    ),
    ("flags list", "0 printed; 2 wrong usage, or a file that is not right"),
    (
        "flags eval",
        "0 evaluated; 1 the flag cannot be evaluated; 2 wrong usage, a file that is not right, or no such flag",
    ),
    ("token new", "0 made; 1 it cannot be printed; 2 wrong usage"),
    ("init", "0 written; 1 the files cannot be written; 2 wrong usage, or one of them is there already"),
    (
        "judge",
        "0 there is a verdict, whatever it is; 1 with --exit-code: new is regressed; 2 wrong usage, or results that cannot be read",
    ),
    ("schema", "0 printed; 1 it cannot be written"),
    ("completions", "0 printed; 1 they cannot be written; 2 no such shell"),
    ("man", "0 printed, or written; 1 they cannot be written"),
];

/// The command with its exit codes, and those of all commands below, in its help. `words` lead to it.
pub(super) fn told(command: Command, words: &str) -> Command {
    let below: Vec<String> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let command = below.iter().fold(command, |command, name| {
        let words = if words.is_empty() { name.clone() } else { format!("{words} {name}") };
        command.mut_subcommand(name, |command| told(command, &words))
    });
    let said = BY_COMMAND.iter().find(|(known, _)| *known == words).map_or(USUAL, |(_, said)| said);
    // A line for each; the codes are those of `main`, in their order.
    let lines = format!("; {said}").replace("; 0 ", "\n  0  ").replace("; 1 ", "\n  1  ").replace("; 2 ", "\n  2  ");
    command.after_help(format!("Exit codes:{lines}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words_of(command: &Command, words: &str, all: &mut Vec<(String, String)>) {
        for below in command.get_subcommands() {
            let words = format!("{words} {}", below.get_name()).trim().to_owned();
            words_of(below, &words, all);
            all.push((words, below.clone().render_long_help().to_string()));
        }
    }

    #[test]
    fn every_command_tells_its_exit_codes() {
        let mut all = Vec::new();
        words_of(&crate::cli::command(), "", &mut all);
        assert!(all.len() > 30, "{}", all.len());
        for (words, help) in &all {
            assert!(help.contains("Exit codes:\n  0  "), "{words}: {help}");
        }
        for (known, _) in BY_COMMAND {
            assert!(all.iter().any(|(words, _)| words == known), "there is no command `{known}`");
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        crate::cli::command().debug_assert();
    }
}
