//! The command `layercake`.

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = cli::rootless::hold_if_asked().or_else(cli::union::serve_if_asked) {
        return code;
    }
    sys::process::clear_umask();
    cli::app::main(std::env::args_os().collect())
}
