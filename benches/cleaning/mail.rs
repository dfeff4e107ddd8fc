//! The mail that is sent.

use std::path::PathBuf;

use client::Source;
use kit::append_text;
use kit::{Message, Random};
use mailrace::tools::Generator;

/// Messages that are generated without a corpus.
const GENERATED: usize = 2000;

/// Mail that is sent again and again, each time with another first line.
pub struct Mail(Vec<Vec<u8>>);

impl Mail {
    /// The mail of MAILRACE_CORPUS, or generated mail.
    pub fn read() -> Mail {
        let corpus = std::env::var_os("MAILRACE_CORPUS").map(PathBuf::from);
        let mail: Vec<Vec<u8>> = match &corpus {
            Some(folder) => {
                let source = Source::open(&folder.join("messages.mbox")).expect("an mbox");
                source.map(|mail| kit::without_nul(&mail.expect("mail").octets)).collect()
            }
            None => Generator::new(7).take(GENERATED).map(|mail| mail.octets.into()).collect(),
        };
        let octets: usize = mail.iter().map(Vec::len).sum();
        let kind = if corpus.is_some() { "corpus" } else { "generated mail" };
        println!("{kind}: {} messages of {} octets", mail.len(), octets / mail.len());
        Mail(mail)
    }

    /// The message with this number.
    pub fn message(&self, number: u64) -> Vec<u8> {
        let mut random = Random::new(number);
        let mut message = format!("X-Number: {number}\r\n").into_bytes();
        message.extend_from_slice(&self.0[random.below(self.0.len())]);
        message
    }

    /// An APPEND of these messages, and their lengths.
    pub fn append(&self, tag: &str, numbers: impl Iterator<Item = u64>) -> (Vec<u8>, Vec<u64>) {
        let mail: Vec<_> = numbers.map(|number| self.message(number)).collect();
        let messages: Vec<_> = mail.iter().map(|octets| Message { options: "", octets }).collect();
        let lengths = mail.iter().map(|octets| octets.len() as u64).collect();
        (append_text(tag, "INBOX", &messages), lengths)
    }
}
