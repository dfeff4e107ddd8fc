//! `mailrace top`: the live page on a terminal.

mod ask;
mod figures;
mod picture;
mod terminal;

use std::io::{IsTerminal, Write, stdout};
use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use console::Term;

use self::ask::ask;
use self::picture::{Picture, picture};
use self::terminal::{Event, Screen};
use super::error::ToolError;

/// How often the picture is drawn.
const TICK: Duration = Duration::from_secs(1);

/// Columns of a picture that goes to no terminal.
const COLUMNS: usize = 100;

/// `mailrace top`: what a server does, live.
#[derive(Args, Clone, Debug)]
pub struct TopArgs {
    /// Admin endpoint of the server: what `mailrace serve --admin` was given
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:9143")]
    pub admin: SocketAddr,

    /// Print one picture as text, and end
    #[arg(long)]
    pub once: bool,
}

/// Shows what a server does until the user has seen enough.
///
/// # Errors
/// When there is no server at first, or no terminal that can be drawn on.
pub fn run(args: &TopArgs) -> Result<(), ToolError> {
    let first = ask(args.admin)?;
    if args.once || !stdout().is_terminal() {
        let lines = picture(&first, COLUMNS, None);
        return print(&lines).map_err(writing);
    }
    let screen = Screen::take().map_err(writing)?;
    let mut status = first;
    let mut trouble = None;
    loop {
        let (rows, columns) = Term::stdout().size();
        let picture = Picture { status: &status, trouble: trouble.as_deref() };
        screen.draw(&picture.fitting(columns.into(), rows.into())).map_err(writing)?;
        match screen.wait(TICK) {
            Event::End => return Ok(()),
            Event::Time => {}
        }
        match ask(args.admin) {
            Ok(news) => (status, trouble) = (news, None),
            Err(error) => trouble = Some(error.to_string()),
        }
    }
}

fn print(lines: &[String]) -> std::io::Result<()> {
    let mut out = stdout().lock();
    for line in lines {
        writeln!(out, "{}", line.trim_end())?;
    }
    out.flush()
}

fn writing(error: std::io::Error) -> ToolError {
    ToolError::Io { doing: "writing to the terminal".into(), error }
}
