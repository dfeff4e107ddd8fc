//! Evaluates a program on a mailbox: the index first, then headers, then complete messages.
//!
//! The reader knows a few thousand messages in advance, so that it has the next octets ready;
//! results still come in the order of the mailbox. A search holds two leases, and a copy of any
//! message that is not contiguous in memory. Work that would block a reactor for long runs in
//! pieces on the offload pool, and ends when the client disconnects.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::Unread;
use super::long::Headers;
use super::program::{Answers, Cost, Program};
use crate::home::Owner;
use crate::index::{Batch, Entry, Found, Walk};
use crate::limits::{LARGE_MESSAGE as LARGE, SEARCH_PIECE, SEARCH_STEP};
use crate::net::Gone;
use crate::reactor::breathe;
use crate::session::fetch::head::Reader;
use crate::session::fetch::head::{HEAD, header_length};
use crate::session::session::Session;
use crate::session::trouble::Trouble;
use crate::session::vigil::Vigil;
use crate::store::MailboxId;
use imap::types::{Date, UidRange};

/// Keys evaluated on the index between two yields: a millisecond or two.
const TURN: usize = 100_000;

/// Messages queued in the reader, and matches that wait behind a message being read.
const KNOWN: usize = 8 << 10;

/// Work between two yields, in the unit of [`SEARCH_STEP`]. A yield costs a system call, which
/// would slow a search of many small messages.
const REST: u64 = 4 * SEARCH_STEP;

/// The cost of a message besides its octets.
const MESSAGE: u64 = 256;

/// Messages in the first step of a search from the end.
const LAST: u32 = 256;

/// The mailbox to search, and its owner.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub mailbox: MailboxId,
    pub owner: &'a Owner,
}

/// A scan in progress.
pub(super) struct Scan<'a> {
    pub program: &'a Arc<Program>,
    pub reader: Reader<'a>,
    /// Messages in mailbox order: `Some` matches, `None` stands for the next message of the reader.
    pending: VecDeque<Option<Found>>,
    /// A buffer reused for every message.
    octets: Vec<u8>,
    unread: Unread,
    pub rests: Rests,
}

/// Decides when a command yields.
pub(super) struct Rests {
    /// Octets searched since the last yield, times the number of strings searched for.
    work: u64,
    pub vigil: Vigil,
}

impl Rests {
    /// For a new command.
    pub(super) fn new() -> Rests {
        Rests { work: 0, vigil: Vigil::new() }
    }

    /// Adds work; whether a yield is due.
    fn are_due_after(&mut self, work: u64) -> bool {
        self.work += work;
        let due = self.work >= REST;
        if due {
            self.work = 0;
        }
        due
    }
}

