//! What reading mail costs: nanoseconds a message, best of several rounds, on one thread.
//!
//! MAILRACE_CORPUS names a folder with `messages.mbox`; the line ends become CRLF.
//!
//! ```sh
//! MAILRACE_CORPUS=… cargo bench -p mailrace-imap [-- NAME]
//! ```

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use bytes::BytesMut;
use imap::mime::facts::{Dates, Keys, Threads};
use imap::mime::thread::{self, Threader};
use imap::mime::{Message, Needle, Sorter, envelope, header_length, preview, short_header};
use imap::protocol::{SortCriterion, SortKey, ThreadAlgorithm};

/// Rounds over the corpus; the fastest counts.
const ROUNDS: usize = 40;

fn main() {
    let Some(folder) = std::env::var_os("MAILRACE_CORPUS").map(PathBuf::from) else {
        println!("MAILRACE_CORPUS names no corpus");
        return;
    };
    let messages = read(&std::fs::read(folder.join("messages.mbox")).expect("messages.mbox"));
    let headers: Vec<_> = messages.iter().map(|m| m[..header_length(m)].to_vec()).collect();
    let shorts: Vec<Vec<u8>> = headers.iter().map(|header| short(header)).collect();
    let columns: Vec<[Vec<u8>; 3]> = headers.iter().map(|header| columns(header)).collect();
    let octets = |lengths: &mut dyn Iterator<Item = usize>| lengths.sum::<usize>() / messages.len();
    println!("{} messages", messages.len());
    println!("{:>8} octets a message", octets(&mut messages.iter().map(Vec::len)));
    println!("{:>8} octets of header", octets(&mut headers.iter().map(|h| h.len())));
    println!("{:>8} octets of short header", octets(&mut shorts.iter().map(Vec::len)));
    for (at, name) in ["Dates", "Keys", "Threads"].iter().enumerate() {
        println!("{:>8} octets of {name}", octets(&mut columns.iter().map(|c| c[at].len())));
    }

    let mut out = BytesMut::new();
    time("envelope", &headers, |header| {
        out.clear();
        let _ = envelope(header, &mut out);
    });
    time("envelope of short header", &shorts, |header| {
        out.clear();
        let _ = envelope(header, &mut out);
    });
    let mut kept = Vec::new();
    time("short header", &headers, |header| {
        kept.clear();
        short_header(header, &mut kept);
    });
    time("parse", &messages, |message| drop(black_box(Message::parse(message, false))));
    time("parse and body structure", &messages, |message| {
        out.clear();
        let _ = Message::parse(message, false).body_structure(true, &mut out);
    });
    time("preview", &messages, |message| drop(black_box(preview(message))));
    let needle = Needle::new(b"needle", "UTF-8").expect("UTF-8 is known");
    time("search in subject", &headers, |header| {
        black_box(needle.in_header_field(header, b"Subject"));
    });
    time("columns of header", &headers, |header| drop(black_box(columns_of(header))));
    let header_of = |at: &usize| &*headers[*at];
    let numbers: Vec<usize> = (0..messages.len()).collect();
    let keys = [SortKey::Date, SortKey::Subject, SortKey::DisplayFrom];
    let criteria = keys.map(|key| SortCriterion { key, reverse: false });
    let mut sorter = Sorter::new(&criteria);
    time("sorter, by header", &numbers, |at| sorter.add(*at as u32, 0, 0, header_of(at)));
    let mut sorter = Sorter::new(&criteria);
    time("sorter, by columns", &numbers, |at| {
        let [dates, keys, _] = &columns[*at];
        let (dates, keys) = (Dates::decode(dates).unwrap(), Keys::decode(keys).unwrap());
        sorter.add_facts(*at as u32, 0, 0, dates, &keys);
    });
    let mut threader = Threader::new(ThreadAlgorithm::References);
    time("threader, by header", &numbers, |at| {
        threader.add(&thread::Message::of_header(*at as u32, header_of(at), 0));
    });
    let mut threader = Threader::new(ThreadAlgorithm::References);
    time("threader, by columns", &numbers, |at| {
        let [dates, keys, threads] = &columns[*at];
        let (dates, keys) = (Dates::decode(dates).unwrap(), Keys::decode(keys).unwrap());
        let threads = Threads::decode(threads).unwrap();
        threader.add(&thread::Message::of_facts(*at as u32, 0, dates, &keys, threads));
    });
    time("message of columns alone", &numbers, |at| {
        let [dates, keys, threads] = &columns[*at];
        let (dates, keys) = (Dates::decode(dates).unwrap(), Keys::decode(keys).unwrap());
        let threads = Threads::decode(threads).unwrap();
        drop(black_box(thread::Message::of_facts(*at as u32, 0, dates, &keys, threads)));
    });
}

fn time<T>(name: &str, items: &[T], mut work: impl FnMut(&T)) {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    if wanted.is_some_and(|wanted| wanted != name) {
        return;
    }
    let round = |_| {
        let start = Instant::now();
        items.iter().for_each(&mut work);
        start.elapsed().as_nanos() / items.len() as u128
    };
    println!("{:>8} ns {name}", (0..ROUNDS).map(round).min().unwrap_or_default());
}

fn read(mbox: &[u8]) -> Vec<Vec<u8>> {
    let mut messages: Vec<Vec<u8>> = Vec::new();
    for line in mbox.split_inclusive(|&octet| octet == b'\n') {
        match messages.last_mut() {
            _ if line.starts_with(b"From ") => messages.push(Vec::new()),
            Some(message) => {
                message.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
                message.extend_from_slice(b"\r\n");
            }
            None => {}
        }
    }
    messages
}

fn short(header: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    short_header(header, &mut out);
    out
}

fn columns_of(header: &[u8]) -> (Dates, Option<Keys<'static>>, Threads) {
    (Dates::of_header(header), Keys::of_header(header), Threads::of_header(header))
}

fn columns(header: &[u8]) -> [Vec<u8>; 3] {
    let (dates, keys, threads) = columns_of(header);
    let mut columns = [Vec::new(), Vec::new(), Vec::new()];
    dates.encode(&mut columns[0]);
    keys.unwrap_or_default().encode(&mut columns[1]);
    threads.encode(&mut columns[2]);
    columns
}
