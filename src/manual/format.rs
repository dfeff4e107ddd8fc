//! # The format on disk, version 2
//!
//! A data folder holds `segments/`, the log, and `catalog.redb`, a checkpoint of it. The log is the
//! truth; this page describes it octet by octet. `tests/model/log/segment.hex` is a segment as it
//! has to be, and a test holds the code against that file.
//!
//! Integers are little-endian. Offsets and lengths are in octets. A *block* has 4096. What is
//! *reserved* is zero. XXH3 is used with seed 0 where nothing else is said.
//!
//! ## What is assumed of the disk
//!
//! - A write that no fdatasync has covered may survive a power loss in any part, sector by sector,
//!   the sectors of 512 octets each whole or not at all. Nothing depends on the latter.
//! - What an fdatasync has covered survives. If it does not, that is damage: found by checksums and
//!   reported, never repaired by guessing.
//! - A file's length and name are durable before the file is used.
//!
//! ## Files
//!
//! A segment is the file `segments/NNNNNNNNNNNNNNNNNNNN.seg`, its number in 20 decimal digits. No
//! number is ever used twice. While zeros are being written to it, it is called `.preparing`; such
//! files are removed at start. Segments differ in length; each is a multiple of a block, from two
//! blocks to 4 GiB less one block. When the first block is all zeros the segment is *ready*:
//! prepared and unused.
//!
//! ```text
//! │ header block │ frame │ frame │ … │ zeros to the end of the file │
//! 0            4096                  cut off by the next recovery
//! ```
//!
//! ## Logs, epochs, chains
//!
//! Each run of the server is an *epoch*, and in it each reactor writes one *log*. The frames of a
//! log are numbered from 1 without a gap: LSN. A log goes through a chain of segments; the header
//! of each names the one before it and where that ends. The first segment of a log names none.
//! Epochs order an account's changes; within an epoch an account belongs to one log.
//!
//! ## Segment header
//!
//! The first block; octets 96 to 4095 are zero.
//!
//! | offset | length | field |
//! |---:|---:|---|
//! | 0 | 8 | `mailrace` |
//! | 8 | 2 | version of the format: 2 |
//! | 10 | 2 | log |
//! | 12 | 4 | epoch |
//! | 16 | 8 | number of this segment |
//! | 24 | 8 | salt |
//! | 32 | 8 | LSN of the first frame here |
//! | 40 | 8 | durable watermark: highest LSN known durable when this was composed |
//! | 48 | 8 | number of the segment before this one in the log, 0 in the first |
//! | 56 | 4 | offset at which that one ends |
//! | 60 | 4 | length of this file when it was prepared |
//! | 64 | 8 | taken into use: seconds since 1970 UTC |
//! | 72 | 2 | how many logs this epoch has |
//! | 74 | 14 | reserved |
//! | 88 | 8 | XXH3-64 of octets 0 to 87 |
//!
//! The *salt* is a random number, one for each log of each epoch, that stands in all of its
//! segments and frames and is shown to nobody. Mail may hold any octets, also the image of a frame
//! with a forged watermark; without the salt it is not taken for one.
//!
//! ## Frame
//!
//! One write, a multiple of a block, 16 MiB at most: header, payload, records, zeros.
//!
//! | offset | length | field |
//! |---:|---:|---|
//! | 0 | 4 | `mrfr` |
//! | 4 | 2 | version of the format: 2 |
//! | 6 | 2 | log |
//! | 8 | 4 | epoch |
//! | 12 | 4 | length of the frame |
//! | 16 | 8 | number of the segment |
//! | 24 | 8 | salt |
//! | 32 | 8 | LSN |
//! | 40 | 8 | durable watermark: highest LSN known durable when this was composed |
//! | 48 | 8 | batch whose octets these are; of several the first |
//! | 56 | 4 | how many frames of that batch came before |
//! | 60 | 4 | length of the payload, *p* |
//! | 64 | 4 | length of the records, *r*, a multiple of 8 |
//! | 68 | 4 | how many records |
//! | 72 | 48 | reserved |
//! | 120 | 8 | XXH3-64 of octets 0 to 119 |
//! | 128 | *p* | payload: octets as they were received |
//! | 128 + *p*, up to a multiple of 8 | *r* | records |
//!
//! The length of the frame is that sum, up to a multiple of a block. The payload has no checksum of
//! its own: each message has one, and what lies between messages (command text, cancelled batches)
//! is never read.
//!
//! ## Records
//!
//! | offset | length | field |
//! |---:|---:|---|
//! | 0 | 4 | length of the body, *n* |
//! | 4 | 2 | kind |
//! | 6 | 2 | version of this kind of record |
//! | 8 | 8 | XXH3-64 of the body, with seed *n* + kind · 2³² + version · 2⁴⁸ |
//! | 16 | *n* | body |
//! | 16 + *n* | | zeros up to a multiple of 8 |
//!
//! In the bodies, **text** is a length (2 octets) and so many octets of UTF-8. A **keyword** is a
//! length (1) and so many octets of an atom. A **fragment** is a run of octets somewhere in the
//! log: segment (8), offset (4), length (4). A **range** of UIDs is the lowest (4) and the highest
//! (4). **Flags** are bits, from the lowest: `\Answered`, `\Flagged`, `\Deleted`, `\Seen`,
//! `\Draft`.
//!
//! | kind | name | version | body |
//! |---:|---|---:|---|
//! | 1 | messages | 1 | below |
//! | 2 | fragments | 0 | batch (8), count (4), reserved (4), that many fragments |
//! | 3 | commit | 0 | below |
//! | 4 | cancel | 0 | batch (8) |
//! | 5 | create mailbox | 1 | below |
//! | 6 | delete mailbox | 0 | mailbox (8), account (text) |
//! | 7 | set flags | 0 | below |
//! | 8 | expunge | 0 | below |
//! | 9 | references | 1 | below |
//! | 10 | rename mailbox | 0 | account, old name, new name (text each) |
//! | 11 | subscribe | 0 | 1 to begin, 0 to end (1), reserved (1), account, name (text each) |
//!
//! A record of another kind or version, with its checksum right, was written by a newer mailrace:
//! the server does not start. Nor does it when a segment has another version of the format. Version
//! 1 spelt out the keywords of each message.
//!
//! *Messages* and *references*:
//!
//! | offset | length | field |
//! |---:|---:|---|
//! | 0 | 8 | batch |
//! | 8 | 4 | how many messages |
//! | 12 | 2 | how many keywords, *k* |
//! | 14 | 2 | how many sets of keywords, *s* |
//! | 16 | | the keywords, each once whatever its case, in the order of first use |
//! | | *s* · ⌈*k* / 8⌉ | the sets: a bit for each keyword, from the lowest of the first octet on |
//! | | | zeros up to a multiple of 8 |
//! | | | the messages |
//!
//! The sets have the numbers from 1 on, and none is empty. Neither a keyword nor a set stands there
//! twice: a thousand messages with the same thousand keywords take a thousand keywords and 125
//! octets beside themselves.
//!
//! *Commit*: batch (8), mailbox (8), mod-sequence (8), save date (8; signed, seconds since 1970
//! UTC), octets of all messages (8), first UID (4), how many messages (4), account (text).
//!
//! *Create mailbox*: mailbox (8), UIDVALIDITY (4), special uses (2; the bits of RFC 6154), reserved
//! (2), account (text), name (text). Version 0 is read too: it has neither special uses nor what is
//! reserved.
//!
//! *Set flags*: mailbox (8), mod-sequence (8), how many ranges (4), how many keywords (2), flags
//! (1), change (1; 0 replaces the flags there are, 1 adds to them, 2 takes away), ranges, keywords,
//! account (text).
//!
//! *Expunge*: mailbox (8), mod-sequence (8), how many ranges (4), reserved (4), ranges, account
//! (text).
//!
//! *Rename mailbox*: the mailbox of the old name gets the new one, and in the names of all
//! mailboxes below it the old name gives way to the new. Whether there is a mailbox of the old name
//! itself makes no difference to those below.
//!
//! A message in them:
//!
//! | offset | length | field |
//! |---:|---:|---|
//! | 0 | 8 | size, at least 1 |
//! | 8 | 8 | internal date |
//! | 16 | 16 | XXH3-128 of its octets |
//! | 32 | 4 | how many fragments, *f* |
//! | 36 | 2 | number of its set of keywords; 0 is the empty one |
//! | 38 | 1 | flags |
//! | 39 | 1 | reserved |
//! | 40 | 16 · *f* | fragments |
//!
//! An internal date is, from the lowest bit: 1 when the zone is west of Greenwich (1 bit), the four
//! digits of the zone as a number (14), second (6), minute (6), hour (5), day (5), month (4), year
//! (14).
//!
//! ## Batches
//!
//! A batch is what one APPEND, COPY or MOVE brought. Its messages stand in one or more *messages*
//! or *references* records, in order, in any frames of one log; its *commit* record, in the last of
//! these frames or a later one, makes all of them part of the mailbox, with ascending UIDs. A
//! message in more pieces than one frame can name has its first fragments in *fragments* records
//! before its own. Without a commit there is no batch: its octets are dead space. *Cancel* says so
//! early.
//!
//! The octets of *messages* came with the batch. Those of *references* came with another one, in
//! any log, and were durable before the first frame of this batch was composed: a copy names the
//! fragments of the original. A move has the *expunge* of the originals in the frame of its commit.
//! The first octet of a message, its segment and offset, is its identity (EMAILID).
//!
//! ## Reading it
//!
//! A frame is valid when its header is, when it is of this log, segment and salt, when its LSN is
//! the one that is due, when all its records have their checksums, and when every message of every
//! batch that it commits has its checksum. Only the octets of *references* are not read for that;
//! they were with the batch that they came with. A log ends before its first invalid frame. If the
//! catalog has read further, or a watermark behind the invalid frame reaches its LSN, or a later
//! epoch has begun, acknowledged data is damaged, and the server does not start. Otherwise it is
//! the torn end of what was being written when the power went: it is cut off, and made durable,
//! before a new epoch begins.
