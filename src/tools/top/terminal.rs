//! Takes the terminal, draws on it, and restores it.

use std::io::{self, Read, Write, stdin, stdout};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;

/// Escape codes that switch to the alternate screen without a cursor, and back.
const TAKE: &str = "\x1b[?1049h\x1b[?25l";
const GIVE_BACK: &str = "\x1b[?25h\x1b[?1049l";

/// Why waiting for the user ended.
pub(super) enum Event {
    /// The time is over, or the terminal has a new size.
    Time,
    /// The user switches between uploads and figures.
    Switch,
    /// The user quits.
    End,
}

/// The terminal while `top` owns it.
pub(super) struct Screen {
    /// Its settings before, if standard input is a terminal.
    before: Option<Termios>,
    events: Receiver<Event>,
}

impl Screen {
    /// Takes the terminal. Keys arrive unbuffered and without echo; Ctrl-C is still a signal.
    pub(super) fn take() -> io::Result<Screen> {
        let (tell, events) = channel();
        listen(tell.clone())?;
        let before = tcgetattr(stdin()).ok();
        if let Some(before) = &before {
            let mut ours = before.clone();
            ours.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
            tcsetattr(stdin(), OptionalActions::Now, &ours)?;
            thread::spawn(move || read_keys(&tell));
        }
        // From here on dropping `screen` restores the terminal, whatever happens.
        let screen = Screen { before, events };
        say(TAKE)?;
        Ok(screen)
    }

    /// Draws these lines in one write, so that nothing flickers.
    pub(super) fn draw(&self, lines: &[String]) -> io::Result<()> {
        let mut picture = String::from("\x1b[H");
        for (at, line) in lines.iter().enumerate() {
            let end = if at + 1 < lines.len() { "\x1b[K\r\n" } else { "\x1b[K" };
            picture.push_str(line);
            picture.push_str(end);
        }
        picture.push_str("\x1b[J");
        say(&picture)
    }

    /// Waits for the user, at most this long.
    pub(super) fn wait(&self, time: Duration) -> Event {
        self.events.recv_timeout(time).unwrap_or(Event::Time)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // An error cannot be reported any more.
        let _ = say(GIVE_BACK);
        if let Some(before) = &self.before {
            let _ = tcsetattr(stdin(), OptionalActions::Now, before);
        }
    }
}

fn say(text: &str) -> io::Result<()> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn listen(tell: Sender<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGWINCH])?;
    thread::spawn(move || {
        for signal in signals.forever() {
            let event = if signal == SIGWINCH { Event::Time } else { Event::End };
            if tell.send(event).is_err() {
                return;
            }
        }
    });
    Ok(())
}

fn read_keys(tell: &Sender<Event>) {
    for key in stdin().lock().bytes() {
        let event = match key {
            Ok(b'q' | b'Q' | 3 | 4) | Err(_) => Event::End,
            Ok(b'f' | b'F') => Event::Switch,
            Ok(_) => continue,
        };
        let is_over = matches!(event, Event::End);
        if tell.send(event).is_err() || is_over {
            return;
        }
    }
    // The terminal is gone.
    let _ = tell.send(Event::End);
}
