//! The cost of the log alone: checksum, sealing, O_DIRECT write and fdatasync, in the reactor.
//!
//! ```sh
//! cargo bench --bench log              # 5 seconds for each row
//! cargo bench --bench log -- --short   # half a second
//! ```
//! There is no network and no IMAP, so this is the ceiling of one reactor on this disk. Afterwards
//! every frame and message in the file is read back and checked.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use imap::types::{Flags, InternalDate};
use mailrace::limits::BLOCK;
use mailrace::reactor::{self, Arena, Lease, LeaseClass, LogFile, Options};
use mailrace::store::frame::{self, HEADER};
use mailrace::store::{
    BatchId, EmailId, Epoch, Fragment, FrameHeader, KeywordList, LogId, MessageRecord, Place,
    Record, SegmentId, Sequencer, decode_records,
};
use xxhash_rust::xxh3::xxh3_128;

const SEGMENT: u32 = 256 << 20;

/// A row of the table.
#[derive(Clone, Copy)]
struct Case {
    /// Messages in a frame.
    messages: usize,
    /// Octets in a message.
    size: usize,
    /// Frames that one fdatasync makes durable.
    group: usize,
}

const CASES: [Case; 6] = [
    Case { messages: 1, size: 3_800, group: 1 },
    Case { messages: 1, size: 3_800, group: 16 },
    Case { messages: 1, size: 65_536, group: 1 },
    Case { messages: 25, size: 9_800, group: 1 },
    Case { messages: 25, size: 9_800, group: 4 },
    Case { messages: 3, size: 65_536, group: 16 },
];

struct Measured {
    frames: u64,
    elapsed: Duration,
    sealing: Duration,
    /// Time from the first write of a group to the end of its fdatasync, in microseconds.
    durable: Histogram<u64>,
}

fn main() -> io::Result<()> {
    let short = std::env::args().any(|argument| argument == "--short");
    let duration = Duration::from_millis(if short { 500 } else { 5000 });
    println!("{}\n", machine());
    println!(
        "{:>8} {:>7} {:>10} | {:>10} {:>8} {:>11} {:>8} {:>8}",
        "messages", "octets", "frames", "messages", "MB", "checksum+", "durable", "after µs"
    );
    println!(
        "{:>8} {:>7} {:>10} | {:>10} {:>8} {:>11} {:>8} {:>8}",
        "a frame", "each", "a sync", "a second", "a second", "seal GB/s", "p50", "p99"
    );
    for case in CASES {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let path = folder.path().join("segment");
        let file = prepare(&path)?;
        let measured = reactor::run(Options { core: None }, measure(case, file, duration))??;
        check(case, &File::open(&path)?)?;
        print(case, &measured);
    }
    Ok(())
}

/// A file overwritten once with zeros, as the server prepares its segments.
fn prepare(path: &Path) -> io::Result<File> {
    let mut file = File::create(path)?;
    let zeros = vec![0; 1 << 20];
    for _ in 0..SEGMENT as usize / zeros.len() {
        file.write_all(&zeros)?;
    }
    file.sync_all()?;
    let direct = rustix::fs::OFlags::DIRECT.bits() as i32;
    OpenOptions::new().read(true).write(true).custom_flags(direct).open(path)
}

async fn measure(case: Case, file: File, duration: Duration) -> io::Result<Measured> {
    let arena = Arena::new()?;
    let log = LogFile::new(file.into());
    let mut sequencer = Sequencer::new(Epoch(1), LogId(0), 1, 0);
    let mut segment = SegmentId(1);
    open(&mut sequencer, segment, &arena, &log).await?;
    let mut measured = Measured {
        frames: 0,
        elapsed: Duration::ZERO,
        sealing: Duration::ZERO,
        durable: Histogram::new(3).expect("3 digits are possible"),
    };
    let begin = Instant::now();
    while begin.elapsed() < duration {
        let mut writes = Vec::new();
        let started = Instant::now();
        for _ in 0..case.group {
            let mut lease = arena.lease(LeaseClass::Large).await;
            receive(case, &mut lease, measured.frames);
            let sealing = Instant::now();
            let Some((place, length)) = seal(case, &mut sequencer, &mut lease) else {
                break;
            };
            measured.sealing += sealing.elapsed();
            let log = log.clone();
            let write = async move { log.write_at(lease, length, place.offset.into()).await.0 };
            writes.push((place.lsn, reactor::spawn(write)));
        }
        if writes.is_empty() {
            segment = segment.next();
            open(&mut sequencer, segment, &arena, &log).await?;
            continue;
        }
        for (lsn, write) in writes {
            write.await.map_err(io::Error::other)??;
            sequencer.written(lsn);
            measured.frames += 1;
        }
        if let Some(plan) = sequencer.begin_sync() {
            log.sync_data().await?;
            sequencer.synced(&plan);
        }
        let _ = measured.durable.record(started.elapsed().as_micros() as u64);
    }
    measured.elapsed = begin.elapsed();
    Ok(measured)
}

