//! A file of the simulated disk: its content, and what a power loss could make of it.
//!
//! Each sector keeps the contents it had before each write since it was last made durable. A power
//! loss leaves one of these, or the current content.

use std::collections::BTreeMap;

use kit::Random;

/// The unit that is written completely or not at all, in bytes.
pub(super) const SECTOR: usize = 512;

const PAGE: usize = 4096;

type Sector = [u8; SECTOR];

/// The number of a write, and the content before it; `None` means zeros.
type Write = (u64, Option<Box<Sector>>);

/// What a power loss takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing: only the process ended.
    Nothing,
    /// Everything that is not durable.
    Everything,
    /// For each sector separately, any of its writes that are not durable.
    AnySectors,
    /// Everything written after some moment.
    Later,
    /// A single sector.
    OneSector,
}

#[derive(Default)]
pub(super) struct Node {
    length: u64,
    durable_length: u64,
    /// Content; `None` is a page of zeros.
    pages: Vec<Option<Box<[u8; PAGE]>>>,
    /// Writes that are not durable, by sector.
    writes: BTreeMap<u32, Vec<Write>>,
}

impl Node {
    pub fn length(&self) -> u64 {
        self.length
    }

    pub fn set_length(&mut self, length: u64) {
        self.length = length;
        let pages = (length as usize).div_ceil(PAGE);
        let shorter = pages < self.pages.len() || !(length as usize).is_multiple_of(PAGE);
        self.pages.resize_with(pages, || None);
        if shorter {
            self.blank_behind(length);
        }
    }

    /// Zeroes everything after `length`, in case the file grows again.
    fn blank_behind(&mut self, length: u64) {
        if let Some(Some(page)) = self.pages.last_mut() {
            let used = length as usize % PAGE;
            if used > 0 {
                page[used..].fill(0);
            }
        }
        let sectors = (length as usize).div_ceil(SECTOR) as u32;
        self.writes.split_off(&sectors);
    }

    /// Reads what is there; returns the number of octets.
    pub fn read(&self, offset: u64, out: &mut [u8]) -> usize {
        let end = self.length.min(offset + out.len() as u64);
        let count = end.saturating_sub(offset) as usize;
        let mut done = 0;
        while done < count {
            let at = offset as usize + done;
            let within = at % PAGE;
            let piece = (PAGE - within).min(count - done);
            match &self.pages[at / PAGE] {
                Some(page) => {
                    out[done..done + piece].copy_from_slice(&page[within..within + piece])
                }
                None => out[done..done + piece].fill(0),
            }
            done += piece;
        }
        count
    }

    /// Writes octets as write `number`.
    pub fn write(&mut self, offset: u64, octets: &[u8], number: u64) {
        let end = offset + octets.len() as u64;
        if end > self.length {
            self.set_length(end);
        }
        let mut done = 0;
        while done < octets.len() {
            let at = offset as usize + done;
            let within = at % SECTOR;
            let piece = (SECTOR - within).min(octets.len() - done);
            let sector = (at / SECTOR) as u32;
            let before = self.sector(sector).map(|sector| Box::new(*sector));
            let blank = before.is_none() && octets[done..done + piece].iter().all(|&o| o == 0);
            if !blank || self.writes.contains_key(&sector) {
                self.writes.entry(sector).or_default().push((number, before));
                let page = self.pages[at / PAGE].get_or_insert_with(|| Box::new([0; PAGE]));
                let from = at % PAGE;
                page[from..from + piece].copy_from_slice(&octets[done..done + piece]);
            }
            done += piece;
        }
    }

    fn sector(&self, sector: u32) -> Option<&Sector> {
        let at = sector as usize * SECTOR;
        let page = self.pages.get(at / PAGE)?.as_ref()?;
        page[at % PAGE..at % PAGE + SECTOR].as_array()
    }

    fn put(&mut self, sector: u32, content: Option<Box<Sector>>) {
        let at = sector as usize * SECTOR;
        let Some(page) = self.pages.get_mut(at / PAGE) else { return };
        let page = page.get_or_insert_with(|| Box::new([0; PAGE]));
        let place = &mut page[at % PAGE..at % PAGE + SECTOR];
        match content {
            Some(content) => place.copy_from_slice(&*content),
            None => place.fill(0),
        }
    }

    /// Makes writes up to `number` durable.
    pub fn synced(&mut self, number: u64) {
        self.durable_length = self.length;
        self.writes.retain(|_, writes| {
            writes.retain(|(own, _)| *own > number);
            !writes.is_empty()
        });
    }

    /// Fails an fdatasync: some of the writes up to `number` are undone, and no later fdatasync
    /// reports that.
    pub fn sync_failed(&mut self, number: u64, random: &mut Random) {
        let (all, sectors) = (random.one_in(2), std::mem::take(&mut self.writes));
        for (sector, mut writes) in sectors {
            let whole = writes.iter().all(|(own, _)| *own <= number);
            if whole && (all || random.one_in(2)) {
                let before = writes.swap_remove(0).1;
                self.put(sector, before);
            } else {
                self.writes.insert(sector, writes);
            }
        }
    }

    /// Applies a power loss to the writes that are not durable.
    pub fn lose(&mut self, loss: Loss, last: u64, random: &mut Random) {
        if loss == Loss::Nothing {
            return;
        }
        let writes = std::mem::take(&mut self.writes);
        let one = random.below(writes.len());
        let until = random.within(last.saturating_sub(40) as usize, last as usize) as u64;
        for (index, (sector, mut writes)) in writes.into_iter().enumerate() {
            let kept = match loss {
                Loss::Nothing => unreachable!("returned above"),
                Loss::Everything => 0,
                Loss::AnySectors => random.within(0, writes.len()),
                Loss::Later => writes.iter().filter(|(number, _)| *number <= until).count(),
                Loss::OneSector if index == one => random.below(writes.len()),
                Loss::OneSector => writes.len(),
            };
            if kept < writes.len() {
                let before = writes.swap_remove(kept).1;
                self.put(sector, before);
            }
        }
        if self.length != self.durable_length && (loss == Loss::Everything || random.one_in(2)) {
            self.set_length(self.durable_length);
        }
        self.durable_length = self.length;
    }

    /// Corrupts a durable sector; `false` if it contains only zeros.
    pub fn rot(&mut self, offset: u64, random: &mut Random) -> bool {
        let sector = (offset as usize / SECTOR) as u32;
        let Some(mut content) = self.sector(sector).copied() else { return false };
        if content.iter().all(|&octet| octet == 0) {
            return false;
        }
        match random.below(3) {
            0 => content.fill(0),
            1 => content.iter_mut().for_each(|octet| *octet = random.number() as u8),
            _ => content[offset as usize % SECTOR] ^= 1 << random.below(8),
        }
        self.put(sector, Some(Box::new(content)));
        true
    }
}
