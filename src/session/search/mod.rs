//! SEARCH, SORT and THREAD (RFC 3501 section 6.4.4, RFC 4731, 5182, 5256, 5267, 9394).
//!
//! [`program`] compiles the keys, [`scan`] evaluates them on the mailbox, [`answer`] sends the
//! result, [`order`] sorts and threads it, and [`contexts`] sends later changes of it.

mod answer;
mod contexts;
mod fields;
mod followed;
mod leaf;
mod long;
mod order;
mod program;
mod scan;

use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

pub(super) use followed::Contexts;

use self::answer::{Hits, Need};
use self::program::{NotReady, Program};
use self::scan::Place;
use super::session::Session;
use super::trouble::Trouble;
use crate::home::Owner;
use crate::net::Gone;
use crate::reactor::{JobError, unix_seconds};
use crate::store::MailboxId;
use imap::mime::CHARSETS;
use imap::protocol::response::Code;
use imap::protocol::{Returns, Search, SearchKey, Sort, Tag, Thread};
use imap::types::{ModSeq, UidRange};

/// The charset of strings without CHARSET: ASCII, or UTF-8 for strings that are not ASCII.
const DEFAULT_CHARSET: &str = "US-ASCII";

/// Numbers of messages that could not be searched.
#[derive(Clone, Copy, Debug, Default)]
struct Unread {
    /// Unreadable, or different from what was stored.
    damaged: u64,
    /// The header is too long.
    too_long: u64,
}

impl Unread {
    fn is_none(self) -> bool {
        self.damaged + self.too_long == 0
    }

    /// Counts a message that cannot be searched, so that the search can continue.
    fn note(&mut self, what: &str, trouble: Trouble) -> Result<(), Gone> {
        match trouble {
            Trouble::Gone => return Err(Gone),
            Trouble::TooLong => self.too_long += 1,
            trouble @ (Trouble::Octets(_) | Trouble::Thread(_)) => {
                self.damaged += 1;
                if self.damaged <= 10 {
                    tracing::error!("{what}: {trouble}");
                }
            }
        }
        Ok(())
    }
}

impl std::ops::AddAssign for Unread {
    fn add_assign(&mut self, other: Unread) {
        self.damaged += other.damaged;
        self.too_long += other.too_long;
    }
}

/// Why a command has no result.
enum Failed {
    /// The client has disconnected.
    Gone,
    /// The reply is NO \[UNAVAILABLE\].
    Broken(JobError),
    /// The reply is NO \[LIMIT\].
    TooMuch,
}

impl From<JobError> for Failed {
    fn from(error: JobError) -> Failed {
        Failed::Broken(error)
    }
}

impl From<Gone> for Failed {
    fn from(_: Gone) -> Failed {
        Failed::Gone
    }
}

/// A SEARCH, SORT or THREAD in progress.
struct Command<'a> {
    name: &'static str,
    tag: &'a Tag,
    uid: bool,
    returns: Option<Returns>,
    program: Arc<Program>,
    place: Place<'a>,
}

impl Session {
    pub(super) async fn search(&mut self, tag: &Tag, search: Search, owner: &Rc<Owner>) {
        let Search { uid, mut returns, charset, key } = search;
        if charset.is_some() && self.enabled.utf8 {
            // RFC 6855 section 3.
            return self.bad(tag, "with UTF8=ACCEPT strings are UTF-8, and CHARSET is not taken");
        }
        if self.enabled.rev2 && returns.is_none() {
            // There is no other response (RFC 9051 section 6.4.4).
            returns = Some(Returns { all: true, ..Returns::default() });
        }
        let charset = charset.as_deref().unwrap_or(DEFAULT_CHARSET);
        let Some((program, mailbox)) = self.ready(tag, &key, charset, returns.as_ref()) else {
            return;
        };
        let place = Place { mailbox, owner };
        let command = Command { name: "SEARCH", tag, uid, returns, program, place };
        let result = self.run_search(&command).await;
        self.end_search(&command, result);
    }

