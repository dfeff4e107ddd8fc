//! APPEND, in all the ways in which clients send it and in which it fails.

use std::io::ErrorKind;
use std::rc::Rc;

use super::content::{Content, Sizes};
use super::flags::written;
use super::message::Op;
use super::session::{Kind, Session};
use super::wire::{Checked, Dial, Stop};

/// How an APPEND ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Complete and correct.
    Whole,
    /// Cancelled by an empty message (RFC 3502 section 6.3.11).
    Cancelled,
    /// Invalid flags.
    BadFlags,
    /// Something in place of a message.
    Nonsense,
    /// The end of the connection.
    Broken,
}

/// How a client appends.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Most messages in one.
    pub most: usize,
    /// Their sizes.
    pub sizes: Sizes,
}

impl<D: Dial> Session<'_, D> {
    /// Sends an APPEND. Its reply is still to be read.
    pub async fn append_one(&mut self, target: &Rc<str>, style: Style) -> Checked {
        let fate = match self.random.below(40) {
            0..=32 => Fate::Whole,
            33 | 34 => Fate::Cancelled,
            35 | 36 => Fate::BadFlags,
            37 => Fate::Nonsense,
            _ => Fate::Broken,
        };
        let contents = self.contents(style);
        let (account, number) = (self.account, self.number);
        let op = self.model.borrow_mut().append(account, target, contents.clone(), number);
        let in_step = self.sent.is_empty() && self.random.one_in(4);
        let tag = self.tag();
        let refused = fate != Fate::Whole;
        self.register(&tag, Kind::Append { op, refused }, false);
        self.trace(|| {
            let sizes: Vec<usize> = contents.iter().map(|content| content.octets.len()).collect();
            format!("> {tag} APPEND {target}, op {op}: {fate:?}, in step: {in_step}, {sizes:?}")
        });
        match in_step {
            true => self.append_in_step(&tag, target, op, fate, &contents).await,
            false => self.append_at_once(&tag, target, op, fate, &contents).await,
        }
    }

    fn contents(&mut self, style: Style) -> Vec<Content> {
        let count = match self.random.one_in(3) {
            true => self.random.within(1, style.most),
            false => 1,
        };
        let model = &mut *self.model.borrow_mut();
        let random = &mut self.random;
        // The first is unique, so that a batch in doubt is recognised.
        (0..count).map(|at| model.contents.make(random, style.sizes, at > 0)).collect()
    }

    async fn append_at_once(
        &mut self,
        tag: &str,
        target: &str,
        op: Op,
        fate: Fate,
        contents: &[Content],
    ) -> Checked {
        let mut text = format!("{tag} APPEND \"{target}\"").into_bytes();
        for content in contents {
            text.extend_from_slice(announced(content, "+").as_bytes());
            text.extend_from_slice(&content.octets);
        }
        match fate {
            Fate::Cancelled => text.extend_from_slice(b" {0+}\r\n"),
            Fate::BadFlags => text.extend_from_slice(b" (\\Odd) {5+}\r\nabcde"),
            Fate::Nonsense => text.extend_from_slice(b" NIL {5+}\r\nabcde"),
            Fate::Whole | Fate::Broken => {}
        }
        if fate == Fate::Broken {
            let some = self.random.below(text.len() + 1);
            self.connection.send(&text[..some]).await?;
            return self.break_off();
        }
        self.connection.send(&text).await?;
        if fate == Fate::Whole {
            self.model.borrow_mut().append_whole(op);
        }
        self.connection.send(b"\r\n").await
    }

    /// Sends each message when the server asks for it.
    async fn append_in_step(
        &mut self,
        tag: &str,
        target: &str,
        op: Op,
        fate: Fate,
        contents: &[Content],
    ) -> Checked {
        let mut line = format!("{tag} APPEND \"{target}\"");
        for content in contents {
            line += &announced(content, "");
            self.connection.send(line.as_bytes()).await?;
            line.clear();
            if !self.reply().await? {
                return Ok(());
            }
            if fate == Fate::Broken && self.random.one_in(contents.len()) {
                let some = self.random.below(content.octets.len());
                self.connection.send(&content.octets[..some]).await?;
                return self.break_off();
            }
            self.connection.send(&content.octets).await?;
        }
        match fate {
            Fate::Broken => return self.break_off(),
            Fate::Cancelled => return self.connection.send(b" {0}\r\n").await,
            Fate::BadFlags => return self.connection.send(b" (\\Odd) {5}\r\n").await,
            Fate::Nonsense => return self.connection.send(b" NIL {5}\r\n").await,
            Fate::Whole => {}
        }
        self.model.borrow_mut().append_whole(op);
        self.connection.send(b"\r\n").await
    }

    fn break_off(&mut self) -> Checked {
        self.trace(|| "breaks off".into());
        match self.random.one_in(2) {
            true => self.connection.close(),
            false => self.connection.reset(),
        }
        Err(Stop::Gone(ErrorKind::BrokenPipe))
    }
}

/// The flags, date and literal header before a message.
fn announced(content: &Content, plus: &str) -> String {
    let flags = match content.flags {
        0 => String::new(),
        flags => format!(" ({})", written(flags)),
    };
    let date = content.date.as_ref().map_or(String::new(), |date| format!(" \"{date}\""));
    let binary = if content.octets.contains(&0) { "~" } else { "" };
    format!("{flags}{date} {binary}{{{}{plus}}}\r\n", content.octets.len())
}
