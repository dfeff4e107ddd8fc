//! APPEND (RFC 3501 section 6.3.11, RFC 3502): hands the connection to [`crate::ingest`].

use std::cell::RefCell;
use std::rc::Rc;

use bytes::BytesMut;
use tracing::Span;

use super::dispatch::{Flow, Session};
use super::selected::announce;
use crate::ingest::{Ended, Machine, Refusal, Step, Upload, UploadContext};
use imap::protocol::response::Code;

impl Session {
    pub(super) async fn append(&mut self) -> Flow {
        let Some((_, owner)) = self.user.clone() else { return self.append_before_login().await };
        self.may_write(&owner).await;
        let progress = self.progress();
        let (selected, home) = (self.selected.clone(), &self.home);
        let (told, enabled) = (owner.clone(), self.enabled);
        // What changes in a followed result is told before the reply, and found out at leisure.
        let held = self.follows().then(Rc::<RefCell<BytesMut>>::default);
        let announces = held.is_none();
        let context = UploadContext {
            conn: self.conn.clone(),
            output: self.output.clone(),
            owner,
            arena: home.arena.clone(),
            log: home.log.clone(),
            idle_time: home.settings.idle_time,
            append_limit: home.settings.append_limit,
            utf8: self.enabled.utf8_names(),
            announce: Rc::new(move |out: &mut BytesMut| {
                if announces {
                    announce(&selected, &told, enabled, out);
                }
            }),
            held: held.clone(),
            pending: self.pending.clone(),
            unfinished: home.unfinished.clone(),
            committed: home.committed.clone(),
            progress,
            counters: home.counters.clone(),
            span: Span::current(),
        };
        let flow = match Upload::new(context, self.input.take()).run().await {
            Ok(rest) => {
                self.input.put_back(rest);
                Flow::On
            }
            Err(Ended::Gone) => Flow::Over,
            Err(Ended::Idle) => {
                self.farewell(None, "idle for too long amid a message");
                Flow::Over
            }
            Err(Ended::Broken(_)) => {
                // The log says which file of which disk it was.
                if !self.end_if_faulty() && self.home.ending.borrow().is_none() {
                    self.farewell(Some(Code::Unavailable), "the disk failed");
                }
                Flow::Over
            }
        };
        let Some(held) = held else { return flow };
        if !self.pending.none().await {
            return Flow::Over;
        }
        self.answer(held.take());
        self.conclude(flow, true).await
    }

    /// Nobody has logged in, and too much was thrown away already.
    pub(super) fn end_flood(&self) -> Flow {
        let text = "too much was sent before login";
        self.append_refused(text);
        self.farewell(None, text);
        Flow::Over
    }

    /// Nobody has logged in: the command is read and thrown away.
    async fn append_before_login(&mut self) -> Flow {
        let mut machine = Machine::new(false);
        machine.refuse(Refusal::no(None, "log in first"));
        loop {
            let octets = self.input.take();
            let (taken, step) = machine.step(&octets);
            self.input.put_back(octets[taken..].to_vec());
            if !self.input.may_discard(taken) {
                return self.end_flood();
            }
            match step {
                Step::Refused(refusal) => {
                    self.append_refused(&refusal.text);
                    self.output.push(|out| refusal.write(out, machine.tag()));
                    return Flow::On;
                }
                Step::More if !self.input.more().await => return Flow::Over,
                _ => {}
            }
        }
    }
}
