//! Seeds: what clients say in the transcripts, generated mail and that of the corpus if it is
//! there, and logs as the server writes them.

use std::fs;
use std::path::{Path, PathBuf};

use imap::protocol::{Framer, Limits, Scan, is_append};
use kit::Random;
use mailrace::store::{BatchId, Epoch, FrameHeader, LogId, Lsn, Record, SegmentHeader, SegmentId};
use mailrace::tools::Generator;

use crate::targets::input::Input;
use crate::targets::records::record;

/// The words of the grammars.
pub const WORDS: [&[u8]; 104] = [
    b"\r\n",
    b"\n",
    b" ",
    b"(",
    b")",
    b"{3}\r\n",
    b"{3+}\r\n",
    b"~{3+}\r\n",
    b"\"",
    b"\\",
    b"*",
    b"%",
    b"$",
    b"1:*",
    b"1,3:5",
    b"4294967295",
    b"18446744073709551615",
    b"NIL",
    b"APPEND",
    b"INBOX",
    b"UTF8 (",
    b"(\\Seen)",
    b"\" 7-Feb-1994 22:43:04 -0800\"",
    b"UID ",
    b"FETCH ",
    b"STORE ",
    b"SEARCH ",
    b"SORT ",
    b"THREAD ",
    b"SELECT ",
    b"LIST ",
    b"STATUS ",
    b"CREATE ",
    b"RETURN (",
    b"PARTIAL -1:-9",
    b"CHARSET UTF-8 ",
    b"OR ",
    b"NOT ",
    b"KEYWORD ",
    b"HEADER ",
    b"TEXT ",
    b"SINCE 1-Feb-1994",
    b"MODSEQ ",
    b"QRESYNC (1 2 3 (4 5))",
    b"CONDSTORE",
    b"CHANGEDSINCE 5",
    b"VANISHED",
    b"UNCHANGEDSINCE 7",
    b"+FLAGS.SILENT ",
    b"BODY.PEEK[",
    b"HEADER.FIELDS (",
    b"BINARY[1.2]",
    b"<0.10>",
    b"PREVIEW (LAZY)",
    b"RECURSIVEMATCH",
    b"SPECIAL-USE",
    b"GETMETADATA ",
    b"SETMETADATA ",
    b"(MAXSIZE 9 DEPTH infinity) ",
    b"/private/specialuse ",
    b"USE (\\Sent)",
    b"&AOk-",
    b"&-",
    b"&2D3eAA-",
    b"/",
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b"Content-Type: message/rfc822\r\n",
    b"Content-Type: text/plain; charset=utf-8\r\n",
    b"Content-Type: text/html\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: quoted-printable\r\n",
    b"Content-Disposition: attachment; filename*0*=utf-8''a%20\r\n",
    b"Content-Language: de, en\r\n",
    b"Content-ID: <a@b>\r\n",
    b"Mime-Version: 1.0\r\n",
    b"multipart/digest",
    b"--b\r\n",
    b"--b--\r\n",
    b"\r\n\r\n",
    b"From: ",
    b"To: a <b@c>, d: e@f;, <@g:h@i>\r\n",
    b"Subject: ",
    b"Re: ",
    b"[Fwd: ",
    b"Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)\r\n",
    b"Message-ID: <a@b>\r\n",
    b"References: <a@b> <c@d>\r\n",
    b"=?utf-8?q?",
    b"=?iso-8859-1?b?",
    b"?=",
    b"=C3=A9",
    b"=E9",
    b"\xc3\xa9",
    b"e\xcc\x81",
    b"\xe9",
    b"\x1b$B$\"\x1b(B",
    b"\xef\xac\x81",
    b"\0",
    b"\xff\xff\xff\xff",
    b"\x80",
    b"mailrace",
    b"mrfr",
    b"\x00\x10\x00\x00",
    b"\x01\x00\x00\x00\x00\x00\x00\x00",
];