impl Session {
    /// Calls `hit` for each message among these, ascending, that matches, in their order, until
    /// `hit` breaks.
    ///
    /// # Errors
    /// When the client has disconnected. An unreadable message is counted instead.
    pub(super) async fn scan(
        &self,
        program: &Arc<Program>,
        place: Place<'_>,
        uids: Vec<UidRange>,
        mut hit: impl FnMut(Entry<'_>) -> ControlFlow<()>,
    ) -> Result<Unread, Gone> {
        let mut walk = Walk::new(program.within(uids), program.above());
        let reach = match program.cost() {
            Cost::Whole if !program.has_header_first() => u64::MAX,
            _ => HEAD,
        };
        let reader = self.home.reader(reach);
        let (pending, octets) = (VecDeque::new(), Vec::new());
        let rests = Rests::new();
        let mut scan = Scan { program, reader, pending, octets, unread: Unread::default(), rests };
        let slice = (TURN / program.keys().max(1)).max(1);
        let (mut batch, mut asked, mut more) = (Batch::default(), 0, true);
        loop {
            while more && scan.pending.len() < KNOWN {
                more = self.step(place.mailbox, &mut walk, &mut batch, place.owner);
                let mut from = 0;
                while from < batch.len() {
                    let to = batch.len().min(from + slice);
                    if self.ask_index(&mut scan, place, &batch, from..to, &mut hit).is_break() {
                        return Ok(scan.unread);
                    }
                    asked += (to - from) * (program.keys() + 1);
                    from = to;
                    if asked >= TURN {
                        self.rest(&mut scan.rests).await?;
                        asked = 0;
                    }
                }
            }
            let message = match scan.pending.pop_front() {
                None if more => continue,
                None => return Ok(scan.unread),
                Some(Some(message)) => message,
                Some(None) => {
                    let Some(message) = scan.reader.take_next() else { return Ok(scan.unread) };
                    if !self.ask_message(&mut scan, place, &message).await? {
                        continue;
                    }
                    message
                }
            };
            if hit(message.entry()).is_break() {
                return Ok(scan.unread);
            }
        }
    }

    /// Yields to other sessions.
    async fn rest(&self, rests: &mut Rests) -> Result<(), Gone> {
        breathe().await;
        self.still_there(&mut rests.vigil)
    }

    fn ask_index(
        &self,
        scan: &mut Scan<'_>,
        place: Place<'_>,
        batch: &Batch,
        range: std::ops::Range<usize>,
        hit: &mut impl FnMut(Entry<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let (selected, account) = (self.selected.borrow(), place.owner.account.borrow());
        let (Some(selected), Some(mailbox)) = (&*selected, account.mailbox(place.mailbox)) else {
            return ControlFlow::Break(());
        };
        let known = scan.program.known(mailbox.keywords(), &selected.shown);
        for at in range {
            let entry = batch.entry(at);
            match scan.program.by_index(entry, &known) {
                Some(false) => {}
                Some(true) if scan.pending.is_empty() => hit(entry)?,
                Some(true) => scan.pending.push_back(Some(batch.one(at))),
                None => {
                    scan.pending.push_back(None);
                    scan.reader.extend(std::iter::once(batch.one(at)));
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Whether a message matches that the index cannot decide.
    async fn ask_message(
        &self,
        scan: &mut Scan<'_>,
        place: Place<'_>,
        message: &Found,
    ) -> Result<bool, Gone> {
        let mut answers = {
            let (selected, account) = (self.selected.borrow(), place.owner.account.borrow());
            let (Some(selected), Some(mailbox)) = (&*selected, account.mailbox(place.mailbox))
            else {
                return Ok(false);
            };
            let known = scan.program.known(mailbox.keywords(), &selected.shown);
            scan.program.answers(message.entry(), &known)
        };
        match self.ask_octets(scan, message, &mut answers).await {
            Ok(fits) => Ok(fits),
            Err(trouble) => scan.unread.note("SEARCH", trouble).map(|()| false),
        }
    }

    async fn ask_octets(
        &self,
        scan: &mut Scan<'_>,
        message: &Found,
        answers: &mut Answers,
    ) -> Result<bool, Trouble> {
        let (program, day) = (scan.program, message.entry().date().date());
        let size = message.entry().size();
        // A key answered by the index costs about as much as 64 octets.
        let mut work = MESSAGE + 64 * program.keys() as u64;
        if program.cost() == Cost::Header || program.has_header_first() || size > LARGE {
            let length = header_length(&mut scan.reader, message, size).await?;
            let cost = length * program.field_strings();
            work += cost;
            let fits = if length > LARGE {
                self.ask_endless_header(scan, message, length, answers).await?
            } else if cost > SEARCH_STEP {
                let header = scan.reader.start(message, length, &mut scan.octets).await?;
                let header = header.to_vec();
                self.ask_long_header(scan, header, day, answers).await?
            } else {
                let header = scan.reader.start(message, length, &mut scan.octets).await?;
                program.by_header(header, day, answers)
            };
            if fits.is_some() || program.cost() == Cost::Header {
                if scan.rests.are_due_after(work) {
                    self.rest(&mut scan.rests).await?;
                }
                return Ok(fits.unwrap_or(false));
            }
        }
        work += size.saturating_mul(program.strings());
        if size > LARGE {
            return self.ask_stream(scan, message, answers).await;
        }
        if work > 2 * SEARCH_STEP {
            return self.ask_beside(scan, message, std::mem::take(answers)).await;
        }
        let octets = scan.reader.start(message, size, &mut scan.octets).await?;
        let mut all = u64::MAX;
        let fits = program.by_whole(octets, day, answers, &mut all).unwrap_or(false);
        if scan.rests.are_due_after(work) {
            self.rest(&mut scan.rests).await?;
        }
        Ok(fits)
    }

    /// Evaluates the header keys on the offload pool.
    pub(super) async fn ask_long_header(
        &self,
        scan: &mut Scan<'_>,
        header: Vec<u8>,
        day: Date,
        answers: &mut Answers,
    ) -> Result<Option<bool>, Trouble> {
        let (program, mut known) = (scan.program.clone(), std::mem::take(answers));
        let work = self.home.offload.run(self.user_name(), move || {
            let fits = program.by_header(&header, day, &mut known);
            (fits, known)
        });
        let fits;
        (fits, *answers) = self.watch(&mut scan.rests.vigil, work).await??;
        Ok(fits)
    }

    /// Evaluates many strings on the offload pool, in pieces.
    async fn ask_beside(
        &self,
        scan: &mut Scan<'_>,
        message: &Found,
        mut answers: Answers,
    ) -> Result<bool, Trouble> {
        let (offload, user) = (&self.home.offload, self.user_name());
        let (size, day) = (message.entry().size(), message.entry().date().date());
        let mut octets = std::mem::take(&mut scan.octets);
        scan.reader.copy(message, 0..size, &mut octets).await?;
        loop {
            let program = scan.program.clone();
            let work = offload.run(user, move || {
                let mut work = SEARCH_PIECE;
                let fits = program.by_whole(&octets, day, &mut answers, &mut work);
                (fits, octets, answers)
            });
            let fits;
            (fits, octets, answers) = self.watch(&mut scan.rests.vigil, work).await??;
            if let Some(fits) = fits {
                scan.octets = octets;
                return Ok(fits);
            }
            self.still_there(&mut scan.rests.vigil)?;
        }
    }

    /// The last `wanted` messages among these that match, or all if there are fewer.
    pub(super) async fn scan_last(
        &self,
        program: &Arc<Program>,
        place: Place<'_>,
        uids: Vec<UidRange>,
        wanted: u32,
    ) -> Result<(Vec<UidRange>, Unread), Gone> {
        let mut left = program.within(uids);
        let (mut last, mut unread) = (Vec::new(), Unread::default());
        let mut step = wanted.saturating_mul(2).max(LAST);
        while !left.is_empty() && UidRange::count(&last) < wanted {
            let before = UidRange::count(&left).saturating_sub(step);
            let mut found = Vec::new();
            let among = UidRange::part(&left, before + 1, u32::MAX);
            unread += self
                .scan(program, place, among, |entry| {
                    UidRange::push(&mut found, entry.uid());
                    ControlFlow::Continue(())
                })
                .await?;
            found.append(&mut last);
            last = found;
            left = UidRange::part(&left, 1, before);
            step = step.saturating_mul(4);
        }
        let all = UidRange::count(&last);
        Ok((UidRange::part(&last, all.saturating_sub(wanted) + 1, all), unread))
    }

    /// Calls `visit` for each of these messages with its header, or with the fields that SORT and
    /// THREAD read of a long one. The header is empty when it is not `wanted` or cannot be read.
    pub(super) async fn headers(
        &self,
        place: Place<'_>,
        uids: Vec<UidRange>,
        wanted: bool,
        mut visit: impl FnMut(Entry<'_>, &[u8]) -> ControlFlow<()>,
    ) -> Result<Unread, Gone> {
        let (mut walk, mut batch) = (Walk::new(uids, None), Batch::default());
        let mut reader = self.home.reader(HEAD);
        let (mut headers, mut unread, mut more) = (Headers::default(), Unread::default(), true);
        let mut rests = Rests::new();
        loop {
            while more && reader.waiting() < KNOWN {
                more = self.step(place.mailbox, &mut walk, &mut batch, place.owner);
                if wanted {
                    reader.extend(batch.found());
                } else if batch.iter().any(|(_, entry)| visit(entry, &[]).is_break()) {
                    return Ok(unread);
                }
                if walk.steps().is_multiple_of(64) {
                    self.rest(&mut rests).await?;
                }
            }
            let Some(message) = reader.take_next() else { return Ok(unread) };
            let header = match self.digest(&mut reader, &message, &mut headers, &mut rests).await {
                Ok(header) => header,
                Err(trouble) => {
                    unread.note("SORT or THREAD", trouble)?;
                    &[]
                }
            };
            // Parsing a header costs ten times as much as searching it for a string.
            let work = MESSAGE + 10 * header.len() as u64;
            if visit(message.entry(), header).is_break() {
                return Ok(unread);
            }
            if rests.are_due_after(work) {
                self.rest(&mut rests).await?;
            }
        }
    }
}
