//! Making clients forget what they know: where frames are lost, and where the log leaves a backup
//! that was restored.

use std::collections::VecDeque;
use std::path::Path;

use redb::ReadableDatabase;

use super::{ReplayError, Replayer};
use crate::index::checkpoint::Coverage;
use crate::index::damaged::NAMES;
use crate::index::error::{CatalogError, Rot};
use crate::index::file::{CatalogFile, LEFT, META};
use crate::index::restored::{self, RESTORED, Restored, SKIPPED};
use crate::reactor::unix_seconds;
use crate::store::{Epoch, LogId, LostFrames};

/// The backups that a data folder was restored from.
pub(in crate::index) fn restores(data: &Path) -> Result<Vec<Restored>, ReplayError> {
    let named = |error| ReplayError::Restored(data.join(RESTORED), error);
    restored::read(data).map_err(named)
}

impl CatalogFile {
    /// Those of these restores whose consequences are not in the catalog.
    pub(super) fn pending(
        &self,
        restored: &[Restored],
    ) -> Result<VecDeque<Restored>, CatalogError> {
        let done = self.work(|database| {
            let found = database.begin_read()?.open_table(META)?.get(LEFT)?;
            let epoch = found.map(|epoch| u32::try_from(epoch.value())).transpose();
            Ok(epoch.map_err(|_| Rot("an epoch is too high"))?.map(Epoch))
        })?;
        Ok(restored.iter().filter(|one| Some(one.epoch) > done).copied().collect())
    }
}

impl Replayer<'_> {
    /// Makes clients resynchronise every mailbox that lost frames may have changed.
    pub(super) fn forget_lost(
        &mut self,
        holes: &[(LogId, LostFrames)],
    ) -> Result<(), CatalogError> {
        self.forget_clients(unix_seconds(), |name| {
            let lost = holes
                .iter()
                .filter(|(log, hole)| hole.logs == 0 || LogId::of_account(name, hole.logs) == *log);
            lost.map(|(_, hole)| hole.given).reduce(u32::saturating_add)
        })
    }

    /// Makes clients resynchronise every mailbox of a restored backup, before the first change that
    /// came after it. Without an epoch there is none.
    pub(super) fn leave_backups(&mut self, epoch: Option<Epoch>) -> Result<(), CatalogError> {
        let left = |one: &mut Restored| epoch.is_none_or(|epoch| one.epoch < epoch);
        while let Some(Restored { epoch, at }) = self.restored.pop_front_if(left) {
            self.checkpoint(Coverage::Replaying(self.reached.clone()))?;
            self.forget_clients(at, |_| Some(SKIPPED))?;
            self.left = Some(epoch);
            self.checkpoint(Coverage::Replaying(self.reached.clone()))?;
        }
        Ok(())
    }

    /// Makes clients resynchronise every mailbox of the accounts in the catalog for which `given`
    /// says how many UIDs may have been given.
    fn forget_clients(
        &mut self,
        now: u64,
        given: impl Fn(&str) -> Option<u32>,
    ) -> Result<(), CatalogError> {
        let mut after = String::new();
        loop {
            let names = self.catalog.names(&after, NAMES)?;
            let Some(last) = names.last() else { return Ok(()) };
            after = last.to_string();
            for name in &names {
                let Some(given) = given(name) else { continue };
                let account = self.account(name)?;
                account.forget_clients(now, given);
                let octets = account.dirty_octets();
                self.gathered += octets;
                if self.gathered >= self.gathers {
                    self.checkpoint(Coverage::Replaying(self.reached.clone()))?;
                }
            }
        }
    }
}
