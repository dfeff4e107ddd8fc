//! The end of a command: changes of the mailbox, then the tagged response.

use bytes::BytesMut;

use super::selected::tell_highest;
use super::session::{Flow, Reply, Session};
use crate::store::LogError;
use imap::protocol::response::{Code, Condition, tagged, untagged};
use imap::protocol::{MailboxName, NameError, Tag};

/// The reply when the disk is full. The log has details such as the path.
pub(super) const NO_ROOM: &str = "there is no room on the disk";

/// Text of the tagged OK when another session has expunged some of the messages.
pub(super) const EXPUNGED: &str = "some messages were expunged by another session";

impl Session {
    /// Sends the changes of the mailbox, the highest mod-sequence, and the tagged response.
    pub(super) async fn conclude(&mut self, flow: Flow, expunges: bool) -> Flow {
        let news = match flow {
            Flow::On => self.news(expunges).await,
            Flow::Over | Flow::Move(..) => Ok(()),
        };
        let Reply { mut octets, plain } = self.reply.take();
        if self.end_if_faulty() {
            // The account was lost, so the result of the command means nothing.
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

    /// Adds a tagged response that is already written.
    pub(super) fn answer(&self, octets: BytesMut) {
        self.reply.borrow_mut().octets.unsplit(octets);
    }

    /// Sets a tagged OK, to be sent after the changes of the mailbox.
    pub(super) fn ok(&self, tag: &Tag, text: &str) {
        self.reply.borrow_mut().plain = Some((tag.clone(), text.into()));
    }

    /// Sets a tagged OK with a response code, to be sent after the changes of the mailbox.
    pub(super) fn ok_code(&self, tag: &Tag, code: Code, text: &str) {
        tagged(&mut self.reply.borrow_mut().octets, tag, Condition::Ok, Some(&code), text);
    }

    pub(super) fn no(&self, tag: &Tag, code: Option<Code>, text: &str) {
        tagged(&mut self.reply.borrow_mut().octets, tag, Condition::No, code.as_ref(), text);
    }

    /// Replies to a command that the log did not accept. If the log was full, nothing was done. If
    /// it failed, the outcome is unknown until the next start: the command gets no reply, and the
    /// session ends.
    pub(super) fn not_written(&self, tag: &Tag, error: &LogError) {
        match error {
            LogError::Full(why) => {
                tracing::warn!("no room for a change: {why}");
                self.no(tag, Some(Code::Unavailable), NO_ROOM);
            }
            LogError::Poisoned(_) => self.broken.set(true),
        }
    }

    /// The mailbox name of a command. An invalid name is refused here.
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

    /// Ends the session with this BYE, sent after all replies that are owed. The first reason
    /// counts.
    pub(super) fn farewell(&self, code: Option<Code<'static>>, why: &str) {
        self.farewell.borrow_mut().get_or_insert_with(|| (code, why.into()));
    }

    /// Replies BAD; untagged if the tag could not be parsed.
    pub(super) fn refuse(&self, tag: Option<&Tag>, text: &str) {
        let out = &mut self.reply.borrow_mut().octets;
        match tag {
            Some(tag) => tagged(out, tag, Condition::Bad, None, text),
            None => untagged(out, Condition::Bad, None, text),
        }
    }
}
