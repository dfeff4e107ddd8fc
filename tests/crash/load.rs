//! The load: clients that append until the server is gone, and record its acknowledgements.

use std::net::SocketAddr;
use std::sync::mpsc::Sender;

use kit::{Client, Message, PASSWORD, Random, append_text};

/// Identity of a message, which determines its octets, flags and date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id {
    pub batch: u64,
    pub index: usize,
    /// Messages in the batch.
    pub of: usize,
    /// Largest size of a message in this batch.
    pub large: usize,
}

impl Id {
    /// The message: a line with its identity, then random octets derived from it.
    pub fn octets(self) -> Vec<u8> {
        let Id { batch, index, of, large } = self;
        let mut octets = format!("X-Id: {batch} {index} {of} {large} \r\n\r\n").into_bytes();
        let mut random = self.random();
        let size =
            if random.one_in(8) { random.within(64, large) } else { random.within(64, 4000) };
        while octets.len() < size {
            octets.extend_from_slice(&random.number().to_le_bytes());
        }
        octets
    }

    /// The identity in the first line of [`Id::octets`].
    pub fn of_octets(octets: &[u8]) -> Id {
        let line = octets.split(|&octet| octet == b'\r').next().unwrap_or_default();
        let line = std::str::from_utf8(line).expect("a first line");
        let numbers = line.strip_prefix("X-Id: ").expect("one of these messages").split(' ');
        let numbers: Vec<u64> = numbers.flat_map(str::parse).collect();
        let [batch, index, of, large] = numbers[..] else { panic!("{line}") };
        Id { batch, index: index as usize, of: of as usize, large: large as usize }
    }

    /// Sorted as [`kit::Fetched::flags`] has them.
    pub fn flags(self) -> &'static [&'static str] {
        self.random().pick(&[&[][..], &["\\Seen"], &["\\Deleted", "work"], &["a", "b", "c"]])
    }

    pub fn date(self) -> String {
        let mut random = self.random();
        let (day, year) = (random.within(1, 28), random.within(1, 9999));
        format!("{day:2}-Feb-{year:04} 11:22:33 -0330")
    }

    /// Flags and date, as written before the literal.
    pub fn options(self) -> String {
        format!("({}) \"{}\" ", self.flags().join(" "), self.date())
    }

    fn random(self) -> Random {
        Random::new(self.batch << 20 | self.index as u64)
    }
}

/// The mailbox that one client fills, and how.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    pub user: &'static str,
    pub mailbox: &'static str,
    /// Most messages in a batch.
    pub batch: usize,
    /// Largest message.
    pub large: usize,
    /// Batches sent ahead of their replies.
    pub ahead: usize,
    /// Each message waits for `+`.
    pub in_step: bool,
}

/// A batch that was sent completely or in part.
#[derive(Clone, Debug)]
pub struct Sent {
    pub batch: u64,
    pub of: usize,
    /// UIDVALIDITY, first and last UID, once the server has said OK.
    pub promised: Option<(u32, u32, u32)>,
    /// The server has answered NO: the batch must never appear.
    pub refused: bool,
}

/// A client that appends.
pub struct Writer {
    pub style: Style,
    client: Client,
    random: Random,
    next: u64,
    /// In the order sent.
    pub sent: Vec<Sent>,
    /// Number of batches with a reply.
    answered: usize,
    /// NO \[UNAVAILABLE\] is allowed.
    pub may_fail: bool,
}

impl Writer {
    /// Logs in. Batches are numbered from `next`.
    pub fn new(address: SocketAddr, style: Style, random: Random, next: u64) -> Writer {
        let mut client = Client::connect(address);
        client.response().expect("a greeting");
        client.ok(&format!("LOGIN {} {PASSWORD}", style.user));
        let (sent, answered, may_fail) = (Vec::new(), 0, false);
        Writer { style, client, random, next, sent, answered, may_fail }
    }

    /// Appends until the server is gone; sends the numbers of octets to `progress`.
    pub fn run(mut self, progress: &Sender<usize>) -> Writer {
        while self.batch(progress).is_some() {}
        // Replies sent before the end still count.
        while self.reply().is_some() {}
        self
    }

    /// Appends this many batches and waits for all replies. Panics if the server is gone.
    pub fn work(&mut self, batches: usize) {
        let (progress, _) = std::sync::mpsc::channel();
        for _ in 0..batches {
            self.batch(&progress).expect("a server");
        }
        while self.answered < self.sent.len() {
            self.reply().expect("a server");
        }
    }

    /// Number of refused batches.
    pub fn refused(&self) -> usize {
        self.sent.iter().filter(|sent| sent.refused).count()
    }

    fn batch(&mut self, progress: &Sender<usize>) -> Option<()> {
        let (batch, of, large) =
            (self.next, self.random.within(1, self.style.batch), self.style.large);
        self.next += 1;
        let ids: Vec<_> = (0..of).map(|index| Id { batch, index, of, large }).collect();
        self.sent.push(Sent { batch, of, promised: None, refused: false });
        if self.style.in_step {
            self.in_step(&ids, progress)?;
        } else {
            let octets: Vec<_> = ids.iter().map(|id| (id.options(), id.octets())).collect();
            let messages: Vec<_> =
                octets.iter().map(|(options, octets)| Message { options, octets }).collect();
            let text = append_text(&format!("b{batch}"), self.style.mailbox, &messages);
            self.send(&text, progress)?;
        }
        while self.sent.len() - self.answered > self.style.ahead {
            self.reply()?;
        }
        Some(())
    }

    fn in_step(&mut self, ids: &[Id], progress: &Sender<usize>) -> Option<()> {
        let tag = format!("b{}", ids[0].batch);
        self.send(format!("{tag} APPEND {}", self.style.mailbox).as_bytes(), progress)?;
        for id in ids {
            let octets = id.octets();
            self.send(format!(" {}{{{}}}\r\n", id.options(), octets.len()).as_bytes(), progress)?;
            while !self.client.response()?.octets.starts_with(b"+ ") {}
            self.send(&octets, progress)?;
        }
        self.send(b"\r\n", progress)
    }

    /// `None` when the server is gone.
    fn send(&mut self, octets: &[u8], progress: &Sender<usize>) -> Option<()> {
        for slice in octets.chunks(16 << 10) {
            if !self.client.try_send(slice) {
                return None;
            }
            // The receiver is gone once the server must end.
            let _ = progress.send(slice.len());
        }
        Some(())
    }

    /// Reads the next tagged response, which must answer the oldest batch.
    fn reply(&mut self) -> Option<()> {
        loop {
            let line = self.client.response()?.text();
            if line.starts_with("* ") {
                continue;
            }
            let sent = &mut self.sent[self.answered];
            if self.may_fail && line.starts_with(&format!("b{} NO [UNAVAILABLE] ", sent.batch)) {
                sent.refused = true;
                self.answered += 1;
                return Some(());
            }
            let begin = format!("b{} OK [APPENDUID ", sent.batch);
            let rest = line.strip_prefix(&begin).unwrap_or_else(|| panic!("{begin}: {line}"));
            let numbers = rest.split(']').next().unwrap().split([' ', ':']);
            let numbers: Vec<u32> = numbers.map(|number| number.parse().unwrap()).collect();
            let (first, last) = (numbers[1], *numbers.last().unwrap());
            assert_eq!((last - first) as usize + 1, sent.of, "{line}");
            sent.promised = Some((numbers[0], first, last));
            self.answered += 1;
            return Some(());
        }
    }
}
