//! Relocating: what lives in a segment is written again at the end of the log.
//!
//! ```text
//! mailboxes with mail in the segment ─▶ messages ─read, checked─▶ frames ─durable─▶ records
//! ```
//!
//! The octets are durable before the record that names them is composed: recovery does not check
//! the octets of a record that names old mail. Messages of many mailboxes share frames, and wait
//! for the disk together.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use super::pace::Pace;
use super::packing::Packing;
use super::steps::{CleanError, Emptied};
use crate::home::{Home, Owner, Page, Pinned, ROOM, Room};
use crate::index::Resident;
use crate::reactor::fault::{Fault, made};
use crate::reactor::{LeaseClass, sleep, thresholds};
use crate::store::{
    Checksum, Fragments, LogError, MailboxId, Purpose, Reader, Record, Relocated, SegmentId,
    Stored, Unnamed, sealed_len,
};
use imap::types::Uid;

/// Mailboxes read from the catalog at a time, and mailboxes named together.
const MAILBOXES: usize = 256;

/// Messages that are named together.
const STEP: usize = 4096;

/// Octets that are written again before records name them. Until then they are lost if the server
/// ends.
const STEP_OCTETS: usize = 32 << 20;

/// Bytes of chunks that are kept in memory for messages to name. In a mailbox with few messages in
/// the segment, each may need a chunk of its own.
const BROUGHT: usize = 2 << 20;

/// New places that are remembered, for copies of the same messages. A copy beyond that is written
/// again by itself.
const REMEMBERED: usize = 1 << 14;

/// The work on one segment.
pub(super) struct Relocating<'a> {
    home: &'a Rc<Home>,
    segment: SegmentId,
    purpose: Purpose,
    pace: &'a Pace,
    done: Emptied,
    packing: Packing,
    /// What is packed is dead unless records name it.
    unnamed_octets: Unnamed,
    /// Mailboxes with messages to name, in the order of `packing`.
    waiting: Vec<Waiting>,
    /// Messages and octets packed since the last records.
    unnamed: (usize, usize),
    /// Bytes of chunks brought into memory since then.
    brought: usize,
    /// New places of messages of the current account, by their old beginnings.
    moved: HashMap<(SegmentId, u32), Fragments>,
}

/// A mailbox with messages to name.
struct Waiting {
    owner: Rc<Owner>,
    mailbox: MailboxId,
    /// Keeps the chunks of its messages in memory.
    _pinned: Pinned,
    /// Messages whose new place is known, because another mailbox has a copy.
    known: Vec<Relocated>,
    /// UIDs and old beginnings of the messages in `packing`, in order.
    packed: Vec<(Uid, (SegmentId, u32))>,
}

