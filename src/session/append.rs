//! APPEND (RFC 3501 section 6.3.11, RFC 3502): hands the connection to [`crate::ingest`].

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use bytes::BytesMut;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::enabled::Enabled;
use super::selected::{Selected, announce};
use super::session::{Flow, Session};
use crate::home::Owner;
use crate::ingest::{Answer, Client, Ended, Machine, Refusal, Step, Upload};
use crate::net::Output;
use crate::reactor::spawn;
use imap::protocol::response::Code;

/// Sends the replies of uploads when they are due, independently of the session.
struct Answering {
    answers: UnboundedReceiver<Box<Answer>>,
    /// Weak, because a connection that moves to another reactor takes its output along.
    output: Weak<Output>,
    selected: Rc<RefCell<Option<Selected>>>,
    owner: Rc<Owner>,
    enabled: Enabled,
}

impl Answering {
    /// Ends when no upload can owe a reply any more.
    async fn run(mut self) {
        while let Some(answer) = self.answers.recv().await {
            let Some(output) = self.output.upgrade() else { return };
            output.push(|out| {
                if answer.is_ok() {
                    // New messages are announced before the OK of their APPEND.
                    announce(&self.selected, &self.owner, self.enabled, out);
                }
                answer.write(out);
            });
            answer.sent();
        }
    }
}

impl Session {
    pub(super) async fn append(&mut self) -> Flow {
        let Some((_, owner)) = self.user.clone() else { return self.append_before_login().await };
        self.may_write(&owner).await;
        let (sender, answers) = unbounded_channel();
        // Updates of search results come before the reply, and computing them takes time.
        let follows = self.follows();
        let client = Client {
            conn: self.conn.clone(),
            output: self.output.clone(),
            answers: sender,
            pending: self.pending.clone(),
            progress: self.progress(),
            utf8: self.enabled.utf8_names(),
            one_by_one: follows,
        };
        let upload = Upload::new(self.home.clone(), owner.clone(), client, self.input.take());
        if follows {
            let flow = self.upload(upload).await;
            return self.answer_with_news(answers, flow).await;
        }
        let (selected, enabled) = (self.selected.clone(), self.enabled);
        let output = Rc::downgrade(&self.output);
        spawn(Answering { answers, output, selected, owner, enabled }.run());
        self.upload(upload).await
    }

    async fn upload(&mut self, upload: Box<Upload>) -> Flow {
        match upload.run().await {
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
                // The log names the file and the disk.
                if !self.end_if_faulty() && self.home.ending.borrow().is_none() {
                    self.farewell(Some(Code::Unavailable), "the disk failed");
                }
                Flow::Over
            }
        }
    }

    /// Ends an APPEND like other commands: changes of the mailbox come before the reply.
    async fn answer_with_news(
        &mut self,
        mut answers: UnboundedReceiver<Box<Answer>>,
        flow: Flow,
    ) -> Flow {
        let mut octets = BytesMut::new();
        while let Some(answer) = answers.recv().await {
            answer.write(&mut octets);
            answer.sent();
        }
        if !self.pending.none().await {
            return Flow::Over;
        }
        self.answer(octets);
        self.conclude(flow, true).await
    }

    /// Ends a session that sent too much to discard before login.
    pub(super) fn end_flood(&self) -> Flow {
        let text = "too much was sent before login";
        self.append_refused(text);
        self.farewell(None, text);
        Flow::Over
    }

    /// Reads and discards an APPEND before login.
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
