//! Headers like those of transfer agents and clients: long, folded, signed, encoded.

use std::io::Write;

use super::random::Random;
use super::text;
use imap::types::InternalDate;

const HOSTS: [&str; 12] = [
    "mail.example.org",
    "mx1.example.net",
    "lists.example.com",
    "smtp-out-17.bulk.example.com",
    "relay.uni.example",
    "mail-lf1-f41.provider.example",
    "exchange.corp.example",
    "localhost",
    "gateway.isp.example",
    "backup-mx.example.org",
    "outbound.protection.example",
    "xn--mnchen-3ya.example",
];

/// Display names, some as encoded words (RFC 2047) in three charsets and both encodings.
const NAMES: [&str; 12] = [
    "Alice Example",
    "\"Bob (Accounts)\"",
    "=?utf-8?Q?J=C3=BCrgen_M=C3=BCller?=",
    "=?iso-8859-1?Q?Andr=E9?= Dupont",
    "=?UTF-8?B?5bGx55SwIOWkqumDjg==?=",
    "=?iso-2022-jp?B?GyRCO3NFRBsoQg==?=",
    "=?koi8-r?B?7cHbwQ==?=",
    "\"O'Neill, Carol\"",
    "root",
    "\"Build \\\"nightly\\\" robot\"",
    "",
    "M. de la Cruz",
];

const SUBJECTS: [&str; 12] = [
    "Re: [PATCH 3/7] mm: do not wait for writeback",
    "Invoice 20931 for July",
    "=?utf-8?Q?Gr=C3=BC=C3=9Fe_aus_M=C3=BCnchen?=",
    "=?UTF-8?B?5Lya6K2w44Gu44GK55+l44KJ44Gb?=\r\n =?UTF-8?B?44Go6LOH5paZ?=",
    "Fwd: minutes of the meeting",
    "AW: Re: AW: Termin",
    "",
    "(no subject)",
    "Your order has been shipped! Track it here, or reply to this message if anything\r\n\
     \tin it is wrong",
    "[lists] archive: what happened to the index?",
    "Build failed in 1 of 214 jobs",
    "Re:",
];

const ZONES: [(&str, i64); 8] = [
    ("+0000", 0),
    ("-0800", -28_800),
    ("+0100", 3_600),
    ("+0200", 7_200),
    ("-0500", -18_000),
    ("+0530", 19_800),
    ("+0900", 32_400),
    ("-0000", 0),
];

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// Time at which a message was sent: seconds since 1970, and the sender's zone.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    unix: i64,
    zone: &'static str,
    ahead: i64,
}

impl Moment {
    /// A random time in the years 1996 to 2025.
    pub(super) fn random(random: &mut Random) -> Moment {
        let unix = 820_454_400 + random.below(30 * 31_556_952) as i64;
        let (zone, ahead) = ZONES[random.below(ZONES.len())];
        Moment { unix, zone, ahead }
    }

    /// This much later.
    pub(super) fn after(self, seconds: i64) -> Moment {
        Moment { unix: self.unix + seconds, ..self }
    }

    /// As an INTERNALDATE in the sender's zone.
    pub(super) fn internal_date(self) -> InternalDate {
        let text = InternalDate::from_unix(self.unix + self.ahead).to_string();
        let text = text.replace("+0000", self.zone);
        InternalDate::parse(text.as_bytes()).expect("a printed date with another zone is a date")
    }

    /// As the value of a Date field (RFC 5322 section 3.3).
    fn rfc5322(self) -> String {
        let day = DAYS[(self.unix + self.ahead).div_euclid(86_400).rem_euclid(7) as usize];
        let date = self.internal_date().to_string();
        format!("{day}, {}", date.trim_start().replacen('-', " ", 2))
    }
}

/// Writes the header of a message that will have about `size` octets, up to `MIME-Version`, which
/// the writer of the body adds. Larger messages get longer headers.
pub(super) fn write(random: &mut Random, out: &mut Vec<u8>, moment: Moment, size: usize) {
    let hops = if size < 1500 { 1 } else { random.between(2, 5) };
    field(out, format_args!("Return-Path: <bounces+{}@example.com>", random.below(1 << 20)));
    for hop in (0..hops).rev() {
        received(random, out, moment.after(hop as i64 * 3));
    }
    if size > 2500 && random.chance(50) {
        signature(random, out, moment);
    }
    let date = moment.rfc5322();
    let names = ["Date", "Date", "Date", "DATE", "date"];
    field(out, format_args!("{}: {date}", random.pick(&names)));
    address(random, out, "From: ");
    let many = size > 4000 && random.chance(10);
    recipients(random, out, if many { 12 } else { 1 });
    field(out, format_args!("Subject: {}", random.pick(&SUBJECTS)));
    message_id(random, out, b"Message-ID: ");
    if random.chance(40) {
        references(random, out, if size > 3000 { 8 } else { 2 });
    }
    extras(random, out, size);
}

