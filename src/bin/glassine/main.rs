//! The command line.
//!
//! Failure prints one line, what is wrong and what to do, and exits 2 for bad input or 1 for
//! anything else.

mod arguments;
mod commands;
mod controls;
mod files;
mod from_recipe;
mod outputs;
mod progress;
mod recipe;
mod scenes;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use glassine::{Error, ErrorCode, Result};

/// Runs `work`; a panic in it becomes an error of one line.
fn without_panic(work: impl FnOnce() -> Result<()>) -> Result<()> {
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        std::panic::set_hook(Box::new(|_| {}));
    }
    // Nothing that the work has touched is used after it.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        let reason = text.unwrap_or("unknown").lines().next().unwrap_or_default();
        Err(Error::new(
            ErrorCode::Internal,
            format!("glassine stopped at a fault of its own ({reason})"),
            "set RUST_BACKTRACE=1 to see where",
        ))
    })
}

fn main() -> ExitCode {
    let arguments = match arguments::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            ) =>
        {
            print!("{error}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{}", one_line(&error.to_string()));
            return ExitCode::from(2);
        }
    };
    match without_panic(|| pollster::block_on(commands::run(arguments))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(if error.code.is_bad_input() { 2 } else { 1 })
        }
    }
}

/// The parser's message without its usage text and line breaks.
fn one_line(message: &str) -> String {
    let lines = message.lines().map(str::trim);
    let lines =
        lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let words: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    format!("{}; see `glassine --help`", words.join(" "))
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    /// What stands for a panic in `work`.
    fn fault(work: impl FnOnce() + Send) -> Error {
        without_panic(|| {
            work();
            Ok(())
        })
        .unwrap_err()
    }

    #[test]
    fn a_panic_is_one_line_also_in_other_threads() {
        let here = || assert_eq!(1 + 1, 3, "arithmetic");
        let in_a_pool = || {
            let numbers = (0..1000).into_par_iter();
            numbers.for_each(|number| assert!(number < 900, "{number} is too many"));
        };
        let among_futures = || pollster::block_on(async { panic!("in a future") });
        type Work = Box<dyn FnOnce() + Send>;
        let all: [(Work, &str); 3] = [
            (Box::new(here), "arithmetic"),
            (Box::new(in_a_pool), "is too many"),
            (Box::new(among_futures), "in a future"),
        ];
        for (work, reason) in all {
            let error = fault(work);
            assert_eq!(error.code, ErrorCode::Internal);
            assert!(!error.code.is_bad_input(), "exit 1");
            let line = error.to_string();
            assert!(line.contains(reason), "{line}");
            assert_eq!(line.lines().count(), 1, "{line}");
        }
    }
}
