//! LIST and LSUB (RFC 3501 sections 6.3.8 and 6.3.9, RFC 5258, RFC 5819, RFC 6154).

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::BytesMut;

use super::tree::{Level, Names, Of, Walk, below};
use crate::home::Owner;
use crate::limits::LIST_WORK;
use crate::net::{GATHERED, Gone};
use crate::reactor::breathe;
use crate::session::session::{Flow, Session};
use imap::protocol::response::{self, Code, ListEntry};
use imap::protocol::{List, MailboxName, Pattern, SelectionOptions, StatusItem, Tag};

/// Steps between two yields: a millisecond or two.
const STEPS: usize = 1 << 20;

/// Steps counted for finding a name and its attributes.
const NAME: usize = 2_000;

/// Steps counted for each name that RECURSIVEMATCH visits below another.
const LOOK: usize = 200;

/// Why a listing stops early.
enum Stop {
    Gone,
    /// The patterns need more than [`LIST_WORK`] steps.
    Work,
}

impl Session {
    pub(in crate::session) async fn list(
        &mut self,
        tag: &Tag,
        list: &List,
        owner: &Rc<Owner>,
    ) -> Flow {
        if !list.extended && list.patterns.iter().all(Vec::is_empty) {
            self.output.push(|out| response::list_separator(out, "LIST"));
            self.ok(tag, "LIST completed");
            return Flow::On;
        }
        let wanted = list.patterns.iter().map(Vec::as_slice);
        let patterns = self.patterns(&list.reference, wanted);
        if list.returns.status.contains(&StatusItem::HighestModSeq) {
            self.enable_condstore();
        }
        let told = Lister::new(self, owner, patterns).list(list).await;
        self.listed(tag, told, "LIST completed")
    }

    /// LSUB lists only subscribed names and, for `%`, the levels above them; these are `\Noselect`,
    /// which here means that they are not subscribed.
    pub(in crate::session) async fn lsub(
        &mut self,
        tag: &Tag,
        reference: &[u8],
        pattern: &[u8],
        owner: &Rc<Owner>,
    ) -> Flow {
        if pattern.is_empty() {
            self.output.push(|out| response::list_separator(out, "LSUB"));
            self.ok(tag, "LSUB completed");
            return Flow::On;
        }
        let patterns = self.patterns(reference, [pattern]);
        let above = pattern.contains(&b'%');
        let told = Lister::new(self, owner, patterns).lsub(above).await;
        self.listed(tag, told, "LSUB completed")
    }

    /// The patterns of the client. A pattern that no name can match, such as `&*`, finds nothing.
    fn patterns<'p>(
        &self,
        reference: &[u8],
        wanted: impl IntoIterator<Item = &'p [u8]>,
    ) -> Vec<Pattern> {
        let utf8 = self.enabled.utf8_names();
        wanted.into_iter().filter_map(|wanted| Pattern::new(reference, wanted, utf8).ok()).collect()
    }

    fn listed(&self, tag: &Tag, told: Result<(), Stop>, text: &str) -> Flow {
        match told {
            Ok(()) => self.ok(tag, text),
            Err(Stop::Gone) => return Flow::Over,
            Err(Stop::Work) => {
                let text = "the patterns take too long to match; ask for fewer at a time, with \
                            fewer wildcards";
                self.no(tag, Some(Code::Limit), text);
            }
        }
        Flow::On
    }
}

/// Sends names one by one. It keeps in memory only the names it is working on.
struct Lister<'s> {
    session: &'s Session,
    owner: &'s Rc<Owner>,
    patterns: Vec<Pattern>,
    /// Names that were found but not processed yet: a mailbox and the levels above it.
    waiting: VecDeque<MailboxName>,
    out: BytesMut,
    /// Steps since the last yield.
    steps: usize,
    /// Total steps that count against [`LIST_WORK`].
    work: usize,
    hidden: Without,
    used: Without,
}

/// Levels known to have no match below them. They rule out the levels below them too, which come
/// next.
#[derive(Default)]
struct Without(Vec<String>);

impl Without {
    fn covers(&mut self, below: &str) -> bool {
        self.0.retain(|level| **level >= *below || below.starts_with(&**level));
        self.0.iter().any(|level| below.starts_with(&**level))
    }
}

