//! A command line that was not understood.

use std::process::ExitCode;

use clap::error::ErrorKind;

use super::complain;

/// Prints the help that was asked for, or what is wrong with the command line.
pub(super) fn answer(error: &clap::Error) -> ExitCode {
    let is_help = !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if is_help {
        // Nobody is there to be told that nobody listens.
        let _ = error.print();
    } else {
        complain(one_line(&error.render().to_string()));
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// The reason and the suggestions of an error of clap's, which are paragraphs and indented lines.
fn one_line(rendered: &str) -> String {
    let (reason, rest) = rendered.split_once("\n\n").unwrap_or((rendered, ""));
    let words: Vec<_> = reason.trim_start_matches("error: ").split_whitespace().collect();
    let tips = rest.lines().filter_map(|line| line.trim().strip_prefix("tip: "));
    tips.fold(words.join(" "), |line, tip| format!("{line}; {tip}")) + " (--help says more)"
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn an_error_is_one_line() {
        let unknown = "error: unexpected argument '--form' found\n\n  tip: a similar argument exists: '--from'\n\n\
                       Usage: kfgate send --to <URL>\n\nFor more information, try '--help'.\n";
        let missing = "error: the following required arguments were not provided:\n  --to <URL>\n\nUsage: kfgate\n";
        assert_eq!(
            one_line(unknown),
            "unexpected argument '--form' found; a similar argument exists: '--from' (--help says more)"
        );
        assert_eq!(
            one_line(missing),
            "the following required arguments were not provided: --to <URL> (--help says more)"
        );
    }
}
