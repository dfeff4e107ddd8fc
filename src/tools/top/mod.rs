//! `mailrace top`: the live page on a terminal.

mod ask;
mod figures;
mod picture;
mod terminal;

use std::io::{IsTerminal, stdout};
use std::net::SocketAddr;
use std::time::Duration;

use console::Term;

use self::ask::ask;
use self::picture::{Picture, figures, picture};
use self::terminal::{Event, Screen};
use super::error::{ToolError, say};

/// Time between two updates.
const TICK: Duration = Duration::from_secs(1);

/// Width of the output if it does not go to a terminal.
const COLUMNS: usize = 100;

/// Shows the server with this admin endpoint until the user quits; `once`, or without a terminal,
/// prints its status and returns.
///
/// # Errors
/// If the server cannot be reached at first, or the terminal cannot be used.
pub fn run(admin: SocketAddr, once: bool) -> Result<(), ToolError> {
    let first = ask(admin)?;
    if once || !stdout().is_terminal() {
        let mut lines = picture(&first, COLUMNS, None);
        lines.push(String::new());
        lines.extend(figures(&first, COLUMNS));
        let text: String = lines.iter().map(|line| format!("{}\n", line.trim_end())).collect();
        return say(&text);
    }
    let screen = Screen::take().map_err(writing)?;
    let (mut status, mut trouble, mut figures) = (first, None, false);
    loop {
        let (rows, columns) = Term::stdout().size();
        let picture = Picture { status: &status, trouble: trouble.as_deref(), figures };
        screen.draw(&picture.fitting(columns.into(), rows.into())).map_err(writing)?;
        match screen.wait(TICK) {
            Event::End => return Ok(()),
            Event::Switch => figures = !figures,
            Event::Time => {}
        }
        match ask(admin) {
            Ok(news) => (status, trouble) = (news, None),
            Err(error) => trouble = Some(error.to_string()),
        }
    }
}

fn writing(error: std::io::Error) -> ToolError {
    ToolError::Io { doing: "cannot use the terminal".into(), error }
}