fn field(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes everything");
    out.extend_from_slice(b"\r\n");
}

fn received(random: &mut Random, out: &mut Vec<u8>, moment: Moment) {
    let (from, by) = (random.pick(&HOSTS), random.pick(&HOSTS));
    let host = random.below(256);
    field(
        out,
        format_args!(
            "Received: from {from} ({from} [192.0.2.{host}] (may be forged))\r\n\tby {by}"
        ),
    );
    out.truncate(out.len() - 2);
    out.extend_from_slice(b" (8.12.3/8.12.3) with ESMTP id ");
    text::token(random, out, 14);
    let to = random.below(5000);
    field(out, format_args!("\r\n\tfor <user{to}@example.org>; {}", moment.rfc5322()));
}

/// A field in the form of DKIM (RFC 6376): folded tags, and a base64 signature over several lines.
fn signature(random: &mut Random, out: &mut Vec<u8>, moment: Moment) {
    out.extend_from_slice(
        b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com;\r\n\
          \ts=20230601; h=from:to:subject:date:message-id:list-id;\r\n\tt=",
    );
    field(out, format_args!("{};", moment.unix));
    let mut octets = Vec::with_capacity(400);
    text::base64(random, &mut octets, 340, b"");
    out.extend_from_slice(b"\tbh=");
    out.extend_from_slice(&octets[..44]);
    out.extend_from_slice(b";\r\n\tb=");
    out.extend_from_slice(&octets[78..142]);
    out.extend_from_slice(b"\r\n");
    for line in octets[156..].split_inclusive(|&o| o == b'\n') {
        out.extend_from_slice(b"\t ");
        out.extend_from_slice(line);
    }
}

fn address(random: &mut Random, out: &mut Vec<u8>, before: &str) {
    let (name, user) = (random.pick(&NAMES), random.below(5000));
    let host = random.pick(&HOSTS);
    let space = if name.is_empty() { "" } else { " " };
    field(out, format_args!("{before}{name}{space}<user{user}@{host}>"));
}

fn recipients(random: &mut Random, out: &mut Vec<u8>, count: usize) {
    address(random, out, "To: ");
    for _ in 1..count {
        out.truncate(out.len() - 2);
        address(random, out, ",\r\n  ");
    }
}

fn message_id(random: &mut Random, out: &mut Vec<u8>, before: &[u8]) {
    out.extend_from_slice(before);
    out.push(b'<');
    let length = random.between(12, 32);
    text::token(random, out, length);
    let host = random.pick(&HOSTS);
    field(out, format_args!("@{host}>"));
}

fn references(random: &mut Random, out: &mut Vec<u8>, most: usize) {
    message_id(random, out, b"In-Reply-To: ");
    out.extend_from_slice(b"References:");
    for _ in 0..random.between(1, most) {
        message_id(random, out, b" ");
    }
}

/// Fields that lists, filters and clients add.
fn extras(random: &mut Random, out: &mut Vec<u8>, size: usize) {
    if random.chance(30) {
        field(out, format_args!("X-Mailer: Mutt 1.4.{}i", random.below(10)));
    }
    if size > 2000 && random.chance(40) {
        let list = random.pick(&["kernel", "announce", "dev", "ops"]);
        field(out, format_args!("List-Id: <{list}.lists.example.com>\r\nPrecedence: bulk"));
        field(out, format_args!("List-Unsubscribe: <mailto:{list}-leave@lists.example.com>,"));
        field(out, format_args!("\t<https://lists.example.com/options/{list}>"));
    }
    if size > 2000 && random.chance(30) {
        let (whole, tenths) = (random.below(9), random.below(10));
        field(
            out,
            format_args!("X-Spam-Status: No, score={whole}.{tenths} required=9.0 tests=BAYES_00,"),
        );
        field(out, format_args!("\tDKIM_SIGNED,HTML_MESSAGE,RCVD_IN_DNSWL_NONE autolearn=ham"));
    }
    if random.chance(3) {
        // Unencoded Latin-1, as found in old archives.
        out.extend_from_slice(b"Organization: Universit\xe4t M\xfcnchen, Caf\xe9\r\n");
    }
}