    pub(super) async fn sort(&mut self, tag: &Tag, sort: Sort, owner: &Rc<Owner>) {
        let Sort { uid, returns, charset, criteria, key } = sort;
        let Some((program, mailbox)) = self.ready(tag, &key, &charset, returns.as_ref()) else {
            return;
        };
        let place = Place { mailbox, owner };
        let command = Command { name: "SORT", tag, uid, returns, program, place };
        let result = self.run_sort(&command, &criteria).await;
        self.end_search(&command, result);
    }

    pub(super) async fn thread(&mut self, tag: &Tag, thread: Thread, owner: &Rc<Owner>) {
        let Thread { uid, algorithm, charset, key } = thread;
        let Some((program, mailbox)) = self.ready(tag, &key, &charset, None) else { return };
        let place = Place { mailbox, owner };
        let command = Command { name: "THREAD", tag, uid, returns: None, program, place };
        let result = self.run_thread(&command, algorithm).await;
        self.end_search(&command, result);
    }

    /// Compiles the keys, and finds the selected mailbox. On `None` the client already has its
    /// reply.
    fn ready(
        &mut self,
        tag: &Tag,
        key: &SearchKey,
        charset: &str,
        returns: Option<&Returns>,
    ) -> Option<(Arc<Program>, MailboxId)> {
        let mailbox = self.mailbox(tag)?;
        let saves = returns.is_some_and(|returns| returns.save);
        let updates = returns.is_some_and(|returns| returns.update);
        let now = i64::try_from(unix_seconds()).unwrap_or(i64::MAX);
        let program = {
            let mut selected = self.selected.borrow_mut();
            let selected = selected.as_mut()?;
            if updates && selected.contexts.has(tag) {
                let text = "the results of another command with this tag are being followed";
                self.bad(tag, text);
                return None;
            }
            match Program::new(key, charset, &selected.shown, now) {
                Ok(program) => program,
                Err(NotReady::TooMany) => {
                    if saves {
                        selected.shown.saved.clear();
                    }
                    let text = "too many keys for one search; search in several steps";
                    self.no(tag, Some(Code::Limit), text);
                    return None;
                }
                Err(NotReady::BadCharset) => {
                    // RFC 5182 section 2.1.
                    if saves {
                        selected.shown.saved.clear();
                    }
                    self.no(tag, Some(Code::BadCharset(&CHARSETS)), "unknown charset");
                    return None;
                }
            }
        };
        if program.has_modseq {
            self.enable_condstore();
        }
        Some((Arc::new(program), mailbox))
    }

    async fn run_search(&self, command: &Command<'_>) -> Result<Unread, Failed> {
        let (hits, unread) = self.hits(command).await?;
        self.tell_hits(command, &hits).await?;
        self.save(command, &hits, unread);
        if command.returns.is_some_and(|returns| returns.update) {
            let held = self.held()?;
            self.follow(command, (hits.start, unread), None, held);
        }
        Ok(unread)
    }

    /// The messages that match, as far as they are needed.
    async fn hits(&self, command: &Command<'_>) -> Result<(Hits, Unread), Failed> {
        let (program, place) = (&command.program, command.place);
        let (start, end) = match Need::of(command.returns.as_ref()) {
            Need::All => (u32::MAX, 0),
            Need::Ends(start, end) => (start, end),
        };
        let (mut found, mut left) = (Vec::new(), start);
        let mut unread = Unread::default();
        if start > 0 {
            let hit = |entry: crate::index::Entry<'_>| {
                UidRange::push(&mut found, entry.uid());
                left -= 1;
                if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            unread = self.scan(program, place, self.view_uids(), hit).await?;
        }
        if end == 0 || left > 0 && start > 0 {
            // The first scan has found everything.
            return Ok((Hits { end: found.clone(), start: found }, unread));
        }
        let (last, more) = self.scan_last(program, place, self.view_uids(), end).await?;
        unread += more;
        Ok((Hits { start: found, end: last }, unread))
    }

