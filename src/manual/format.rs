//! # The format on disk, version 3
//!
//! A data folder holds `segments/` and `records/`, the log, `catalog.redb`, a checkpoint of the
//! log, and `snapshot/`, a copy of the catalog that replaces the beginning of the log. The log is
//! the truth. This page describes it byte by byte; a test compares the code with
//! the reference segment in `tests/model/log/segment.hex`, and with its record file in
//! `records.hex` beside it.
//!
//! Integers are little-endian. Offsets and lengths are in bytes. A *block* is 4096 bytes.
//! *Reserved* fields are zero. XXH3 has seed 0 unless stated otherwise.
//!
//! ## Assumptions about the disk
//!
//! - Data not covered by an fdatasync may survive a power loss in any part, in sectors of 512 bytes
//!   that each survive whole or not at all. Nothing depends on whole sectors.
//! - Data covered by an fdatasync survives. If it does not, that is damage: checksums find it, and
//!   it is reported, never repaired by guessing.
//! - A file's length and name are durable before the file is used.
//!
//! ## Files
//!
//! A segment is the file `segments/NNNNNNNNNNNNNNNNNNNN.seg`, named by its number in 20 decimal
//! digits. The number is epoch · 2⁴⁰ + *k*, with *k* from 1 in each epoch. No number is used twice.
//! While the file is being filled with zeros its suffix is `.preparing`; a start removes such
//! files. The length of a segment is a multiple of a block, from two blocks to 4 GiB less one
//! block, and may differ between segments.
//!
//! ```text
//! │ header block │ frame │ frame │ … │ zeros, or an earlier use, to the end of the file │
//! 0            4096                  cut off by the next recovery
//! ```
//!
//! A segment that is prepared and not in use is *ready*, and says so in its first block. That block
//! is written last and has no number: a start renames the ready segments of earlier epochs to
//! numbers of its own. What stands behind it need not be zeros. If the second block is a frame of
//! this segment, the segment was in use and its header is lost.
//!
//! ## Logs, epochs, chains
//!
//! Each run of the server is an *epoch*, from 1 to 2²⁴ − 1, in which each reactor writes one *log*.
//! Without a number left for the next epoch, the server does not start. The frames of a
//! log are numbered from 1 without gaps: the LSN. A log is a chain of segments. Each header names
//! the segment before it and the offset at which that one ends; the first segment names none.
//! Within an epoch an account belongs to one log, so epochs and LSNs order the account's changes.
//! The XXH3-64 of its name, modulo 4096, is its *slot*; the slot modulo the number of logs is its
//! log.
//!
//! A segment without a frame that ends its log says only that its epoch has begun. It is removed
//! once a header of a later epoch is durable.
//!
//! ## Segment header
//!
//! The first block; bytes 96 to 4095 are zero.
//!
//! | offset | length | field |
//! |---:|---:|---|
//! | 0 | 8 | `mailrace` |
//! | 8 | 2 | version of the format: 3 |
//! | 10 | 2 | log |
//! | 12 | 4 | epoch |
//! | 16 | 8 | number of this segment |
//! | 24 | 8 | salt |
//! | 32 | 8 | LSN of the first frame here |
//! | 40 | 8 | durable watermark: highest LSN known durable when this was composed |
//! | 48 | 8 | number of the segment before this one in the log, 0 in the first |
//! | 56 | 4 | offset at which that one ends |
//! | 60 | 4 | length of this file when it was prepared |
//! | 64 | 8 | time of first use: seconds since 1970 UTC |
//! | 72 | 2 | number of logs in this epoch |
//! | 74 | 1 | 1 if the file had an earlier use, else 0 |
//! | 75 | 13 | reserved |
//! | 88 | 8 | XXH3-64 of bytes 0 to 87 |
//!
//! The *salt* is a random number for each log of each epoch. It is in all segments and frames of
//! that log, and never leaves the server. Mail may contain the image of a frame with a forged
//! watermark; without the salt, recovery does not take it for a frame.
//!
//! In a file with an earlier use, old frames and old mail follow the end of the log. The old frames
//! have other segment numbers. Old mail may contain the image of any frame, but not with this salt.
//!
//! The first block of a ready segment, of which bytes 96 to 4095 are zero too:
//!
//! | offset | length | field |
//! |---:|---:|---|
//! | 0 | 8 | `prepared` |
//! | 8 | 2 | version of the format: 3 |
//! | 10 | 1 | 1 if the file had an earlier use, else 0 |
//! | 11 | 77 | reserved |
//! | 88 | 8 | XXH3-64 of bytes 0 to 87 |
//!
//! ## Frame
//!
//! A frame is one write of a multiple of a block, at most 16 MiB: header, payload, records, zeros.
//!
//! | offset | length | field |
//! |---:|---:|---|
//! | 0 | 4 | `mrfr` |
//! | 4 | 2 | version of the format: 3 |
//! | 6 | 2 | log |
//! | 8 | 4 | epoch |
//! | 12 | 4 | length of the frame |
//! | 16 | 8 | number of the segment |
//! | 24 | 8 | salt |
//! | 32 | 8 | LSN |
//! | 40 | 8 | durable watermark: highest LSN known durable when this was composed |
//! | 48 | 8 | batch of the payload; if there are several, the first |
//! | 56 | 4 | number of earlier frames of that batch |
//! | 60 | 4 | length of the payload, *p* |
//! | 64 | 4 | length of the records, *r*, a multiple of 8 |
//! | 68 | 4 | number of records |
//! | 72 | 48 | reserved |
//! | 120 | 8 | XXH3-64 of bytes 0 to 119 |
//! | 128 | *p* | payload: octets as received |
//! | 128 + *p*, up to a multiple of 8 | *r* | records |
//!
//! The length of the frame is that sum, rounded up to a multiple of a block. The payload has no
//! checksum of its own: each message has one, and the rest (command text, cancelled batches) is
//! never read.
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
//! In record bodies, **text** is a length (2 bytes) and that many bytes of UTF-8. A **keyword** is
//! a length (1) and that many bytes of an atom. A **fragment** is a run of bytes in the log:
//! segment (8), offset (4), length (4). A **range** of UIDs is the lowest (4) and the highest (4).
//! **Flags** are bits, lowest first: `\Answered`, `\Flagged`, `\Deleted`, `\Seen`, `\Draft`.
//!
//! | kind | name | version | body |
//! |---:|---|---:|---|
//! | 1 | messages | 1 | below |
//! | 2 | fragments | 0 | batch (8), count (4), reserved (4), that many fragments |
//! | 3 | commit | 1 | below |
//! | 4 | cancel | 0 | batch (8) |
//! | 5 | create mailbox | 1 | below |
//! | 6 | delete mailbox | 0 | mailbox (8), account (text) |
//! | 7 | set flags | 0 | below |
//! | 8 | expunge | 0 | below |
//! | 9 | references | 2 | below |
//! | 10 | rename mailbox | 0 | account, old name, new name (text each) |
//! | 11 | subscribe | 0 | 1 to subscribe, 0 to end (1), reserved (1), account, name (text each) |
//! | 12 | set metadata | 0 | below |
//! | 13 to 15 | reserved for a mailrace on several machines: give slot, take slot, retention | | |
//! | 16 | relocate | 0 | below |
//!
//! The server does not start with a record of a reserved kind.
//!
//! A record of another kind or version with a valid checksum was written by a newer mailrace: the
//! server does not start. It does not start either if a segment has another format version.
//! Version 1 spelt out the keywords of each message. In version 2 the EMAILID of a message was its
//! place in the log.
//!
//! *Messages* and *references*:
//!
//! | offset | length | field |
//! |---:|---:|---|
//! | 0 | 8 | batch |
//! | 8 | 4 | number of messages |
//! | 12 | 2 | number of keywords, *k* |
//! | 14 | 2 | number of keyword sets, *s* |
//! | 16 | | the keywords in order of first use, each once, ignoring case |
//! | | *s* · ⌈*k* / 8⌉ | the sets: a bit for each keyword, from the lowest bit of the first byte |
//! | | | zeros up to a multiple of 8 |
//! | | | the messages |
//!
//! Sets are numbered from 1, and none is empty. No keyword and no set occurs twice: for a thousand
//! messages with the same thousand keywords, the record adds those keywords once, and 125 bytes.
//!
//! *Commit*: batch (8), mailbox (8), mod-sequence (8), save date (8; signed, seconds since 1970
//! UTC), bytes of all messages (8), first EMAILID (8), first UID (4), number of messages (4),
//! account (text). The first EMAILID is 0 if the batch has only *references*.
//!
//! *Create mailbox*: mailbox (8), UIDVALIDITY (4), special uses (2; the bits of RFC 6154), reserved
//! (2), account (text), name (text). Version 0, without special uses and the reserved field, is
//! read too.
//!
//! *Set flags*: mailbox (8), mod-sequence (8), number of ranges (4), number of keywords (2), flags
//! (1), change (1; 0 replaces the existing flags, 1 adds to them, 2 removes from them), ranges,
//! keywords, account (text).
//!
//! *Expunge*: mailbox (8), mod-sequence (8), number of ranges (4), reserved (4), ranges, account
//! (text).
//!
//! *Set metadata*: mailbox (8), special uses (2; the bits of RFC 6154), 1 if these replace those of
//! the mailbox or 0 if they are zero and ignored (1), reserved (1), number of entries (4), account
//! (text), entries. An entry is its name (text, in lower case), the length of its value (4), and
//! the value; a length of 2³² − 1 removes the entry. Entries that are not listed stay.
//!
//! *Relocate*: mailbox (8), number of messages (4), number of segments (2), reserved (2), the
//! numbers of these segments (8 each) in order of first use, messages, account (text). A message is
//! its UID (4), its number of fragments (2), and its fragments: index in the list of segments, from
//! 0 (2), offset (4), length (4). UIDs ascend. From now on the bytes of these messages lie there,
//! where they were durable before this record was composed. A UID that does not exist is skipped.
//!
//! *Rename mailbox*: the old name is replaced by the new one, both as the name of a mailbox and at
//! the start of the names of all mailboxes below it. Those below are renamed even if no mailbox has
//! the old name itself.
//!
//! A message in *messages* and *references*:
//!
//! | offset | length | field |
//! |---:|---:|---|
//! | 0 | 8 | size, at least 1 |
//! | 8 | 8 | internal date |
//! | 16 | 16 | XXH3-128 of the message |
//! | 32 | 4 | number of fragments, *f* |
//! | 36 | 2 | number of its keyword set; 0 is the empty set |
//! | 38 | 1 | flags |
//! | 39 | 1 | reserved |
//! | 40 | 8 | EMAILID, not 0; in *references* only |
//! | 40 or 48 | 16 · *f* | fragments |
//!
//! An internal date is, from the lowest bit: 1 if the zone is west of Greenwich (1 bit), the four
//! digits of the zone as a number (14 bits), second (6), minute (6), hour (5), day (5), month (4),
//! year (14).
//!
//! ## Record file
//!
//! When no mailbox names octets in a segment any more, the segment may be *stripped*: all of it but
//! the payload of its frames goes into `records/NNNNNNNNNNNNNNNNNNNN.rec`, and its own file is
//! removed or used again under another number. A record file is written with the suffix `.writing`,
//! synced, and renamed; a start removes `.writing` files. Once it has its name it stands for the
//! segment, even if a file of the segment is still there, unless the record file is damaged.
//!
//! | offset | length | field |
//! |---:|---:|---|
//! | 0 | 8 | `mailrecs` |
//! | 8 | 2 | version of the format: 3 |
//! | 10 | 2 | reserved |
//! | 12 | 4 | offset in the segment at which its last frame ended |
//! | 16 | 8 | number of the segment |
//! | 24 | 96 | bytes 0 to 95 of the segment: its header |
//! | 120 | 8 | XXH3-64 of bytes 0 to 119 |
//! | 128 | | for each frame of the segment, in order: its header (128), its records (*r*) |
//! | | 4 | number of frames |
//! | | 4 | reserved |
//! | | 8 | XXH3-64 of everything before it |
//!
//! Frames follow each other without gaps, so the header of each tells where the next one was in the
//! segment. The record file is a hundredth of a segment of ordinary mail.
//!
//! Record files go when a snapshot has everything in them. Before the first one goes, a file named
//! `dropped` is put beside them: from then on a log may lack its beginning, and a data folder
//! without catalog needs its snapshot. What stands in that file is for people to read.
//!
//! ## Snapshot
//!
//! `snapshot/NNNNNNNNNNNNNNNNNNNN.snap` has all rows of the catalog as of one instant. It is
//! written with the suffix `.writing`, synced, and renamed; then those with lower numbers are
//! removed, and the one with the highest number counts. None of it is believed unless all of it is
//! right.
//!
//! | offset | length | field |
//! |---:|---:|---|
//! | 0 | 8 | `mailsnap` |
//! | 8 | 2 | version of this format: 1 |
//! | 10 | 2 | reserved |
//! | 12 | 4 | version of the catalog's rows |
//! | 16 | 8 | number of the snapshot |
//! | 24 | 8 | XXH3-64 of bytes 0 to 23 |
//! | 32 | | blocks |
//! | | 4 | 0, the length of an empty block |
//! | | 4 | 0 |
//! | | 8 | XXH3-64 of these 8 bytes |
//! | | 8 | number of all rows |
//! | | 8 | number of blocks |
//! | | 8 | XXH3-64 of everything before it |
//!
//! A block ends with the row that makes it 256 KiB or longer:
//!
//! | offset | length | field |
//! |---:|---:|---|
//! | 0 | 4 | length of its rows, *l* |
//! | 4 | 4 | number of its rows |
//! | 8 | 8 | XXH3-64 of bytes 0 to 7 |
//! | 16 | *l* | rows |
//! | 16 + *l* | 8 | XXH3-64 of the rows |
//!
//! A row:
//!
//! | length | field |
//! |---:|---|
//! | 1 | table |
//! | 8 | first number |
//! | 8 | second number |
//! | 2 | length of the name, *n* |
//! | *n* | name, UTF-8 |
//! | 4 | length of the value, *v* |
//! | *v* | value |
//!
//! | table | first number | second number | name | value |
//! |---|---|---|---|---|
//! | 1 positions | epoch · 2¹⁶ + log | segment | | offset (4), next LSN (8), last LSN applied (8) |
//! | 2 accounts | 0 | 0 | account | row |
//! | 3 subscriptions | 0 | 0 | account | row |
//! | 4 mailboxes | mailbox | 0 | account | row |
//! | 5 chunks | mailbox | first UID | | row |
//! | 6 octets in use | segment | mailbox | account | fragments (8), octets (8) |
//! | 7 restore | epoch | 0 | | |
//!
//! Tables and rows are in ascending order. Values of the tables 2 to 5 are rows of the catalog,
//! which end with an XXH3-64 of their own. Positions are those of the last epoch only: logs of
//! earlier ones are in the snapshot to their ends, and so are their segments. A log of the last
//! epoch without position is read from its beginning. A row of table 7 is there if the data folder
//! was restored from a backup: the consequences of all restores up to this epoch are in the rows.
//!
//! ## Batches
//!
//! A batch is the result of one APPEND, COPY or MOVE. Its messages are in one or more *messages* or
//! *references* records, in order, in any frames of one log. Its *commit* record, in the last of
//! these frames or a later one, adds all of them to the mailbox with ascending UIDs. If a message
//! has more fragments than one frame can name, the first ones are in *fragments* records before the
//! record of the message. Without a commit the batch does not exist, and its bytes are dead space;
//! *cancel* says so early.
//!
//! The bytes of *messages* came with this batch. Those of *references* came with another batch, in
//! any log, and were durable before the first frame of this one was composed: a copy names the
//! fragments of the original. A move has the *expunge* of the originals in the frame of its commit.
//!
//! ## EMAILIDs
//!
//! The EMAILID of a message is a number of its account, from 1. The commit gives the messages of
//! *messages* records the numbers from its first EMAILID on, in the order of their UIDs; each is
//! above all that the account has given before, even to messages that no longer exist. *References*
//! carry the EMAILID of the original. So a message keeps it through COPY, MOVE and any rewriting of
//! its bytes, and no other message of the account ever has it. Clients see it in hexadecimal after
//! an M: number 255 is `Mff`.
//!
//! ## Reading a log
//!
//! A frame is valid if
//!
//! - its header has the right checksum, log, segment, salt, and the next LSN,
//! - all its records have the right checksums, and
//! - every message of every batch that it commits has the right checksum. The bytes of *references*
//!   are not read: they were checked with the batch that brought them. Neither are those of a
//!   message of which a part was in a stripped segment.
//!
//! A log ends before its first invalid frame. If the catalog has read further, if a later frame has
//! a watermark that reaches the LSN of the invalid one, or if a later epoch has begun, acknowledged
//! data is damaged, and the server does not start. Otherwise the invalid frame is the torn end of
//! what was being written at the power loss: it is cut off, durably, before a new epoch begins.
//!
//! A segment is stripped only after its log has left it and all of it was synced. So nothing in a
//! stripped segment, or before it in its log, is ever a torn end, and an invalid frame there is
//! damage. When all logs were read, no message in any mailbox may have a fragment in a stripped
//! segment; if one has, its octets are lost.
