//! LIST and LSUB (RFC 3501 sections 6.3.8 and 6.3.9, RFC 5258, RFC 5819, RFC 6154).

use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::BytesMut;

use super::tree::{Level, any_matches, mark_hidden, tree};
use crate::ingest::Owner;
use crate::net::{GATHERED, Gone};
use crate::protocol::response::{self, Code, ListEntry};
use crate::protocol::{List, MailboxName, NameError, Pattern, SelectionOptions, StatusItem, Tag};
use crate::reactor::breathe;
use crate::session::dispatch::{Flow, Session};

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
        let wanted = list.patterns.iter().map(Vec::as_slice);
        let Some(patterns) = self.patterns(tag, &list.reference, wanted) else { return Flow::On };
        if list.returns.status.contains(&StatusItem::HighestModSeq) {
            self.enable_condstore();
        }
        let recursive = list.selection.recursive_match;
        let mut levels = tree(&owner.account.borrow());
        if recursive {
            mark_hidden(&mut levels, list.selection, &patterns);
        }
        let chosen = |level: &Level| {
            level.is_selected(list.selection) || recursive && level.hidden_below //
        };
        let write = |out: &mut BytesMut, name: &MailboxName, level: &Level| {
            self.write_level(out, list, name, level);
            if !list.returns.status.is_empty()
                && let Some(id) = level.mailbox
                && let Some(mailbox) = owner.account.borrow().mailbox(id)
            {
                self.write_status(out, name, &list.returns.status, mailbox);
            }
        };
        let told = self.tell_levels(&levels, &patterns, chosen, write).await;
        self.listed(tag, told, "LIST completed")
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
        let Some(patterns) = self.patterns(tag, reference, [pattern]) else { return Flow::On };
        let above = pattern.contains(&b'%');
        let levels = tree(&owner.account.borrow());
        let chosen = |level: &Level| level.subscribed || above && level.subscribed_below;
        let write = |out: &mut BytesMut, name: &MailboxName, level: &Level| {
            let attributes: &[&str] = if level.subscribed { &[] } else { &["\\Noselect"] };
            let entry = ListEntry::new(name, attributes);
            response::list(out, "LSUB", &entry, self.enabled.names());
        };
        let told = self.tell_levels(&levels, &patterns, chosen, write).await;
        self.listed(tag, told, "LSUB completed")
    }

    /// What the client looks for; one that no name can match is refused here.
    fn patterns<'p>(
        &self,
        tag: &Tag,
        reference: &[u8],
        wanted: impl IntoIterator<Item = &'p [u8]>,
    ) -> Option<Vec<Pattern>> {
        let utf8 = self.enabled.utf8_names();
        let patterns = wanted.into_iter().map(|wanted| Pattern::new(reference, wanted, utf8));
        let patterns: Result<_, NameError> = patterns.collect();
        patterns.map_err(|error| self.no(tag, Some(Code::Cannot), &error.to_string())).ok()
    }

    /// Writes the levels that are chosen and that a pattern matches.
    async fn tell_levels(
        &self,
        levels: &BTreeMap<Box<str>, Level>,
        patterns: &[Pattern],
        chosen: impl Fn(&Level) -> bool,
        write: impl Fn(&mut BytesMut, &MailboxName, &Level),
    ) -> Result<(), Gone> {
        let cost: usize = patterns.iter().map(Pattern::work).sum();
        let (mut out, mut work) = (BytesMut::new(), 0);
        for (name, level) in levels.iter().filter(|(_, level)| chosen(level)) {
            work += name.len() * cost;
            if work > WORK {
                work = 0;
                breathe().await;
            }
            let Ok(name) = MailboxName::from_utf8(name) else { continue };
            if any_matches(patterns, &name) {
                write(&mut out, &name, level);
            }
            if out.len() >= GATHERED {
                self.output.pass_on(&mut out).await?;
            }
        }
        self.output.push_buffer(out);
        Ok(())
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
}
