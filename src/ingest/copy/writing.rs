//! Frames of a batch whose commit comes later.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Job;
use crate::reactor::{Lease, LeaseClass};
use crate::store::{BatchId, Frame, Hold, Log, LogError, Record, sealed_len};

/// Frames of one batch that may be on their way to the disk.
const FRAMES_IN_FLIGHT: usize = 3;

/// A batch of which nothing is committed yet.
pub(super) struct Writing {
    pub batch: BatchId,
    /// Frames written so far.
    pub position: u32,
    /// Keeps them within reach of recovery until the commit is durable.
    pub hold: Option<Hold>,
    in_flight: Arc<Semaphore>,
}

impl Writing {
    pub fn new(log: &Log) -> Writing {
        let in_flight = Arc::new(Semaphore::new(FRAMES_IN_FLIGHT));
        Writing { batch: log.next_batch(), position: 0, hold: None, in_flight }
    }
}

impl Job<'_> {
    /// Writes records of a batch that is not complete. No records are no frame.
    pub(super) async fn frame(
        &self,
        writing: &mut Writing,
        records: Vec<Record>,
    ) -> Result<(), LogError> {
        if records.is_empty() {
            return Ok(());
        }
        let records_len = records.iter().map(Record::encoded_len).sum();
        let (lease, permit) = self.ready(writing, records_len).await?;
        let (stream, position) = (writing.batch, writing.position);
        let frame = Frame { lease, stream, position, payload: 0, records_len };
        let log = self.ledger.log;
        self.ledger.owner.logged(sealed_len(0, records_len));
        let (place, _) = log.write(frame, |_| records, permit);
        writing.position += 1;
        writing.hold.get_or_insert_with(|| log.hold(&place));
        Ok(())
    }

    /// Waits until a frame with such records can be written; to be done without another await.
    pub(super) async fn ready(
        &self,
        writing: &Writing,
        records_len: usize,
    ) -> Result<(Lease, OwnedSemaphorePermit), LogError> {
        let permit = writing.in_flight.clone().acquire_owned().await;
        let length = sealed_len(0, records_len);
        let lease = self.ledger.arena.lease(LeaseClass::holding(length)).await;
        self.ledger.log.ready(length).await?;
        Ok((lease, permit.expect("nobody closes the semaphore")))
    }

    /// The batch will not be committed. Whoever reads the log need not keep it in mind then; it is
    /// no harm when there is no room to say so.
    pub(super) async fn cancel(&self, mut writing: Writing) {
        if writing.position > 0 {
            let cancel = Record::Cancel { batch: writing.batch };
            let _ = self.frame(&mut writing, vec![cancel]).await;
        }
    }
}
