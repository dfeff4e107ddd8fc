//! # Durability
//!
//! ## What an OK promises
//!
//! mailrace sends `OK [APPENDUID ...]` after the fdatasync that covers every octet of the batch,
//! its commit record and every earlier frame of the same log has returned. From then on the
//! messages survive kill -9, a kernel panic and a power loss, as long as the disk keeps what it
//! reported as written.
//!
//! The same promise covers every other command that changes something: CREATE, DELETE, RENAME,
//! SUBSCRIBE, UNSUBSCRIBE, SETMETADATA, STORE, EXPUNGE, COPY and MOVE.
//!
//! A batch is atomic. After a broken connection, a cancelling `{0}`, a full disk or a power loss,
//! all messages of an APPEND are there, or none. COPY is atomic too. MOVE is atomic for each
//! message: at any moment it is in exactly one of the two mailboxes. A large MOVE may stop half
//! way, and its response then says which messages have moved.
//!
//! COPY does not duplicate octets: both messages name the same ones.
//!
//! UIDs are assigned when the commit record is composed, in log order. Other sessions see a batch
//! only once it is durable, so no client reads mail that a power loss could take back.
//!
//! Adding a million messages to their mailbox takes a tenth of a second. It is done in steps of
//! about 16,384 messages, between which other sessions run. They see none of the batch until all of
//! it is there. Changes that become durable after the batch become visible after it, and no
//! checkpoint begins in between.
//!
//! ## Sessions that race
//!
//! A record is true at the moment it is written. A command that changes messages first waits for
//! memory and for room in the log, while other sessions run. Once it has both, it does the rest in
//! one step without yielding to another session: it reads the messages as the log has them
//! (durable changes, plus changes written but not yet durable), composes the record, and writes it.
//! Hence:
//!
//! - EXPUNGE removes exactly the messages that have `\Deleted` when its record is written.
//! - STORE with UNCHANGEDSINCE reports every message that changed before its record was written.
//! - A moved message arrives with the flags it had when the move was written. A message that
//!   another session has already moved or expunged is not moved.
//!
//! STORE, EXPUNGE and MOVE of many messages take several such steps, in UID order, each with up to
//! 16,384 messages. Each step is atomic and checks its messages again. If there is no room for the
//! next step, the command ends with NO and the last UID that was processed. Holding the mailbox
//! still for the whole command would block every other session for as long as it takes to write a
//! million changes.
//!
//! COPY is all or nothing (RFC 3501 section 6.4.7), and may need many frames to name its messages
//! before the frame that commits them. Until that frame is written, no other session of the account
//! changes messages: a few milliseconds, or a fraction of a second for a million messages.
//!
//! ## What an OK does not promise
//!
//! - There is one copy. A disk that loses acknowledged data loses mail; mailrace detects it by
//!   checksum and reports it.
//! - Without an OK the outcome is unknown. If a connection breaks after the last literal, the whole
//!   batch may be there, and a client that sends it again stores it twice.
//! - If the file system or controller answers fdatasync before the data is on stable storage, no
//!   program can keep this promise. ext4 does that when it gives up its device: from the moment it
//!   aborts its journal until it is read-only, a few milliseconds, fdatasync succeeds though the
//!   journal takes nothing any more (seen with Linux 6.18). Mail in a segment that was only
//!   allocated and not yet overwritten, acknowledged in these milliseconds, is lost then.
//!
//! ## How the promise is kept
//!
//! Each reactor appends *frames* to its log. A frame is one write of a multiple of 4 KiB. Its
//! header has the log sequence number (LSN), the length, a checksum, and the *durable watermark*:
//! the LSN known to be durable when the frame was composed.
//!
//! Commits are grouped. While an fdatasync runs, finished batches wait for the next one, which
//! covers them all; writes go on. Under load there is far less than one fdatasync per batch. A lone
//! client pays for one per batch.
//!
//! Segments are prepared ahead of use, at full size and overwritten with zeros. Allocation alone is
//! not enough: the first write to allocated but unwritten space changes file system metadata, and
//! the next fdatasync waits for the journal. `tuning/README.md` has the measurement. When mail
//! arrives faster than segments can be prepared, a segment that is only allocated is used, and a
//! counter records it.
//!
//! The first block of a prepared segment says that the segment is ready. It is written and synced
//! with the rest before the file gets its name. Recovery relies on this block alone: content behind
//! it need not be zeros. Ready segments that an earlier run left get numbers of the new epoch, by a
//! rename and one sync of the directory, before any of them is used.
//!
//! A segment's directory entry is synced before the first frame in it is acknowledged, as are the
//! entries of its parent directories up to the first that existed before. When a log moves to the
//! next segment, the old segment is synced whole before anything in the new one is acknowledged.
//! Then it is cut to the end of its last frame, so that the next start has little to cut. Nothing
//! depends on that: a start cuts what is still too long.
//!
//! ## After a crash
//!
//! Recovery reads each log from the last checkpoint to the first invalid frame: one with a wrong
//! checksum, LSN or position. An OK waits for all smaller LSNs, so everything acknowledged lies
//! before that frame. What follows was never acknowledged, and is cut off.
//!
//! There is one exception. If a later frame carries a durable watermark at or above the invalid
//! frame, then the invalid frame was durable, may have been acknowledged, and is now damaged. A
//! message with a wrong checksum in frames covered by a watermark is damaged as well. mailrace then
//! refuses to start. It names the file, offset and messages, and changes nothing: the decision is
//! the operator's, with a backup at hand. Only one kind of damage is reported without stopping the
//! start: octets of expunged messages, which no mailbox names any more.
//!
//! A start with a catalog opens only segments of the epochs that the catalog's positions name, and
//! of later ones: the epoch is in the file's name. Damage to older segments is found when they are
//! read, by `mailrace verify`, and by a start without a catalog.
//!
//! A file that had an earlier use has old frames and old mail behind the end of its log. The header
//! says so. These frames name other segments, and images of frames in mail lack the salt of the
//! log, so neither is mistaken for a torn end or for proof of damage.
//!
//! Each run begins a segment for each log, even if no mail arrives. The header shows that all older
//! logs were cut clean. Once the first header of the next run is durable, older segments without a
//! frame are removed.
//!
//! Frames of a batch without a commit record are dead space. Nothing points at them.
//!
//! ## Stripped segments
//!
//! Most of a segment is octets of messages. When all of its messages are expunged, or their octets
//! lie elsewhere, only its records are still needed: without them the catalog could not be rebuilt.
//! They are put into a *record file*, about a hundredth of the segment, and the segment itself is
//! removed or used again. The order of these steps keeps one place of every octet valid at any
//! moment:
//!
//! 1. The octets of living messages are durable in their new place.
//! 2. A *relocate* record, which names the new place, is durable, and is applied.
//! 3. A checkpoint of the catalog that no longer names the segment is durable.
//! 4. The record file is durable: written under another name, synced, renamed.
//! 5. The segment's file goes.
//!
//! After a crash between the last two steps both files are there. The record file wins if it is
//! whole, and the start removes the other one. Recovery reads a record file as the segment that it
//! was made from. It checks the whole file before it believes any frame in it, and does not look
//! for octets of messages. It does not cut anything in it: a record file cannot be torn, and what
//! came before it in its log was durable.
//!
//! A damaged record file is damage like that of a segment, and is reported by its name. If a
//! message of a mailbox turns out to need octets of a stripped segment, because the change that
//! expunged or relocated it is lost, that is reported like damaged octets: the start stops, or with
//! `--quarantine` serves the rest.
//!
//! ## Starting with damage
//!
//! `mailrace serve --quarantine` starts although acknowledged data is damaged, serves what is sound
//! and lists the rest: see [operations](super::operations). Its rules:
//!
//! `mailrace verify --repair` writes the damage that it finds to the file `losses` (magic, version,
//! rows, checksum; beside the catalog, because the catalog may be deleted). A start goes past
//! damage in that file by the same rules, and stops at any other. It finds the damage both with the
//! catalog, whose positions may prove it, and without, so that the record fits either start.
//! Damage before the positions is not read again; the record names it.
//!
//! **Damaged octets of a message.** The records are sound, so the message's size, flags and dates
//! are listed. Every command that needs its octets gets `NO [CORRUPTION]` (RFC 5530), even if the
//! requested part may be sound: the checksum covers the whole message. COPY refuses the message;
//! MOVE and EXPUNGE do not need its octets.
//!
//! **A damaged frame** (its header or a record). Recovery continues at the next sound frame of the
//! log, in this segment or the next one. The LSNs show how many frames are lost, and their changes
//! are lost with them. A frame after the hole is sound by itself: its header and records have their
//! own checksums, and its salt shows that this log wrote it. If a batch spans the hole, the
//! messages before and after it are served under their own UIDs, and the others are listed as lost.
//! Octets that a COPY refers to are compared with their checksum, because nothing else may have
//! checked them.
//!
//! **A missing segment, or a damaged segment header.** A missing segment is a hole like any other.
//! A damaged header costs nothing if the frames after it are sound, because they name their log.
//!
//! **A damaged catalog.** It is renamed, and rebuilt from the segments.
//!
//! The contents of lost frames are unknown, so a client may know more than the server: a UID, a
//! mod-sequence, a flag or an expunge. Therefore:
//!
//! - Every mailbox of every account whose log has a hole gets a new UIDVALIDITY, so that clients
//!   discard their caches and fetch everything again. Otherwise they would never notice expunged
//!   mail that is back, or a flag that is lost. Accounts belong to logs by a hash, so the affected
//!   accounts are known; if the hole's log is unknown, all accounts are affected.
//! - UIDs and mod-sequences that may have been assigned in the hole are not assigned again: UIDNEXT
//!   and HIGHESTMODSEQ rise by the most that records of that size can have assigned. If the frames
//!   come back from a backup, they still fit before the mail that came since. The bound for a hole
//!   of unknown size is 16,777,216; beyond it, only the new UIDVALIDITY keeps UIDs apart.
//! - The new UIDVALIDITY is above the clock, and above any that the hole can have assigned. As
//!   everywhere, a wrong clock is not covered.
//! - A mailbox whose creation is lost loses its name too. It appears as `Recovered E-N` once a
//!   later frame brings mail or metadata into it. If a later CREATE or RENAME needs the name of a
//!   mailbox that should have been gone, that mailbox is renamed in the same way.
//! - Nothing is made up. A mailbox created and filled inside the hole is gone. Mail expunged there
//!   is back. A mailbox deleted there is back.
//!
//! Damaged data is never changed: no frame is overwritten, no file is cut within its log, removed
//! or reused. Only what follows the end of a log, which was never acknowledged, is cut off, as at
//! every start, because the next epoch must find it gone. New mail goes to new segments of a new
//! epoch, numbered above every file that anything refers to.
//!
//! The catalog remembers the damage, because its positions move past it. Until the damage is gone,
//! a start without the flag fails. A message leaves the list when its octets are whole again, or
//! when it is expunged from every mailbox. A hole leaves it only with the catalog: restore the
//! segment, delete `catalog.redb`, and the next start reads everything again. If a start is
//! interrupted after a hole, its catalog is discarded and rebuilt.
//!
//! ## Backups
//!
//! `mailrace backup` needs no help of the server. It takes sealed segments and record files whole,
//! and of each segment in use the frames up to the first that is not there yet. Every acknowledged
//! frame, and all before it, are on the disk, so they are among them. The end is found first, and
//! then exactly that much is copied: what a watermark in the copy calls durable was durable before
//! the end was found. What is torn in the copy is cut off like after a power loss.
//!
//! Files go while they are copied: segments are stripped and used again, and record files are
//! dropped. So the order is fixed. The newest snapshot of the catalog is taken first. Then record
//! files are listed, then segments, then record files again. What was moved out of a segment with a
//! record file was durable elsewhere before that file had its name, so it lies in a segment that is
//! listed after it. If the second list of record files differs from the first, or there is a newer
//! snapshot by then, or a file is gone when its turn comes, all of it is done again, and what was
//! copied stays. So a record file that the backup lacks is covered by the snapshot that it has, and
//! the positions of that snapshot lie within the copied logs.
//!
//! A link shares its content with the server's file. So nothing in a file with two names may
//! change: segments that recovery may cut are copied, and a segment is used again only if it has
//! one name. A link could be made just after the names were counted. Therefore a server that uses a
//! segment again first takes its name away, then counts the names, and then writes; and a backup
//! first makes the link, and then looks whether the name is still there:
//!
//! ```text
//! server   take the name ── count names: one? ── write
//! backup   link ── is the name there? ── the link counts
//! ```
//!
//! If the backup finds the name, its link was made before the name was taken, so the server counts
//! two names and deletes its own. There is no lock that a killed process could leave behind.
//!
//! After a restore, clients know more than the server, as after lost frames, and the same is done:
//! every mailbox gets a new UIDVALIDITY, and numbers are skipped. The log cannot say where, because
//! it is that of the backup. The file `restored` has the last epoch of each backup that the folder
//! was restored from, and the time of the restore. A replay does this before the first change of a
//! later epoch, or at its end, and notes in the catalog that it was done. Snapshots carry that
//! note: a catalog made from one does it neither twice nor not at all.
//!
//! ## When the disk fails
//!
//! A failed fdatasync is never retried. The kernel may have dropped the dirty pages, and would
//! report success for the second call without having written them. Instead the log is poisoned: its
//! sessions end with BYE, nothing more is acknowledged, and the next start reads what is really on
//! the disk. A command in progress gets neither OK nor NO; it was carried out whole or not at all.
//!
//! A full disk is not a failure. The command gets a tagged NO, nothing was done, and service goes
//! on. A lack of file descriptors is treated alike. Changes and removals of existing mail use
//! segments held in reserve for them; these are segments like any other, in the chain of their log.
//! The last segment that is ready is kept from mail, too: segments are cleaned into its room, in
//! pieces, and the file of the cleaned segment takes its place. So deleting mail makes room for
//! new mail even when every segment has much that lives.
//!
//! ## The catalog
//!
//! `catalog.redb` holds accounts, mailboxes and entries as of a position in each log, and these
//! positions. A background checkpoint writes it in one transaction. It may lag, and it may be
//! deleted while the server is stopped: what it lacks is read from the log.
//!
//! ## Space that comes back
//!
//! Expunged mail leaves dead octets in its segment. When there is one dead octet to five living
//! ones and they are more than two segments, or the disk has little room, sealed segments are
//! *cleaned*, the one with most to give back first. A segment in which nothing lives is given back
//! at once. Nothing that was acknowledged may depend on a file that is about to go, so each step is
//! durable before the next one begins:
//!
//! 1. The octets of living messages are read, compared with their checksums, and written again at
//!    the end of the log.
//! 2. Records say where these messages lie now. Messages keep UID, flags, mod-sequence and EMAILID,
//!    and no client is told anything.
//! 3. A checkpoint of every reactor has these changes, and everything else that was written by
//!    then. If the catalog still counts a fragment in the segment, for example of a copy made
//!    meanwhile, all of this is repeated.
//! 4. Commands that may hold places in the segment end.
//! 5. The records of the segment are written to a file of their own, about a hundredth of its size.
//!    With them the catalog can still be rebuilt from nothing.
//! 6. The file is used for other mail, or deleted. With `--purge-within` it is always deleted.
//!
//! The catalog notes in each checkpoint which segments may have octets that nothing names any more,
//! so that `--purge-within` is kept over restarts; a start notes those that a crash has left. To
//! clean a segment that a log still writes to, the log goes on in another one first: everything in
//! the old one and the header of the new one are synced before the old one counts as sealed.
//!
//! A log has a segment cut when it leaves it. If a crash comes before that, and the next start does
//! not read the segment because the catalog has it, the header of the next segment of the log says
//! where it ends.
//!
//! A crash between two steps leaves each message in its old place or in its new one. A message that
//! fails its checksum is reported and stays, and its segment with it.
//!
//! ## Snapshots, and what they replace
//!
//! The records of segments that came back pile up, though most of them only say what became of mail
//! that is gone. When they have 64 MiB more than after the last snapshot, and three times the size
//! of the catalog, or when there are 256 more files, the catalog is copied to `snapshot/`: all its
//! rows as of one instant, with the position in each log. A thread of low priority does it, at
//! 32 MiB a second. Again each step is durable before the next one begins:
//!
//! 1. The snapshot is written under another name, synced and renamed, and its folder is synced.
//! 2. Older snapshots are removed.
//! 3. A note says that the log may lack its beginning.
//! 4. Record files go whose segments lie wholly before the positions and were stripped before the
//!    snapshot was begun. Segments with living octets stay; their records are not read any more.
//!
//! The catalog can still be deleted: the next start makes it from the snapshot, and replays the log
//! from its positions. A snapshot of which one bit is wrong is not believed. If there is no catalog
//! either, the server does not start; with `--quarantine` it serves what the log still has. While
//! the catalog knows of damage, no snapshot is written: the whole log may be needed once the
//! damaged files are restored.
//!
//! ## Disks and file systems
//!
//! - ext4 and XFS with barriers, the default: the promise holds. mailrace uses O_DIRECT, and
//!   fdatasync sends the disk a flush.
//! - ext4 without a journal: it holds for mail in segments in use. After a crash during a metadata
//!   change, such as a new segment's directory entry, fsck has to repair the file system.
//! - Mounted with `nobarrier`, on a disk with an unprotected cache: it does not hold.
//! - Btrfs and ZFS: it should hold, and is not tested.
//! - File systems without O_DIRECT (tmpfs, some overlays, FUSE): as good as their fdatasync.
//!   mailrace reports once, at startup, that segments go through the page cache.
//! - NFS and CIFS: not tested, not recommended.
//! - Disks with power loss protection: it holds, and an fdatasync is cheap. Without protection it
//!   holds if the disk obeys a flush; `tuning/README.md` says how to check.
//! - Controllers with a cache: it holds if the cache has a battery or is write-through.
//!
//! ## Assumptions about the medium
//!
//! 1. Data covered by a returned fdatasync survives a power loss. An OK needs nothing else.
//! 2. Data not covered by an fdatasync may survive in any part: any subset of its 512-byte sectors,
//!    in any order, each with any contents written to it since the last fdatasync. No order of
//!    writes is assumed, and nothing depends on a sector being whole.
//! 3. A name is durable once its directory was synced. Among names that were not, later changes may
//!    be lost without earlier ones.
//! 4. After a failed fdatasync, data that could be read back before may differ. A read after a
//!    restart shows what the disk has: recovery makes the kernel drop the pages of segments before
//!    it reads them.
//! 5. Writes of a killed process may land after its end: with O_DIRECT, the kernel goes on with
//!    them and lets the next process open the files meanwhile. So a server holds a lock on each
//!    file it writes to. An operation in flight keeps the file open, and with it the lock, and a
//!    start waits for that before it reads the log.
//! 6. Durable data may rot. Then a checksum of a frame header, a record or a message is wrong.
//!    Headers and records have 64 bits, each message has 128. These checksums find accidents; they
//!    are no defence against an attacker who can write to the disk.
//!
//! ## What each test proves
//!
//! - The simulation (`src/simulation/`) runs the server's real code above the ring: sessions,
//!   ingestion, log, recovery, index and redb. Network, disk, clock and threads are simulated from
//!   one seed. It shows that assumptions 1 to 6 are enough: whatever subset survives at whatever
//!   step, everything acknowledged or shown is there, octet for octet and with its flags; no batch
//!   is partial; no UID is assigned twice; leases are returned; nothing hangs. It is shown to
//!   detect more than forty planted mistakes, listed in `tests/README.md`.
//! - `tests/model/log`: the log and recovery on a disk that tears, at each write; and with any of
//!   the complete segments stripped.
//! - `tests/crash`: the real binary, kernel, ext4 and XFS; only the moment of the crash and the
//!   disk behind a loop device are simulated. kill -9 at any moment, power loss as a file system
//!   sees it, failing and full disks, rot, and starts that skip it.
//! - `tests/model/fuzz`: no input from a client or the disk makes parsers, codecs and recovery
//!   panic, hang or contradict themselves.
//! - `tests/abuse`, `tests/model`, `tests/server/sessions`: the binary on real sockets gives the
//!   same answers; memory, quotas and leases are back to normal after hours, and after abuse.
//!
//! `tests/README.md` has the commands, `benches/RECORD.md` the record of the long runs.
//!
//! ## What is not proven
//!
//! - The ring itself: io_uring, tokio-uring and `src/reactor/ring` are not in the simulation. They
//!   have few tests of their own, and those of whole servers.
//! - Real power loss on real disks. A loop device loses what the file system still held, but not
//!   what a disk's own cache held.
//! - The end of a log. No watermark covers the last frames before a crash until the next frame is
//!   written, or the catalog has read them. If they are corrupted in that window, or their segment
//!   is deleted while there is no catalog, the next start silently takes the log to end before
//!   them.
//! - Damage of more than 64 MiB in one piece at the end of a file that had an earlier use: frames
//!   behind it are not searched for. Segments behind it are.
//! - Two damages that fit each other, such as a segment and everything that refers to it restored
//!   from an old copy. Restore a data folder whole.
//! - Rot in the catalog: redb finds some of it when it opens the file, some when it reads, and not
//!   all. The catalog can always be deleted. A failed fsync of the catalog is retried; if the
//!   kernel has dropped its pages, that is rot in the catalog.
//! - Several reactors in parallel: in the simulation they take turns. They share only channels and
//!   counters.
//! - Clocks that go back: internal dates and UIDVALIDITY follow the clock, but an account never
//!   gets one UIDVALIDITY twice.