impl<'s> Lister<'s> {
    fn new(session: &'s Session, owner: &'s Rc<Owner>, patterns: Vec<Pattern>) -> Lister<'s> {
        Lister {
            session,
            owner,
            patterns,
            waiting: VecDeque::new(),
            out: BytesMut::new(),
            steps: 0,
            work: 0,
            hidden: Without::default(),
            used: Without::default(),
        }
    }

    async fn list(mut self, list: &List) -> Result<(), Stop> {
        let options = list.selection;
        let of = if options.subscribed { Of::Subscriptions } else { Of::Mailboxes };
        let mut names = Names::new(of, &self.patterns);
        while let Some(name) = self.next(&mut names).await? {
            let level = Level::of(&self.owner.account.borrow(), name.as_str());
            let mut below = Vec::new();
            if options.recursive_match {
                if !level.is_selected(options) && !self.has_hidden(of, options, &name).await? {
                    continue;
                }
                below
                    .extend((options.subscribed && level.subscribed_below).then_some("SUBSCRIBED"));
                let with_use = options.special_use && self.has_use(&name).await?;
                below.extend(with_use.then_some("SPECIAL-USE"));
            } else if !level.is_selected(options) {
                continue;
            }
            self.write(list, &name, &level, &below);
        }
        self.session.output.push_buffer(self.out);
        Ok(())
    }

    async fn lsub(mut self, above: bool) -> Result<(), Stop> {
        let mut names = Names::new(Of::Subscriptions, &self.patterns);
        while let Some(name) = self.next(&mut names).await? {
            let level = Level::of(&self.owner.account.borrow(), name.as_str());
            if level.subscribed || above && level.subscribed_below {
                let attributes: &[&str] = if level.subscribed { &[] } else { &["\\Noselect"] };
                let entry = ListEntry::new(&name, attributes);
                response::list(&mut self.out, "LSUB", &entry, self.session.enabled.names());
            }
        }
        self.session.output.push_buffer(self.out);
        Ok(())
    }

    /// The next name that a pattern matches. Waits while the client does not read.
    async fn next(&mut self, names: &mut Names) -> Result<Option<MailboxName>, Stop> {
        loop {
            if self.out.len() >= GATHERED {
                let passed = self.session.output.pass_on(&mut self.out).await;
                passed.map_err(|Gone| Stop::Gone)?;
            }
            match self.waiting.pop_front() {
                Some(name) if self.matches(&name).await? => return Ok(Some(name)),
                Some(_) => {}
                None => match names.next(&self.owner.account.borrow()) {
                    Some(more) => self.waiting.extend(more),
                    None => return Ok(None),
                },
            }
            self.rest(NAME).await;
        }
    }

    async fn matches(&mut self, name: &MailboxName) -> Result<bool, Stop> {
        for at in 0..self.patterns.len() {
            let mut work = 0;
            let matches = self.patterns[at].matches_counting(name, &mut work);
            self.work(work)?;
            self.rest(work).await;
            if matches {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a selected name below this one matches no pattern. Without the levels above it, a
    /// client that uses RECURSIVEMATCH would never learn of that name (RFC 5258 section 3.5).
    async fn has_hidden(
        &mut self,
        of: Of,
        options: SelectionOptions,
        name: &MailboxName,
    ) -> Result<bool, Stop> {
        let below = below(name.as_str());
        if self.hidden.covers(&below) {
            return Ok(false);
        }
        let mut walk = Walk::new(of, below.clone(), None);
        while let Some((found, level)) = self.found(&mut walk).await? {
            if level.is_selected(options) && !self.matches(&found).await? {
                return Ok(true);
            }
        }
        self.hidden.0.push(below);
        Ok(false)
    }

    /// Whether a mailbox below this name has a special use.
    async fn has_use(&mut self, name: &MailboxName) -> Result<bool, Stop> {
        let below = below(name.as_str());
        if self.used.covers(&below) {
            return Ok(false);
        }
        let mut walk = Walk::new(Of::Mailboxes, below.clone(), None);
        while let Some((_, level)) = self.found(&mut walk).await? {
            if !level.special_use.is_empty() {
                return Ok(true);
            }
        }
        self.used.0.push(below);
        Ok(false)
    }

    /// The next name of a walk, without the levels above it.
    async fn found(&mut self, walk: &mut Walk) -> Result<Option<(MailboxName, Level)>, Stop> {
        self.work(LOOK)?;
        self.rest(NAME).await;
        let account = self.owner.account.borrow();
        let name = walk.next(&account).and_then(|mut names| names.pop());
        let name = name.and_then(|name| MailboxName::from_utf8(&name).ok());
        Ok(name.map(|name| {
            let level = Level::of(&account, name.as_str());
            (name, level)
        }))
    }

    fn work(&mut self, steps: usize) -> Result<(), Stop> {
        self.work += steps;
        if self.work > LIST_WORK { Err(Stop::Work) } else { Ok(()) }
    }

    async fn rest(&mut self, steps: usize) {
        self.steps += steps;
        if self.steps > STEPS {
            self.steps = 0;
            breathe().await;
        }
    }

    fn write(&mut self, list: &List, name: &MailboxName, level: &Level, below: &[&str]) {
        let (session, out) = (self.session, &mut self.out);
        let mut attributes = Vec::with_capacity(8);
        match (&level.mailbox, list.extended || session.enabled.rev2) {
            (Some(_), _) => {}
            // It implies `\Noselect` (RFC 5258 section 3), and clients with LIST-EXTENDED expect
            // it.
            (None, true) => attributes.push("\\NonExistent"),
            (None, false) => attributes.push("\\Noselect"),
        }
        attributes.push(if level.children { "\\HasChildren" } else { "\\HasNoChildren" });
        if level.subscribed && (list.selection.subscribed || list.returns.subscribed) {
            attributes.push("\\Subscribed");
        }
        attributes.extend(level.special_use.names());
        let entry = ListEntry { child_info: below, ..ListEntry::new(name, &attributes) };
        response::list(out, "LIST", &entry, session.enabled.names());
        if !list.returns.status.is_empty()
            && let Some(id) = level.mailbox
            && let Some(mailbox) = self.owner.account.borrow().mailbox(id)
        {
            session.write_status(out, name, &list.returns.status, mailbox);
        }
    }
}
