//! What must not be on the disk any more.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use kit::model::Model;

use super::world::{End, World};
use crate::reactor::simulation::{Disk, Loss};
use crate::reactor::sleep;
use crate::server::{CleaningConfig, Config};

/// The beginning of the header field that tells most messages of a run apart.
const FIELD: &[u8] = b"X-Id: ";

/// Seconds after which the disk has no octets of expunged mail on a server that purges within a
/// few.
const PURGED: usize = 120;

impl World {
    /// On a server that purges, what no mailbox has goes, and nothing else.
    pub(super) fn purge(&mut self) -> Result<(), String> {
        // A damaged segment keeps its octets.
        if self.config.cleaning.purge_within.is_none() || self.rotten {
            return Ok(());
        }
        let look = Duration::from_secs(1);
        let (eager, purge_within) = (false, Some(Duration::from_secs(4)));
        let cleaning =
            CleaningConfig { look, eager, rate: None, purge_within, ..self.config.cleaning };
        let config = Config { cleaning, ..self.config.clone() };
        let end = self.on_machine(async {
            let Some(server) = self.start(config).await? else { return Ok(End::Damage) };
            for _ in 0..PURGED {
                let left = self.left();
                sleep(Duration::from_secs(1)).await;
                if left.is_none() {
                    break;
                }
            }
            self.stop(server).await
        })?;
        match (end, self.left()) {
            (End::Damage, _) => return Ok(()),
            (_, Some(what)) => return Err(format!("expunged mail stays: {what}")),
            (_, None) => {}
        }
        self.machine.disk(|disk, random| disk.lose(Loss::Everything, random));
        self.look(&self.config, &self.model).map(drop)
    }

    /// What should have gone, if anything.
    fn left(&self) -> Option<String> {
        self.machine.disk(|disk, _| dead_octets(disk, &self.config.data, &self.model.borrow()))
    }
}

/// A place in the files of the log with octets of a message that no mailbox has.
fn dead_octets(disk: &Disk, data: &Path, model: &Model) -> Option<String> {
    let classes = model.accounts.iter().flat_map(|account| &account.living);
    let octets = classes.map(|&class| &**model.contents.octets(class));
    let living: BTreeSet<u64> =
        octets.flat_map(|octets| numbers(octets).next()).map(|(_, n)| n).collect();
    for folder in ["segments", "records", "snapshot"].map(|name| data.join(name)) {
        for (name, _) in disk.list(&folder) {
            let Ok(octets) = disk.read(&folder.join(&name)) else { continue };
            let dead = numbers(&octets).find(|(_, number)| !living.contains(number));
            if let Some((at, number)) = dead {
                return Some(format!("message {number} is in {name} at {at}"));
            }
        }
    }
    None
}

/// The numbers in such fields, and where they begin.
fn numbers(octets: &[u8]) -> impl Iterator<Item = (usize, u64)> + '_ {
    memchr::memmem::find_iter(octets, FIELD).filter_map(|at| {
        let text = &octets[at + FIELD.len()..];
        let end = memchr::memmem::find(&text[..text.len().min(30)], b"\r\n\r\n")?;
        Some((at, std::str::from_utf8(&text[..end]).ok()?.parse().ok()?))
    })
}