/// Starts again at the beginning of the file, as the next segment.
async fn open(
    sequencer: &mut Sequencer,
    segment: SegmentId,
    arena: &Arena,
    log: &LogFile,
) -> io::Result<()> {
    let header = sequencer.open_segment(segment, SEGMENT, 0);
    let mut lease = arena.lease(LeaseClass::Small).await;
    header.encode(&mut lease.octets_mut()[..BLOCK]);
    log.write_at(lease, BLOCK, 0).await.0?;
    sequencer.header_written(segment);
    Ok(())
}

/// Puts new mail into the lease, as the kernel does for the server.
fn receive(case: Case, lease: &mut Lease, frames: u64) {
    let payload = &mut lease.octets_mut()[HEADER..];
    for message in payload.chunks_exact_mut(case.size).take(case.messages) {
        message[..8].copy_from_slice(&frames.to_le_bytes());
    }
}

fn seal(case: Case, sequencer: &mut Sequencer, lease: &mut Lease) -> Option<(Place, usize)> {
    let payload = case.messages * case.size;
    let messages = (0..case.messages).map(|index| {
        let at = index * case.size;
        let octets = &lease.octets()[HEADER + at..HEADER + at + case.size];
        (at, xxh3_128(octets))
    });
    let messages: Vec<(usize, u128)> = messages.collect();
    let mut records = vec![record(case, &messages)];
    let length = frame::sealed_len(payload, records[0].encoded_len());
    let place = sequencer.reserve(length as u32)?;
    let Record::Messages { messages, .. } = &mut records[0] else { unreachable!("made above") };
    for (index, message) in messages.iter_mut().enumerate() {
        message.fragments[0].segment = place.segment;
        message.fragments[0].offset = frame::payload_offset(&place, index * case.size);
    }
    let length = frame::seal(lease.octets_mut(), &place, BatchId(1), 0, payload, &records);
    Some((place, length))
}

fn record(case: Case, messages: &[(usize, u128)]) -> Record {
    let message = |&(_, checksum): &(usize, u128)| MessageRecord {
        size: case.size as u64,
        date: InternalDate::from_unix(760_686_745),
        flags: Flags::SEEN,
        keywords: KeywordList::default(),
        email: EmailId::default(),
        checksum,
        fragments: vec![Fragment { segment: SegmentId(1), offset: 0, length: case.size as u32 }],
    };
    Record::Messages { batch: BatchId(1), messages: messages.iter().map(message).collect() }
}

/// Reads back and checks the frames of the last pass over the file.
fn check(case: Case, file: &File) -> io::Result<()> {
    let mut octets = vec![0; SEGMENT as usize];
    file.read_exact_at(&mut octets, 0)?;
    let (mut at, mut expected) = (BLOCK, None);
    while let Ok(header) = FrameHeader::decode(octets.get(at..).unwrap_or_default()) {
        if expected.is_some_and(|lsn| header.lsn != lsn) {
            break;
        }
        let records = at + frame::records_at(header.payload as usize);
        let region = &octets[records..records + header.records as usize];
        let found = decode_records(region, header.count).expect("the records were written so");
        let [Record::Messages { messages, .. }] = &found[..] else { panic!("{found:?}") };
        assert_eq!(messages.len(), case.messages);
        for message in messages {
            let (begin, size) = (message.fragments[0].offset as usize, message.size as usize);
            assert_eq!(xxh3_128(&octets[begin..begin + size]), message.checksum, "at {begin}");
        }
        expected = Some(header.lsn.next());
        at += header.length as usize;
    }
    assert!(expected.is_some(), "the file holds no frame");
    Ok(())
}

fn print(case: Case, measured: &Measured) {
    let seconds = measured.elapsed.as_secs_f64();
    let messages = measured.frames as f64 * case.messages as f64;
    let octets = messages * case.size as f64;
    println!(
        "{:>8} {:>7} {:>10} | {:>10.0} {:>8.0} {:>11.1} {:>8} {:>8}",
        case.messages,
        case.size,
        case.group,
        messages / seconds,
        octets / seconds / 1e6,
        octets / measured.sealing.as_secs_f64() / 1e9,
        measured.durable.value_at_quantile(0.5),
        measured.durable.value_at_quantile(0.99)
    );
}

/// Machine, kernel, commit.
fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = rustix::system::uname();
    let commit = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    let commit = commit.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    format!(
        "{cores} cores of {}, Linux {}, commit {}",
        model.trim_start_matches(['\t', ' ', ':']),
        kernel.release().to_string_lossy(),
        commit.unwrap_or_default()
    )
}
