//! # Durability
//!
//! ## What an OK promises
//!
//! `OK [APPENDUID ...]` is sent after the fdatasync that covers every octet of the batch, its
//! commit record, and every frame of this log before it, has returned. From then on the messages
//! are there: after kill -9, after a panic of the kernel, after a power loss, as long as the disk
//! keeps what it said it had written.
//!
//! The same holds for every other command that changes something: CREATE, DELETE, RENAME,
//! SUBSCRIBE, UNSUBSCRIBE, STORE, EXPUNGE, COPY and MOVE.
//!
//! A batch is atomic. A connection that breaks, a `{0}` that cancels, a disk that is full, a power
//! loss: all messages of the APPEND are there, or none. So it is with the messages of a COPY. Of a
//! MOVE each message is in one of the two mailboxes at any moment, never in both and never in none;
//! a large MOVE may end half way, and then says which messages have moved.
//!
//! A copy is no second copy of the octets: both messages name the same ones.
//!
//! UIDs are given when the commit record is composed, in the order of the log. Other sessions see a
//! batch when it is durable, not before: nobody reads mail that a power loss could still take back.
//!
//! To put a million messages into their mailbox takes a tenth of a second. It is done in turns of
//! some 16,384 messages, between which other sessions go on; what they see is none of the batch
//! until all of it is there. Changes that become durable behind the batch become visible behind it,
//! and no checkpoint begins meanwhile.
//!
//! ## Sessions that race
//!
//! What a record says is true at the moment it is written. A session that wants to change messages
//! waits for memory and for room in the log, and others go on meanwhile; so it decides only when
//! there is nothing left to wait for. In one step, in which no other session gets a turn, it looks
//! at the messages as the log has them (what is durable, and what was written and is not yet
//! durable), composes the record, and writes it. Hence:
//!
//! - EXPUNGE takes out a message that has `\Deleted` when its record is written, and no other.
//! - STORE with UNCHANGEDSINCE reports every message that changed before its record was written.
//! - A message that moves has in its new mailbox the flags it had when the move was written. One
//!   that another session has moved or expunged before is not moved.
//!
//! STORE, EXPUNGE and MOVE of many messages are many such steps, each of up to 16,384 messages, in
//! the order of UIDs. Each step is whole, and each judges its messages anew. When there is no room
//! for the next one the command ends with NO, which says up to which UID it was carried out. To
//! hold the mailbox still instead would make every other session wait for as long as it takes to
//! write a million changes.
//!
//! COPY is all or nothing (RFC 3501 section 6.4.7), and may need many frames to name its messages
//! before the one that commits them. So while it is written no other session of the account changes
//! messages: a few milliseconds, a fraction of a second for a million.
//!
//! ## What it does not promise
//!
//! - There is one copy. A disk that loses what it acknowledged loses mail; mailrace notices by the
//!   checksums and says so.
//! - Without an OK nothing is known. When a connection breaks after the last literal, the batch may
//!   be there in full. A client that sends it again gets it twice.
//! - A file system or controller that answers fdatasync before the data is on stable storage breaks
//!   the promise for every program, and for this one.
//!
//! ## How it is kept
//!
//! Each reactor appends *frames* to its log. A frame is one write of a multiple of 4 KiB, with a
//! header that has its log sequence number (LSN), its length, a checksum, and the *durable
//! watermark*: the LSN that was known to be durable when this frame was composed.
//!
//! Commits are grouped. While one fdatasync runs, batches that come to their end wait for the next
//! one, which serves them all. Writes go on meanwhile. Under load there is far less than one
//! fdatasync for each batch; a lone client pays one for each.
//!
//! Segments are made before they are needed, at their full size, and written over with zeros once.
//! Allocating alone is not enough: the first write into space that is allocated but unwritten
//! changes the file system's own records, and the fdatasync after it has to wait for the journal.
//! The measurement is in `tuning/README.md`. When mail comes in faster than segments can be
//! prepared, one that is merely allocated is used; a counter tells how often.
//!
//! The segment's name in its folder is synced before the first frame in it is acknowledged. So are
//! the names of the folders, up to the first that was there before. When a log moves to the next
//! segment, the old one is synced whole before anything in the new one is acknowledged.
//!
//! ## After a crash
//!
//! The log is read from the last checkpoint to its first invalid frame: one whose checksum, LSN or
//! place in the log is wrong. Since an OK waits for all smaller LSNs, everything acknowledged lies
//! before that frame. What lies behind was never acknowledged, and is cut off.
//!
//! Unless it was. If a frame behind the invalid one carries a durable watermark above it, then the
//! invalid frame had been durable, may have been acknowledged, and is damaged. So it is when a
//! message does not have its checksum and lies in frames that a watermark covers. mailrace does not
//! start then. It names file, offset and messages, and changes nothing: what to do is for a person
//! to decide, with a backup at hand. One kind of damage is reported and stops nothing: octets of
//! messages that were expunged, which no mailbox names any more.
//!
//! Frames of a batch that never got its commit record are dead space. Nothing points at them.
//!
//! ## Starting with damage
//!
//! `mailrace serve --quarantine` starts although acknowledged data is damaged, serves what is
//! sound, and lists the rest: see [operations](super::operations). It follows these rules.
//!
//! **Octets of a message are wrong.** Its records are whole, so its size, flags and dates are
//! listed. Every command that needs its octets gets `NO [CORRUPTION]` (RFC 5530), even when the
//! part it asks for may be sound: the checksum covers the whole message. COPY refuses it; MOVE and
//! EXPUNGE do not need the octets.
//!
//! **A frame is damaged**, its header or one of its records. Recovery looks for the next whole
//! frame of the log, in the same segment or the next one, and goes on there. The LSNs tell how many
//! frames are lost; the changes that they held are lost with them. A frame behind the hole is sound
//! by itself: its header and records have their own checksums, and its salt says that this log
//! wrote it. Of a batch that reaches over the hole, the messages before and behind it are served
//! under their own UIDs, and the others are listed as lost. Octets that a COPY refers to are
//! compared with their checksum, because nothing may have done so before.
//!
//! **A segment is missing** or its header is damaged. A missing one is a hole like any other. A
//! damaged header costs nothing when the frames behind it are whole: they say which log they are
//! of.
//!
//! **The catalog is damaged.** It gets another name, and is rebuilt from the segments.
//!
//! What the lost frames held is unknown, so a client may know more than the server. It may have
//! seen a UID, a mod-sequence, a flag or an expunge that the server never heard of:
//!
//! - Every mailbox of every account whose log has a hole gets a new UIDVALIDITY, so clients forget
//!   what they know and fetch it again. Without that, expunged mail that is back, or a flag that is
//!   lost, would never be noticed. Reactors own accounts by a hash, so which accounts a log held is
//!   known; where a hole belongs to no known log, it is all of them.
//! - UIDs and mod-sequences that may have been given in the hole are not given again: UIDNEXT and
//!   HIGHESTMODSEQ are raised by the most that so many octets of records can have given. Should the
//!   frames come back from a backup, mail that came since still fits behind them. The bound for a
//!   hole of unknown size is 16,777,216; beyond it only the new UIDVALIDITY keeps UIDs apart.
//! - The new UIDVALIDITY is above the clock, and above any that the hole can have given. A wrong
//!   clock is not covered, as elsewhere.
//! - A mailbox whose creation is lost, and with it its name, is there as `Recovered E-N`, once a
//!   later frame brings mail into it. One whose name a later CREATE or RENAME takes steps aside in
//!   the same way.
//! - What cannot be known is not made up. A mailbox that was created and filled inside the hole is
//!   gone. Mail that was expunged there is back. A mailbox that was deleted there is back.
//!
//! Nothing that is damaged is changed: no frame is overwritten, and no file cut within the log,
//! removed or used again. Only what stands behind the end of a log and never was acknowledged is
//! cut off, as at any start, because the next epoch has to find it gone. New mail goes into new
//! segments of the new epoch, with numbers above those of all files that anything refers to.
//!
//! The catalog remembers the damage, because its positions move past it. A start without the flag
//! fails as long as it is there. A message leaves the list when its octets are whole again or it is
//! expunged from every mailbox. A hole leaves it only with the catalog: restore the segment, delete
//! `catalog.redb`, and the next start reads everything again. If a start is interrupted behind a
//! hole, the catalog it leaves is discarded and rebuilt.
//!
//! ## When the disk fails
//!
//! A failed fdatasync is never tried again. The kernel may have dropped the dirty pages and would
//! answer the second call with success, having written nothing. The log is poisoned instead:
//! sessions on it end with BYE, nothing is acknowledged any more, and the next start reads from the
//! disk what is really there. A command that was under way gets no answer, neither OK nor NO: it
//! was carried out or not, but whole.
//!
//! A disk that is full is not a failure. It is a tagged NO, nothing was done, and service goes on.
//! Nor is a lack of descriptors. Frames that change or remove what is there go to segments that
//! were held back for them; those are segments like any other, in the chain of their log.
//!
//! ## The catalog
//!
//! `catalog.redb` holds accounts, mailboxes and entries as of a position in the log, and that
//! position. It is written by a checkpoint in the background, in one transaction. It may lag; it
//! may be deleted while no server runs. What it lacks is read from the log.
//!
//! ## On which disks and file systems
//!
//! - ext4 and XFS with barriers, as they are by default: it holds. O_DIRECT, and an fdatasync that
//!   sends the disk a flush.
//! - ext4 without a journal: it holds for mail in segments that are in use. A crash amid a change
//!   of the file system's own records, such as a new segment's name, is for fsck.
//! - Mounted with `nobarrier`, on a disk whose cache nothing guards: it does not hold.
//! - Btrfs and ZFS: it should hold, and is not tested.
//! - File systems without O_DIRECT (tmpfs, some overlays, FUSE): as they keep fdatasync. That
//!   segments go through the page cache is said once at start.
//! - NFS and CIFS: not tested, and not advised.
//! - Disks with power loss protection: it holds, and an fdatasync costs little. Without, it holds
//!   if the disk obeys a flush; `tuning/README.md` says how to look.
//! - Controllers with a cache: it holds if the cache has a battery, or is written through.
//!
//! ## What is assumed of the medium
//!
//! 1. What a returned fdatasync covers survives a power loss. This is all that an OK needs.
//! 2. What no fdatasync covers may survive in any part: any subset of its sectors of 512 octets, in
//!    any order, each with any of the contents written to it since the last fdatasync. Nothing is
//!    assumed of the order of writes, and nothing depends on a sector being whole.
//! 3. A name is durable when its folder was synced. Of names that were not, later changes may be
//!    lost without earlier ones.
//! 4. After an fdatasync that failed, octets that were read back before may be others now. Reading
//!    after a restart shows what the disk has: recovery has the kernel forget the pages of segments
//!    before it reads them.
//! 5. What was durable may rot. Then a checksum is wrong: of the frame's header, of a record, of a
//!    message. 64 bits guard headers and records, 128 bits each message; these checksums find
//!    accidents, they are no defence against somebody who can write to the disk.
//!
//! ## What each test proves
//!
//! - The simulation (`src/simulation/`): real is the server's code above the ring, sessions,
//!   ingestion, log, recovery, index and redb; network, disk, clock and threads are made up out of
//!   one seed. It shows that assumptions 1 to 5 are enough: whatever subset survives, at whatever
//!   step, what was acknowledged or shown is there, octet for octet and with its flags; no batch in
//!   part; no UID twice; leases come back; nothing stands still. It is itself shown to notice
//!   two dozen mistakes, which `tests/README.md` lists.
//! - `tests/model/log`: the log and recovery on a disk that tears, at each write.
//! - `tests/crash`: the binary, the kernel, ext4 and XFS; made up are the moment of the end and the
//!   disk behind a loop device. kill -9 at any moment, power loss as a file system sees it, failing
//!   and full disks, rot, and starts that go past it.
//! - `tests/model/fuzz`: nothing that comes from a client or the disk makes parsers, codecs and
//!   recovery panic, hang or contradict themselves.
//! - `tests/abuse`, `tests/model`, `tests/server/sessions`: the binary on real sockets gives the
//!   same answers; memory, quotas and leases are as before after hours, and after abuse.
//!
//! `tests/README.md` has the commands, `benches/RECORD.md` the record of the long runs.
//!
//! ## What is not proven
//!
//! - The ring itself: io_uring, tokio-uring and `src/reactor/ring` are not in the simulation. Their
//!   tests are few, and those of whole servers.
//! - Real power loss on real disks. A loop device loses what the file system still held, not what a
//!   disk's own cache did.
//! - The end of a log. The last frames before a crash are not covered by a watermark until the
//!   next frame is written, or the catalog has read them. If they rot in just that time, or their
//!   segment is deleted while there is no catalog, a start takes the log to end before them, and
//!   says nothing.
//! - Two damages at once that fit each other, such as a segment and all that proves it put back
//!   from an old copy. Restore a data folder whole.
//! - The catalog against rot: redb finds some of it when it opens the file and some when it reads.
//!   It can always be deleted. An fsync of the catalog that failed is tried again; should the
//!   kernel have dropped its pages, that is rot of the catalog.
//! - Several reactors in parallel: in the simulation they take turns. What they share are channels
//!   and counters.
//! - Clocks that go back: internal dates and UIDVALIDITY take what the clock says, but never give
//!   one UIDVALIDITY twice in an account.
