//! IDLE (RFC 2177): sends changes immediately, until the client sends DONE.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use super::heard::tell_highest;
use crate::home::Owner;
use crate::reactor::timeout;
use crate::session::session::{Flow, Session};
use crate::stats::Standing;
use imap::protocol::Tag;
use imap::protocol::response::{Condition, continuation, untagged};

/// Interval of keep-alive responses. They keep NAT routers from dropping the connection, and detect
/// a client that has disconnected.
const STILL_HERE: Duration = Duration::from_secs(120);

/// Longest line that can end IDLE, in octets: `DONE`, and trailing text from careless clients.
const DONE: usize = 64;

/// Why the wait ended.
enum Woken {
    /// The client has sent something or disconnected.
    Client,
    /// The account has changed.
    Change,
    /// The interval has passed.
    Nothing,
}

impl Session {
    /// ```abnf
    /// idle = "IDLE" CRLF "DONE"
    /// ```
    pub(in crate::session) async fn idle(&mut self, tag: &Tag, owner: &Rc<Owner>) -> Flow {
        self.output.push(|out| continuation(out, "idling"));
        self.counted.set(Standing::Idle);
        if !self.input.has_line() && !self.wait_for_line(owner).await {
            return Flow::Over;
        }
        match self.input.line(DONE).await {
            None => Flow::Over,
            Some(line) if line.trim_ascii().eq_ignore_ascii_case(b"DONE") => {
                self.ok(tag, "IDLE completed");
                Flow::On
            }
            Some(_) => {
                self.bad(tag, "expected DONE");
                Flow::On
            }
        }
    }

    /// Sends changes until the client sends something. `false` when the session is over.
    async fn wait_for_line(&mut self, owner: &Rc<Owner>) -> bool {
        let (conn, idle_time) = (self.conn.clone(), self.home.settings.idle_time);
        let idle = idle_time.as_secs() / STILL_HERE.as_secs();
        let step = STILL_HERE.min(idle_time);
        // One operation for the whole IDLE: each dropped operation stays in the ring.
        let mut readable = pin!(conn.readable());
        let mut quiet = 0;
        loop {
            // Created before the changes are collected, so that none is missed.
            let changed = owner.changed.notified();
            if !self.goes_on().await {
                return false;
            }
            if let Err(why) = self.news(true).await {
                self.end_without_news(&why);
                return false;
            }
            if let Some(highest) = self.highest_to_tell() {
                self.output.push(|out| tell_highest(out, highest));
            }
            let woken = async {
                tokio::select! {
                    biased;
                    _ = &mut readable => Woken::Client,
                    () = changed => Woken::Change,
                }
            };
            match timeout(step, woken).await.unwrap_or(Woken::Nothing) {
                Woken::Client => return true,
                Woken::Change => {}
                Woken::Nothing if quiet >= idle => {
                    self.farewell(None, "idle for too long");
                    return false;
                }
                Woken::Nothing => {
                    quiet += 1;
                    self.output.push(|out| untagged(out, Condition::Ok, None, "still here"));
                }
            }
        }
    }
}