    /// All messages that match.
    async fn all_hits(&self, command: &Command<'_>) -> Result<(Vec<UidRange>, Unread), Failed> {
        let mut found = Vec::new();
        let hit = |entry: crate::index::Entry<'_>| {
            UidRange::push(&mut found, entry.uid());
            ControlFlow::Continue(())
        };
        let uids = self.view_uids();
        let unread = self.scan(&command.program, command.place, uids, hit).await?;
        Ok((found, unread))
    }

    /// Sends the result in the requested form.
    async fn tell_hits(&self, command: &Command<'_>, hits: &Hits) -> Result<(), Failed> {
        let modseq = |uids: &[UidRange]| self.highest_modseq(command, uids);
        match &command.returns {
            None => {
                let modseq = modseq(&hits.start);
                self.tell_numbers(command.name, command.uid, &hits.start, modseq).await?;
            }
            // With SAVE alone there is no response: the client will use `$` (RFC 5182 section 2.2).
            Some(returns) if *returns == (Returns { save: true, ..Returns::default() }) => {}
            Some(returns) => {
                self.tell_items(command.tag, command.uid, returns, hits, modseq).await?;
            }
        }
        Ok(())
    }

    /// The highest mod-sequence of these messages, if the command searched for mod-sequences (RFC
    /// 7162 section 3.1.6).
    fn highest_modseq(&self, command: &Command<'_>, uids: &[UidRange]) -> Option<ModSeq> {
        if !command.program.has_modseq {
            return None;
        }
        let account = command.place.owner.account.borrow();
        let mailbox = account.mailbox(command.place.mailbox)?;
        let entries = uids.iter().flat_map(|range| mailbox.range(*range));
        entries.map(|entry| entry.modseq()).max()
    }

    /// Sets `$` (RFC 5182 section 2.1).
    fn save(&self, command: &Command<'_>, hits: &Hits, unread: Unread) {
        let Some(returns) = command.returns.filter(|returns| returns.save) else { return };
        let saved = if unread.is_none() { hits.saved(&returns) } else { Vec::new() };
        if let Some(selected) = &mut *self.selected.borrow_mut() {
            selected.shown.saved = saved;
        }
    }

    /// The messages in the client's view.
    fn view_uids(&self) -> Vec<UidRange> {
        let selected = self.selected.borrow();
        selected.as_ref().map_or_else(Vec::new, |selected| {
            selected.shown.view.runs().collect() //
        })
    }

    fn end_search(&self, command: &Command<'_>, result: Result<Unread, Failed>) {
        let tag = command.tag;
        let failed = !result.as_ref().is_ok_and(|unread| unread.is_none());
        match result {
            Ok(unread) if unread.is_none() => self.ok(tag, &format!("{} completed", command.name)),
            Ok(Unread { damaged: 0, .. }) => {
                let text = "a message has a header too long to be searched; leave it out";
                self.no(tag, Some(Code::Limit), text);
            }
            Ok(_) => {
                let text = "a message cannot be read; the log says which";
                self.no(tag, Some(Code::Corruption), text);
            }
            Err(Failed::Gone) => {}
            Err(Failed::TooMuch) => {
                let text = "sorting or threading these messages takes too much memory; ask for \
                            fewer messages, or end what you follow by CANCELUPDATE";
                self.no(tag, Some(Code::Limit), text);
            }
            Err(Failed::Broken(error)) => {
                tracing::error!("{} failed: {error}", command.name);
                self.no(tag, Some(Code::Unavailable), "internal error; the server log has details");
            }
        }
        if failed
            && command.returns.is_some_and(|returns| returns.save)
            && let Some(selected) = &mut *self.selected.borrow_mut()
        {
            selected.shown.saved.clear();
        }
    }
}
