//! How a command ends: what is new in the mailbox, then the tagged response.

use bytes::BytesMut;

use super::selected::tell_highest;
use super::session::{Flow, Reply, Session};
use crate::store::LogError;
use imap::protocol::response::{Code, Condition, tagged, untagged};
use imap::protocol::{MailboxName, NameError, Tag};

/// What clients are told of a full disk. The log says more, such as where.
pub(super) const NO_ROOM: &str = "there is no room on the disk";

/// Tagged OK of a command that named messages which another session has expunged.
pub(super) const EXPUNGED: &str = "some messages were expunged by another session";

impl Session {
    /// Tells the news, then the tagged response, between them the highest mod-sequence.
    pub(super) async fn conclude(&mut self, flow: Flow, expunges: bool) -> Flow {
        let news = match flow {
            Flow::On => self.news(expunges).await,
            Flow::Over | Flow::Move(..) => Ok(()),
        };
        let Reply { mut octets, plain } = self.reply.take();
        if self.end_if_faulty() {
            // Whatever the command found, it was not the account.
            return Flow::Over;
        }
        let highest = match flow {
            Flow::On if news.is_ok() => self.highest_to_tell(),
            _ => None,
        };
        match (plain, highest) {
            (Some((tag, text)), highest) => {
                let code = highest.map(Code::HighestModSeq);
                tagged(&mut octets, &tag, Condition::Ok, code.as_ref(), &text);
            }
            (None, Some(highest)) => self.output.push(|out| tell_highest(out, highest)),
            (None, None) => {}
        }
        self.output.push(|out| out.unsplit(octets));
        if self.broken.get() {
            self.farewell(Some(Code::Unavailable), "the disk failed");
            return Flow::Over;
        }
        match news {
            Ok(()) => flow,
            Err(why) => {
                self.end_without_news(&why);
                Flow::Over
            }
        }
    }

    /// A tagged response that was written elsewhere.
    pub(super) fn answer(&self, octets: BytesMut) {
        self.reply.borrow_mut().octets.unsplit(octets);
    }

    /// Tagged OK, to be sent after the news of the selected mailbox; likewise below.
    pub(super) fn ok(&self, tag: &Tag, text: &str) {
        self.reply.borrow_mut().plain = Some((tag.clone(), text.into()));
    }

    /// The same with a response code.
    pub(super) fn ok_code(&self, tag: &Tag, code: Code, text: &str) {
        tagged(&mut self.reply.borrow_mut().octets, tag, Condition::Ok, Some(&code), text);
    }

    pub(super) fn no(&self, tag: &Tag, code: Option<Code>, text: &str) {
        tagged(&mut self.reply.borrow_mut().octets, tag, Condition::No, code.as_ref(), text);
    }

    /// For what the log did not take. With no room for it, it was not done. When the log broke
    /// nobody knows before the next start: the command gets no answer, and the session ends.
    pub(super) fn not_written(&self, tag: &Tag, error: &LogError) {
        match error {
            LogError::Full(why) => {
                tracing::warn!("no room for a change: {why}");
                self.no(tag, Some(Code::Unavailable), NO_ROOM);
            }
            LogError::Poisoned(_) => self.broken.set(true),
        }
    }

    /// The mailbox name of a command; one that is none is refused here.
    pub(super) fn valid(
        &self,
        tag: &Tag,
        name: Result<MailboxName, NameError>,
    ) -> Option<MailboxName> {
        name.map_err(|error| self.no(tag, Some(Code::Cannot), &error.to_string())).ok()
    }

    pub(super) fn bad(&self, tag: &Tag, text: &str) {
        self.refuse(Some(tag), text);
    }

    /// The session is over: what its client is told when all replies that it is owed are on their
    /// way. The first reason counts.
    pub(super) fn farewell(&self, code: Option<Code<'static>>, why: &str) {
        self.farewell.borrow_mut().get_or_insert_with(|| (code, why.into()));
    }

    /// BAD; untagged when the tag could not be read.
    pub(super) fn refuse(&self, tag: Option<&Tag>, text: &str) {
        let out = &mut self.reply.borrow_mut().octets;
        match tag {
            Some(tag) => tagged(out, tag, Condition::Bad, None, text),
            None => untagged(out, Condition::Bad, None, text),
        }
    }
}