impl<'a> Relocating<'a> {
    pub(super) fn new(
        home: &'a Rc<Home>,
        segment: SegmentId,
        purpose: Purpose,
        pace: &'a Pace,
    ) -> Relocating<'a> {
        Relocating {
            home,
            segment,
            purpose,
            pace,
            done: Emptied::default(),
            packing: Packing::new(),
            unnamed_octets: home.log.0.writes_unnamed(),
            waiting: Vec::new(),
            unnamed: (0, 0),
            brought: 0,
            moved: HashMap::new(),
        }
    }

    /// Relocates everything that accounts of this reactor have in the segment.
    pub(super) async fn run(mut self) -> Result<Emptied, CleanError> {
        if self.home.log.0.is_using(self.segment) {
            return Err(CleanError::InUse);
        }
        let mut after: (Box<str>, MailboxId) = ("".into(), MailboxId(0));
        let mut account: Box<str> = "".into();
        loop {
            let rows = self.home.catalog.live_in(self.segment, after.clone(), MAILBOXES).await?;
            let Some(last) = rows.last() else { break };
            after = (last.account.clone(), last.mailbox);
            for row in &rows {
                if self.home.reactor_of(&row.account) != self.home.number {
                    continue;
                }
                if row.account != account {
                    account = row.account.clone();
                    self.moved.clear();
                }
                let owner = self.home.owner_named(&account).await?;
                self.mailbox(&owner, row.mailbox).await?;
            }
        }
        let owner = self.waiting.first().map(|waiting| waiting.owner.clone());
        if let Some(owner) = owner {
            let mut reader = self.home.reader(u64::MAX);
            self.name(&owner, &mut reader).await?;
        }
        if self.done.stuck == 0 {
            self.unnamed_octets.named();
        }
        Ok(self.done)
    }

    async fn mailbox(&mut self, owner: &Rc<Owner>, mailbox: MailboxId) -> Result<(), CleanError> {
        let mut from = Some(Uid(1));
        while let Some(first) = from {
            // Pinned before its chunks are read: see `Mailbox::bring`. A mailbox that was deleted
            // has nothing in the segment.
            let Some(pinned) = owner.pin(mailbox) else { return Ok(()) };
            // Made before the places are looked up.
            let mut reader = self.home.reader(u64::MAX);
            let found = self.home.catalog.residents(self.segment, mailbox, first).await?;
            from = found.next;
            self.brought += found.chunks.iter().map(|(_, chunk)| chunk.octets()).sum::<usize>();
            if let Some(mailbox) = owner.account.borrow_mut().mailbox_mut(mailbox) {
                mailbox.bring(found.chunks).map_err(CleanError::Rot)?;
            }
            if !found.messages.is_empty() {
                self.messages(owner, (mailbox, pinned), &mut reader, found.messages).await?;
            }
            if self.brought >= BROUGHT {
                // Then nothing pins them any more, and a checkpoint lets them go.
                self.name(owner, &mut reader).await?;
            }
        }
        Ok(())
    }

    async fn messages(
        &mut self,
        owner: &Rc<Owner>,
        (mailbox, _pinned): (MailboxId, Pinned),
        reader: &mut Reader<'_, Resident>,
        messages: Vec<Resident>,
    ) -> Result<(), CleanError> {
        let is_known = |message: &Resident| self.moved.contains_key(&message.begins_at());
        let (known, rest): (Vec<_>, Vec<_>) = messages.into_iter().partition(is_known);
        let known = known.into_iter().map(|message| Relocated {
            uid: message.uid,
            fragments: self.moved[&message.begins_at()].clone(),
        });
        let (known, owner_too, packed) = (known.collect(), owner.clone(), Vec::new());
        self.waiting.push(Waiting { owner: owner_too, mailbox, _pinned, known, packed });
        reader.extend(rest.into_iter());
        while let Some(message) = reader.take_next() {
            self.take(owner, reader, &message).await?;
            let (messages, octets) = self.unnamed;
            let most = STEP.min(thresholds().step_messages);
            if octets >= STEP_OCTETS || messages >= most {
                self.name_so_far(owner, reader).await?;
            }
        }
        if self.waiting.len() >= MAILBOXES {
            self.name(owner, reader).await?;
        }
        Ok(())
    }

    /// Packs a message of the last mailbox in `waiting`.
    async fn take(
        &mut self,
        owner: &Rc<Owner>,
        reader: &mut Reader<'_, Resident>,
        message: &Resident,
    ) -> Result<(), CleanError> {
        let (mut new, mut checksum) = (Relocated::new(message.uid), Checksum::default());
        let (mut at, size) = (0, message.size());
        while at < size {
            let octets = match reader.piece(message, at..size).await {
                Ok(octets) => octets,
                Err(error) => {
                    self.stays(&error.to_string());
                    return Ok(());
                }
            };
            let taken = self.packing.add(&mut new, octets);
            checksum.update(&octets[..taken]);
            at += taken as u64;
            if self.packing.is_full() {
                let home = self.home;
                let written = self
                    .packing
                    .write((home, owner), self.purpose, || reader.rest(), Some(&mut new))
                    .await?;
                self.rest_after(written, reader).await;
            }
        }
        if let Err(error) = checksum.verify(message) {
            self.stays(&error.to_string());
            return Ok(());
        }
        self.unnamed = (self.unnamed.0 + 1, self.unnamed.1 + size as usize);
        self.done.octets += size;
        let waiting = self.waiting.last_mut().expect("its mailbox waits");
        waiting.packed.push((message.uid, message.begins_at()));
        self.packing.end(new);
        Ok(())
    }

    fn stays(&mut self, why: &str) {
        self.done.stuck += 1;
        tracing::error!("a message stays in segment {}: {why}", self.segment);
    }

    /// Rests after a frame, without the leases that others may need.
    async fn rest_after(&mut self, written: usize, reader: &mut Reader<'_, Resident>) {
        self.done.written += written as u64;
        let mut octets = written;
        while let Some(pause) = self.pace.pause_after(std::mem::take(&mut octets)) {
            reader.rest();
            sleep(pause).await;
        }
    }

    /// Names what was packed, of a mailbox that is not finished.
    async fn name_so_far(
        &mut self,
        owner: &Rc<Owner>,
        reader: &mut Reader<'_, Resident>,
    ) -> Result<(), CleanError> {
        let mailbox = self.waiting.last().expect("its mailbox waits").mailbox;
        // The next messages of the mailbox need their chunks.
        let pinned = owner.pin(mailbox);
        self.name(owner, reader).await?;
        if let Some(_pinned) = pinned {
            let (owner, known, packed) = (owner.clone(), Vec::new(), Vec::new());
            self.waiting.push(Waiting { owner, mailbox, _pinned, known, packed });
            return Ok(());
        }
        // The mailbox was deleted meanwhile: the rest of it is dead.
        while reader.take_next().is_some() {}
        Ok(())
    }

    /// Names the new places of everything that was packed, once it is durable.
    async fn name(
        &mut self,
        owner: &Rc<Owner>,
        reader: &mut Reader<'_, Resident>,
    ) -> Result<(), CleanError> {
        let written =
            self.packing.write((self.home, owner), self.purpose, || reader.rest(), None).await?;
        self.rest_after(written, reader).await;
        // Whoever waits for a lease must hold none.
        reader.rest();
        (self.unnamed, self.brought) = ((0, 0), 0);
        if !made(Fault::RelocatedBeforeDurable) {
            self.home.log.durable().await?;
        }
        let mut placed = std::mem::take(&mut self.packing.placed).into_iter();
        let account = owner.name();
        let (mut still, mut locked, mut pinned) = (Vec::new(), None, Vec::new());
        for waiting in std::mem::take(&mut self.waiting) {
            let Waiting { owner, mailbox, _pinned, known, packed } = waiting;
            let mut messages = known;
            let is_current = owner.name() == account;
            for (uid, old) in packed {
                let new = placed.next().expect("every packed message has its new place");
                assert_eq!(new.uid, uid, "messages are placed in the order in which they came");
                if is_current {
                    if self.moved.len() == REMEMBERED {
                        self.moved.clear();
                    }
                    self.moved.insert(old, new.fragments.clone());
                }
                messages.push(new);
            }
            messages.sort_unstable_by_key(|message| message.uid);
            if locked.as_ref().is_none_or(|(locked, _)| !Rc::ptr_eq(locked, &owner)) {
                // A copy under way may name the old places in frames to come. It is waited for,
                // and the next one begins when the new places are known.
                still.extend(locked.take());
                let lock = match made(Fault::RelocatedAmidCopy) {
                    true => Arc::default(),
                    false => owner.changing.clone(),
                };
                let lock = match lock.clone().try_write_owned() {
                    Ok(lock) => lock,
                    Err(_) => {
                        // Other accounts do not wait for this one.
                        self.home.log.durable().await?;
                        still.clear();
                        lock.write_owned().await
                    }
                };
                locked = Some((owner.clone(), lock));
            }
            self.record(&owner, mailbox, messages).await?;
            pinned.push(_pinned);
        }
        self.home.log.durable().await?;
        drop((still, locked, pinned));
        let next = self.home.log.0.writes_unnamed();
        let named = std::mem::replace(&mut self.unnamed_octets, next);
        // A message that stays may have left a part of its copy.
        if self.done.stuck == 0 {
            named.named();
        }
        Ok(())
    }

    /// Writes the records for messages of a mailbox.
    async fn record(
        &mut self,
        owner: &Rc<Owner>,
        mailbox: MailboxId,
        mut messages: Vec<Relocated>,
    ) -> Result<(), CleanError> {
        let (ledger, account) = (self.home.ledger(owner), owner.name());
        let record = |messages| Record::Relocate { account: account.clone(), mailbox, messages };
        let room = ROOM.min(thresholds().records_room);
        while !messages.is_empty() {
            // Records are padded to eight octets.
            let (mut octets, mut segments) =
                (record(Vec::new()).encoded_len() + 8, BTreeSet::new());
            let fits = messages.iter().take_while(|message| {
                octets += message.len_among(&mut segments);
                octets <= room
            });
            let fits = fits.count();
            if fits == 0 {
                let pieces = messages.remove(0).fragments.len();
                self.stays(&format!("it would have {pieces} pieces, more than a record can name"));
                continue;
            }
            let rest = messages.split_off(fits);
            let now = std::mem::replace(&mut messages, rest);
            self.done.messages += now.len() as u64;
            let now = record(now);
            let length = sealed_len(0, now.encoded_len());
            self.done.written += length as u64;
            let room = Room::filling(LeaseClass::holding(length));
            let room = room.purpose(self.purpose).uncharged();
            let compose = |page: &mut Page<'_>| {
                page.change(now);
                Ok::<_, LogError>(())
            };
            ledger.write(room, compose).await?;
        }
        Ok(())
    }
}
