//! LIST and LSUB (RFC 3501 sections 6.3.8 and 6.3.9, RFC 5258, RFC 5819, RFC 6154).

use std::rc::Rc;

use bytes::BytesMut;

use super::tree::{Level, any_matches, mark_hidden, tree};
use crate::ingest::Owner;
use crate::net::Gone;
use crate::protocol::response::{self, Code, ListEntry};
use crate::protocol::{List, MailboxName, NameError, Pattern, SelectionOptions, Tag};
use crate::reactor::breathe;
use crate::session::dispatch::{Flow, Session};

/// Octets of a reply gathered before they are handed on.
const GATHERED: usize = 64 << 10;

/// Characters of names held against patterns between two rests of the reactor: a millisecond or
/// two with patterns of the usual length.
const WORK: usize = 1 << 20;

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
        let utf8 = self.enabled.utf8_names();
        let pattern = |wanted: &Vec<u8>| Pattern::new(&list.reference, wanted, utf8);
        let patterns: Result<Vec<Pattern>, NameError> = list.patterns.iter().map(pattern).collect();
        let patterns = match patterns {
            Ok(patterns) => patterns,
            Err(error) => {
                self.no(tag, Some(Code::Cannot), &error.to_string());
                return Flow::On;
            }
        };
        let told = self.tell_list(list, &patterns, owner).await;
        self.listed(tag, told, "LIST completed")
    }

    fn listed(&self, tag: &Tag, told: Result<(), Gone>, text: &str) -> Flow {
        match told {
            Ok(()) => {
                self.ok(tag, text);
                Flow::On
            }
            Err(Gone) => Flow::Over,
        }
    }

    async fn tell_list(
        &mut self,
        list: &List,
        patterns: &[Pattern],
        owner: &Rc<Owner>,
    ) -> Result<(), Gone> {
        if list.returns.status.contains(&crate::protocol::StatusItem::HighestModSeq) {
            self.enable_condstore();
        }
        let mut levels = tree(&owner.account.borrow());
        if list.selection.recursive_match {
            let matched = |name: &str| {
                MailboxName::from_utf8(name).is_ok_and(|name| any_matches(patterns, &name))
            };
            mark_hidden(&mut levels, list.selection, matched);
        }
        let (mut out, mut work) = (BytesMut::new(), 0);
        for (name, level) in &levels {
            let hidden = list.selection.recursive_match && level.hidden_below;
            if !level.is_selected(list.selection) && !hidden {
                continue;
            }
            work += name.len() * patterns.iter().map(Pattern::work).sum::<usize>();
            if work > WORK {
                work = 0;
                breathe().await;
            }
            let Ok(name) = MailboxName::from_utf8(name) else { continue };
            if !any_matches(patterns, &name) {
                continue;
            }
            self.write_level(&mut out, list, &name, level);
            if !list.returns.status.is_empty()
                && let Some(id) = level.mailbox
                && let Some(mailbox) = owner.account.borrow().mailbox(id)
            {
                self.write_status(&mut out, &name, &list.returns.status, mailbox);
            }
            if out.len() >= GATHERED {
                self.output.push(|queue| queue.unsplit(std::mem::take(&mut out)));
                self.output.room().await?;
            }
        }
        self.output.push(|queue| queue.unsplit(out));
        Ok(())
    }

    fn write_level(&self, out: &mut BytesMut, list: &List, name: &MailboxName, level: &Level) {
        let mut attributes = Vec::with_capacity(8);
        match (&level.mailbox, list.extended || self.enabled.rev2) {
            (Some(_), _) => {}
            // It implies the other (RFC 5258 section 3), and those who know it want it.
            (None, true) => attributes.push("\\NonExistent"),
            (None, false) => attributes.push("\\Noselect"),
        }
        attributes.push(if level.children { "\\HasChildren" } else { "\\HasNoChildren" });
        if level.subscribed && (list.selection.subscribed || list.returns.subscribed) {
            attributes.push("\\Subscribed");
        }
        attributes.extend(level.special_use.names());
        let mut below = Vec::new();
        if list.selection.recursive_match {
            let SelectionOptions { subscribed, special_use, .. } = list.selection;
            below.extend((subscribed && level.subscribed_below).then_some("SUBSCRIBED"));
            below.extend((special_use && level.special_use_below).then_some("SPECIAL-USE"));
        }
        let entry = ListEntry { child_info: &below, ..ListEntry::new(name, &attributes) };
        response::list(out, "LIST", &entry, self.enabled.names());
    }

    /// LSUB knows no names but those subscribed, and with `%` the levels above them: these are
    /// `\Noselect`, which here says that they are not subscribed.
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
        let above = pattern.contains(&b'%');
        let pattern = match Pattern::new(reference, pattern, self.enabled.utf8_names()) {
            Ok(pattern) => pattern,
            Err(error) => {
                self.no(tag, Some(Code::Cannot), &error.to_string());
                return Flow::On;
            }
        };
        let told = self.tell_lsub(&pattern, above, owner).await;
        self.listed(tag, told, "LSUB completed")
    }

    async fn tell_lsub(
        &self,
        pattern: &Pattern,
        above: bool,
        owner: &Rc<Owner>,
    ) -> Result<(), Gone> {
        let levels = tree(&owner.account.borrow());
        let (mut out, mut work) = (BytesMut::new(), 0);
        for (name, level) in &levels {
            if !(level.subscribed || above && level.subscribed_below) {
                continue;
            }
            work += name.len() * pattern.work();
            if work > WORK {
                work = 0;
                breathe().await;
            }
            let Ok(name) = MailboxName::from_utf8(name) else { continue };
            if pattern.matches(&name) {
                let attributes: &[&str] = if level.subscribed { &[] } else { &["\\Noselect"] };
                let entry = ListEntry::new(&name, attributes);
                response::list(&mut out, "LSUB", &entry, self.enabled.names());
            }
            if out.len() >= GATHERED {
                self.output.push(|queue| queue.unsplit(std::mem::take(&mut out)));
                self.output.room().await?;
            }
        }
        self.output.push(|queue| queue.unsplit(out));
        Ok(())
    }
}
