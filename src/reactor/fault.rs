//! Planted faults, in unit tests only. The simulation must detect each of them.

/// A planted fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Written data counts as durable before the fdatasync.
    OkBeforeSync,
    /// Recovery ignores durable watermarks.
    WatermarkIgnored,
    /// Other sessions see a batch once it is written, before it is durable.
    ShownBeforeDurable,
    /// Checksums of records are not compared.
    FooterUnchecked,
    /// A failed fdatasync is retried.
    SyncRetried,
    /// A lease is released while its write is in flight.
    LeaseReusedEarly,
    /// Records of an unfinished batch are not kept within reach of recovery.
    NothingHeld,
    /// Changes drop out of the journal, and sessions are not told.
    JournalFloorForgotten,
    /// Expunges drop out of the QRESYNC history, and that is not recorded.
    VanishedFloorForgotten,
    /// A change is visible and answered once it is written, before it is durable.
    ChangedBeforeDurable,
    /// MOVE copies the flags that are visible, not those that are written.
    MoveOfAppliedFlags,
    /// MOVE takes messages that another MOVE or EXPUNGE has already written as gone.
    MovesTogether,
    /// The commit and the expunge of a MOVE are in two frames.
    MoveInTwoFrames,
    /// MOVE skips the message before which a step ends.
    MoveSkipsOne,
    /// COPY does not count against the quota until it is durable.
    CopyUnclaimed,
    /// Concurrent uploads and copies do not count against the quota.
    UploadsUncounted,
    /// A message of many fragments is moved without the fragments that are further ahead in the
    /// log.
    AheadForgotten,
    /// STORE and EXPUNGE select messages first, and then wait for other changes to be written.
    ChangeDecidedEarly,
    /// EXPUNGE selects by visible flags, and ignores written ones.
    ExpungeOfApplied,
    /// A conditional STORE compares visible mod-sequences, not written ones.
    ConditionOfApplied,
    /// STORE and EXPUNGE end after the first step that changes anything.
    ChangeInPart,
    /// STORE and EXPUNGE skip the message before which a step ends.
    StepSkipsOne,
    /// STORE and EXPUNGE do not wait for the disk.
    ChangeUnawaited,
    /// A mailbox that is being deleted accepts mail.
    DyingTakesMail,
    /// HIGHESTMODSEQ ignores waiting EXPUNGEs below it.
    HighestOverExpunge,
    /// A checkpoint covers a batch that has entered its mailbox only in part.
    CheckpointAmidBatch,
    /// A checkpoint leaves out what SETMETADATA has changed.
    MetadataUnsaved,
    /// A checkpoint forgets which EMAILIDs were given.
    EmailIdsForgotten,
    /// MOVE gives messages new EMAILIDs.
    EmailIdsOfMoveNew,
    /// A start applies frames that a power loss could still take away.
    TailUnsettled,
    /// A segment is left while a reader may hold places in it.
    ReaderNotAwaited,
    /// A segment is cleaned while an unfinished batch has octets in it.
    UnfinishedForgotten,
    /// A relocation is written before its octets are durable.
    RelocatedBeforeDurable,
    /// A relocation does not wait for copies that name the old places.
    RelocatedAmidCopy,
    /// Nobody looks for copies that were made while a segment was emptied.
    CopiesForgotten,
    /// A segment counts as empty as of a checkpoint from before it was sealed.
    EmptyByOldCheckpoint,
    /// A snapshot is not synced before it gets its name, and one that ends early is believed.
    SnapshotHalfBelieved,
    /// Record files go before the snapshot that has everything in them is durable.
    RecordsDroppedEarly,
    /// Record files go of which the snapshot has only the beginning.
    TailDropped,
    /// The first message of each batch does not count as living in its segment.
    LivingUncounted,
    /// What a checkpoint counted that failed, but is in the catalog, is counted again.
    CountedTwice,
    /// A start does not wait for the writes that a killed server has left in flight.
    LateWritesForgotten,
    /// A backup lacks the newest record file.
    BackupWithoutRecords,
    /// Octets of batches that were given up are not counted as dead.
    GivenUpUncounted,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Fault; 44] = [
        Fault::OkBeforeSync,
        Fault::WatermarkIgnored,
        Fault::ShownBeforeDurable,
        Fault::FooterUnchecked,
        Fault::SyncRetried,
        Fault::LeaseReusedEarly,
        Fault::NothingHeld,
        Fault::JournalFloorForgotten,
        Fault::VanishedFloorForgotten,
        Fault::ChangedBeforeDurable,
        Fault::MoveOfAppliedFlags,
        Fault::MovesTogether,
        Fault::MoveInTwoFrames,
        Fault::MoveSkipsOne,
        Fault::CopyUnclaimed,
        Fault::UploadsUncounted,
        Fault::AheadForgotten,
        Fault::ChangeDecidedEarly,
        Fault::ExpungeOfApplied,
        Fault::ConditionOfApplied,
        Fault::ChangeInPart,
        Fault::StepSkipsOne,
        Fault::ChangeUnawaited,
        Fault::DyingTakesMail,
        Fault::HighestOverExpunge,
        Fault::CheckpointAmidBatch,
        Fault::MetadataUnsaved,
        Fault::EmailIdsForgotten,
        Fault::EmailIdsOfMoveNew,
        Fault::TailUnsettled,
        Fault::ReaderNotAwaited,
        Fault::UnfinishedForgotten,
        Fault::RelocatedBeforeDurable,
        Fault::RelocatedAmidCopy,
        Fault::CopiesForgotten,
        Fault::EmptyByOldCheckpoint,
        Fault::SnapshotHalfBelieved,
        Fault::RecordsDroppedEarly,
        Fault::TailDropped,
        Fault::LivingUncounted,
        Fault::CountedTwice,
        Fault::LateWritesForgotten,
        Fault::BackupWithoutRecords,
        Fault::GivenUpUncounted,
    ];
}

/// Whether the fault is planted. Always false outside the simulation.
#[cfg(not(test))]
#[must_use]
pub const fn made(_: Fault) -> bool {
    false
}

#[cfg(test)]
pub use super::simulation::made;