/// The seeds of a target.
pub fn seeds(target: &str, random: &mut Random) -> Vec<Vec<u8>> {
    match target {
        "command" => commands(),
        "framing" => framing(),
        "append" => appends(),
        "records" => records(random),
        "recovery" => (0..200).map(|_| script(random)).collect(),
        "search" => searches(random),
        "mime" => mail(),
        "utf7" => names(),
        other => panic!("no target {other}"),
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Everything that the first client says in each transcript.
fn dialogues() -> Vec<Vec<u8>> {
    let mut files: Vec<_> = fs::read_dir(root().join("tests/transcripts"))
        .expect("transcripts")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    let said = |file: &Path| {
        let text = fs::read_to_string(file).expect("a transcript");
        let mut said = Vec::new();
        for line in text.lines() {
            let (text, end) = match (line.strip_prefix("C:"), line.strip_prefix("C-")) {
                (Some(text), _) => (text, "\r\n"),
                (_, Some(text)) => (text, ""),
                _ => continue,
            };
            said.extend_from_slice(text.strip_prefix(' ').unwrap_or(text).as_bytes());
            said.extend_from_slice(end.as_bytes());
        }
        said
    };
    files.iter().map(|file| said(file)).collect()
}

/// The commands in them, with their literals.
fn commands_said() -> Vec<Vec<u8>> {
    let mut commands = Vec::new();
    for dialogue in dialogues() {
        let mut rest = dialogue.as_slice();
        let mut framer = Framer::new(Limits { line: 1 << 20, literals: 1 << 20 });
        loop {
            match framer.scan(rest) {
                Scan::Literal { fits: true, .. } => {}
                Scan::Command { length } => {
                    commands.push(rest[..length].to_vec());
                    rest = &rest[length..];
                }
                _ => break,
            }
        }
    }
    commands.sort();
    commands.dedup();
    commands
}

fn commands() -> Vec<Vec<u8>> {
    let of = |command: &Vec<u8>| {
        let lines = if is_append(command) { 2 } else { 0 };
        [0, 1].map(|utf8| [&[lines + utf8], command.as_slice()].concat())
    };
    commands_said().iter().flat_map(of).collect()
}

fn framing() -> Vec<Vec<u8>> {
    let of =
        |dialogue: &Vec<u8>| [[0, 1], [40, 2], [255, 3]].map(|head| [&head[..], dialogue].concat());
    dialogues().iter().flat_map(of).collect()
}

fn appends() -> Vec<Vec<u8>> {
    let commands = commands_said().into_iter().filter(|command| is_append(command));
    let of = |command: Vec<u8>| {
        [[0, 1], [1, 2], [2, 3]].map(|head| [&head[..], &command, b"b NOOP\r\n"].concat())
    };
    let several =
        b"\x01\x07a APPEND {5+}\r\nINBOX (\\Seen) {3}\r\nabc ~{2+}\r\nde UTF8 (~{1+}\r\nf)\r\n";
    commands.flat_map(of).chain([several.to_vec()]).collect()
}

/// Messages: those of the transcripts, some of the generator, those of the corpus.
fn mail() -> Vec<Vec<u8>> {
    let mut mail = Vec::new();
    for command in commands_said().into_iter().filter(|command| is_append(command)) {
        let line = command.iter().position(|&octet| octet == b'\n').unwrap_or(0);
        mail.push(command[line + 1..].to_vec());
    }
    let generated = Generator::new(7).take(40).map(|mail| mail.octets.to_vec());
    mail.extend(generated.filter(|octets: &Vec<u8>| octets.len() < 16_384));
    let corpus = std::env::var_os("MAILRACE_CORPUS").map(PathBuf::from);
    let torture = corpus.and_then(|corpus| fs::read_dir(corpus.join("torture")).ok());
    let files = torture.into_iter().flatten().flatten();
    let mut files: Vec<_> = files.map(|entry| entry.path()).collect();
    files.sort();
    let octets = files.iter().filter_map(|file| fs::read(file).ok());
    mail.extend(octets.filter(|octets| octets.len() < 8192));
    mail
}

fn searches(random: &mut Random) -> Vec<Vec<u8>> {
    let mut seeds: Vec<_> =
        (0..100).map(|_| [&[0], &*random_octets(random, 40)].concat()).collect();
    let words = ["meeting", "é", "smith", "", "fi", "B", " ", "a b"];
    for (n, message) in mail().iter().filter(|message| message.len() < 4096).enumerate() {
        let word = words[n % words.len()].as_bytes();
        seeds.push([&[1, word.len() as u8], word, message].concat());
        seeds.push([&[2, n as u8, word.len() as u8], word, message].concat());
    }
    seeds
}

fn random_octets(random: &mut Random, most: usize) -> Vec<u8> {
    (0..random.within(1, most)).map(|_| random.number() as u8).collect()
}

fn names() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for name in [
        "INBOX",
        "inbox/a",
        "Entw&APw-rfe",
        "~peter/mail/&U,BTFw-/&ZeVnLIqe-",
        "&2D3eAA-",
        "a&-b",
        "Böses & Gutes",
        "台北",
        "a/b/c",
        "&Jjo-!",
        "x\u{2028}",
        // They have another form on the wire.
        "&U,BTFw-&ZeVnLIqe-",
        "&AGE-",
        "&APx-",
        "&APwA-",
        "&2D0-",
        "R&D",
    ] {
        seeds.push([b"\0", name.as_bytes()].concat());
        for pattern in ["*", "%", "INB%", "a/%/*", "&U,BTFw-*", "%/%", "*a*b*"] {
            seeds.push([b"\x01", pattern.as_bytes(), b"\0", name.as_bytes()].concat());
        }
    }
    seeds
}

fn records(random: &mut Random) -> Vec<Vec<u8>> {
    let mut seeds = vec![frame_header(), segment_header()];
    for kind in 0..13 {
        for _ in 0..6 {
            let octets =
                [&random_octets(random, 12)[..], &[kind], &random_octets(random, 150)].concat();
            let bit_and_payload = random.number().to_le_bytes();
            seeds.push([&[4], &bit_and_payload[..5], &[0], &octets].concat());
            seeds.push([&[3][..], &bodies(&record(&mut Input::new(&octets)))].concat());
            let mut region = vec![0; record(&mut Input::new(&octets)).encoded_len()];
            record(&mut Input::new(&octets)).encode(&mut region);
            seeds.push([&[0], &region[..]].concat());
        }
    }
    seeds
}

/// A record as the target reads it: kind, version, length and body.
fn bodies(record: &Record) -> Vec<u8> {
    let mut octets = vec![0; record.encoded_len()];
    record.encode(&mut octets);
    let length = octets[0].min(200);
    [&[octets[4], octets[6], length], &octets[16..octets.len().min(16 + usize::from(length))]]
        .concat()
}

fn frame_header() -> Vec<u8> {
    let header = FrameHeader {
        epoch: Epoch(1),
        log: LogId(0),
        salt: 7,
        segment: SegmentId(1),
        lsn: Lsn(2),
        watermark: Lsn(1),
        stream: BatchId(1),
        position: 0,
        length: 4096,
        payload: 100,
        records: 8,
        count: 1,
    };
    let mut octets = [0; 128];
    header.encode(&mut octets);
    [&[1], &octets[6..120]].concat()
}

fn segment_header() -> Vec<u8> {
    let header = SegmentHeader {
        segment: SegmentId(2),
        epoch: Epoch(1),
        log: LogId(0),
        logs: 1,
        salt: 7,
        first_lsn: Lsn(3),
        watermark: Lsn(1),
        previous: Some((SegmentId(1), 8192)),
        size: 1 << 20,
        created: 0,
        reused: true,
    };
    let mut octets = vec![0; 4096];
    header.encode(&mut octets);
    [&[2], &octets[10..88]].concat()
}

/// Steps for the target `recovery`: a log that is written, and usually corrupted in the end.
fn script(random: &mut Random) -> Vec<u8> {
    let mut script = vec![random.number() as u8, 0, 9];
    for _ in 0..random.within(1, 12) {
        script.push(random.pick(&[0, 2, 2, 3, 3, 4, 5, 6, 7, 7, 7, 8, 9]));
        script.extend(random_octets(random, 40));
    }
    for _ in 0..random.below(4) {
        script.push(random.within(10, 19) as u8);
        script.extend(random_octets(random, 20));
    }
    script
}
