//! The command parser: a parsed command, printed again, is the same command.
//!
//! Input: an octet of flags, then what a client sends.

use imap::protocol::{
    Framer, Limits, Literal, Next, Scan, Tagged, decode_sasl, is_append, line, parse,
    parse_append_head, parse_append_options,
};

use super::print;

const LIMITS: Limits = Limits { line: 1 << 20, literals: 1 << 20 };

pub fn run(data: &[u8]) {
    let Some((&flags, octets)) = data.split_first() else { return };
    let utf8 = flags & 1 == 1;
    if flags & 2 == 2 {
        return lines(octets, utf8);
    }
    let command = match framed(octets) {
        Some(length) => &octets[..length],
        None => octets,
    };
    let appends = is_append(command);
    match parse(command, utf8) {
        Err(error) => {
            assert!(error.at <= command.len(), "{error}");
            assert!(!error.to_string().is_empty());
        }
        Ok(tagged) => {
            assert!(!appends, "APPEND is not parsed here");
            comes_back(&tagged, utf8);
        }
    }
}

/// Commands that are read line by line: APPEND, SASL.
fn lines(octets: &[u8], utf8: bool) {
    let text = line(octets).map_or(octets, |line| line.text);
    let _ = decode_sasl(text);
    let announced = Literal::at_end(text).map(|(literal, _)| literal);
    match parse_append_head(text, utf8) {
        Ok(_) => assert!(is_append(text)),
        Err(error) => {
            assert!(error.at <= text.len());
            assert_eq!(error.literal, announced);
        }
    }
    match parse_append_options(text) {
        Ok(Next::Message(options)) => assert_eq!(Some(options.literal), announced),
        Ok(Next::End) => assert!(text.iter().all(|&octet| octet == b' ')),
        Err(error) => assert_eq!(error.literal, announced),
    }
}

/// The length of the command at the start of the octets.
fn framed(octets: &[u8]) -> Option<usize> {
    let mut framer = Framer::new(LIMITS);
    loop {
        match framer.scan(octets) {
            Scan::Literal { fits: true, .. } => {}
            Scan::Command { length } => return Some(length),
            _ => return None,
        }
    }
}

fn comes_back(tagged: &Tagged, utf8: bool) {
    let Some(printed) = print::command(tagged, utf8) else { return };
    let shown = printed.escape_ascii();
    assert_eq!(framed(&printed), Some(printed.len()), "{shown}");
    match parse(&printed, utf8) {
        Ok(again) => assert_eq!(&again, tagged, "{shown}"),
        Err(error) => panic!("{error}: {shown}"),
    }
}
