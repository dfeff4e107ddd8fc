//! Mistakes that can be made on purpose, in unit tests only: the simulation has to notice each.

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// What was written counts as durable before the fdatasync.
    OkBeforeSync,
    /// Recovery pays no attention to durable watermarks.
    WatermarkIgnored,
    /// Other sessions see a batch when it is written, not when it is durable.
    ShownBeforeDurable,
    /// The checksums of records are not compared.
    FooterUnchecked,
    /// An fdatasync that failed is tried again.
    SyncRetried,
    /// A lease goes back while its write is still under way.
    LeaseReusedEarly,
    /// Records of an unfinished batch are not kept within reach of recovery.
    NothingHeld,
    /// Changes that a session can look up leave, and it is not known that they did.
    JournalFloorForgotten,
    /// Expunges that QRESYNC can tell leave, and it is not known that they did.
    VanishedFloorForgotten,
    /// A change is seen, and answered, when it is written, not when it is durable.
    ChangedBeforeDurable,
    /// MOVE takes messages with the flags that are seen, not with those that are written.
    MoveOfAppliedFlags,
    /// MOVE takes messages that another MOVE or EXPUNGE has written to be gone.
    MovesTogether,
    /// The commit and the expunge of a MOVE are in two frames.
    MoveInTwoFrames,
    /// MOVE leaves out the message before which a step ends.
    MoveSkipsOne,
    /// COPY does not count against the quota before it is durable.
    CopyUnclaimed,
    /// What others upload and copy does not count against the quota.
    UploadsUncounted,
    /// A message of many fragments is moved without those that are ahead in the log.
    AheadForgotten,
    /// STORE and EXPUNGE choose messages, and then wait for what others have written.
    ChangeDecidedEarly,
    /// EXPUNGE takes what is seen as marked, whatever is written about it.
    ExpungeOfApplied,
    /// A conditional STORE compares mod-sequences that are seen, not those that are written.
    ConditionOfApplied,
    /// STORE and EXPUNGE end after the first step that changes something.
    ChangeInPart,
    /// STORE and EXPUNGE leave out the message before which a step ends.
    StepSkipsOne,
    /// STORE and EXPUNGE do not wait for the disk.
    ChangeUnawaited,
    /// A mailbox that is being deleted takes mail.
    DyingTakesMail,
    /// HIGHESTMODSEQ is told as if no EXPUNGE waited that is below it.
    HighestOverExpunge,
    /// A checkpoint covers a batch of which only a part has been taken in.
    CheckpointAmidBatch,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 26] = [
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
    ];
}

/// Whether to make it. Never, but where the simulation says so.
#[cfg(not(test))]
#[must_use]
pub const fn made(_: Fault) -> bool {
    false
}

#[cfg(test)]
pub use super::simulation::made;
