//! Every metric is exported, documented, and right after a known load.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;

use kit::{Folder, Identity, Message};

use super::http::get;
use super::{observed, until};

/// The samples of a scrape by name and labels: `mailrace_messages_total{reactor="0"}`.
struct Scrape {
    samples: BTreeMap<String, f64>,
    families: BTreeSet<String>,
}

impl Scrape {
    /// Reads a text, strictly.
    fn of(text: &str) -> Scrape {
        let mut scrape = Scrape { samples: BTreeMap::new(), families: BTreeSet::new() };
        let (mut family, mut kind, mut helped) = (String::new(), String::new(), false);
        let lines: Vec<_> = text.strip_suffix("# EOF\n").expect("an end").lines().collect();
        for line in lines {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("a text");
                assert!(help.ends_with('.'), "{line}");
                assert!(scrape.families.insert(name.into()), "twice: {line}");
                (family, helped) = (name.into(), true);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, what) = rest.split_once(' ').expect("a type");
                assert!(helped && name == family, "{line}");
                kind = what.into();
            } else if let Some(rest) = line.strip_prefix("# UNIT ") {
                let (name, unit) = rest.split_once(' ').expect("a unit");
                assert!(name == family && name.ends_with(&format!("_{unit}")), "{line}");
            } else {
                let (name, value) = line.rsplit_once(' ').expect("a value");
                scrape.sample(&family, &kind, name, value.parse().expect("a number"));
            }
        }
        scrape
    }

    fn sample(&mut self, family: &str, kind: &str, name: &str, value: f64) {
        let bare = name.split('{').next().unwrap();
        let suffix = bare.strip_prefix(family).unwrap_or_else(|| panic!("{name} in {family}"));
        let right = match kind {
            "counter" => suffix == "_total",
            "gauge" => suffix.is_empty(),
            "histogram" => ["_sum", "_count", "_bucket"].contains(&suffix),
            other => panic!("what is a {other}?"),
        };
        assert!(right, "{name} of a {kind}");
        assert!(value >= 0.0 && value.is_finite(), "{name} {value}");
        assert!(self.samples.insert(name.into(), value).is_none(), "twice: {name}");
    }

    /// The sum of all samples of a name whose labels contain this text.
    fn sum(&self, name: &str, label: &str) -> f64 {
        let ours = self
            .samples
            .iter()
            .filter(|(key, _)| key.split('{').next() == Some(name) && key.contains(label));
        let values: Vec<f64> = ours.map(|(_, value)| *value).collect();
        assert!(!values.is_empty(), "no {name} with {label}");
        values.iter().sum()
    }
}

fn scrape(admin: SocketAddr) -> Scrape {
    let answer = get(admin, "/metrics");
    assert_eq!(answer.code, 200);
    assert!(answer.header("content-type").starts_with("application/openmetrics-text; version=1"));
    Scrape::of(&answer.body)
}

/// Scrapes until a sum has this value.
fn scrape_when(admin: SocketAddr, name: &str, label: &str, value: f64) -> Scrape {
    until(|| {
        let scrape = scrape(admin);
        let now = scrape.sum(name, label);
        assert!(now <= value, "{name} {label}: {now}");
        (now == value).then_some(scrape)
    })
}

#[test]
fn a_known_load_is_counted_to_the_last_octet() {
    let folder = Folder::new();
    let (server, admin) = observed(&folder, &[]);
    let before = scrape(admin);
    for name in ["messages_total", "message_bytes_total", "batches_total", "parse_errors_total"] {
        assert_eq!(before.sum(&format!("mailrace_{name}"), "reactor="), 0.0, "{name}");
    }

    let mut client = server.login();
    let body = "x".repeat(5000);
    let message = |options| Message { options, octets: body.as_bytes() };
    for batch in [&[message(""), message("(\\Seen) "), message("")][..], &[message("")]] {
        assert!(client.append("INBOX", batch).tagged.starts_with("OK"));
    }
    let refused = client.append("nowhere", &[message("")]);
    assert!(refused.tagged.starts_with("NO [TRYCREATE]"), "{}", refused.tagged);
    assert!(client.command("NONSENSE").tagged.starts_with("BAD"));
    client.ok("SELECT INBOX");
    let mut stranger = server.connect();
    assert!(stranger.command("LOGIN alice wrong").tagged.starts_with("NO"));

    scrape_when(admin, "mailrace_refusals_total", "what=\"login\"", 1.0);
    let after = settled(admin);
    for (name, label, value) in [
        ("messages_total", "", 4.0),
        ("message_bytes_total", "", 20_000.0),
        ("batches_total", "", 2.0),
        ("refusals_total", "what=\"append\"", 1.0),
        ("refusals_total", "what=\"connection\"", 0.0),
        ("parse_errors_total", "", 1.0),
        ("logins_total", "", 1.0),
        ("connections", "state=\"append\"", 1.0),
        ("connections", "state=\"selected\"", 0.0),
        ("connections", "state=\"login\"", 1.0),
        ("connections", "", 2.0),
        ("uploads_active", "", 1.0),
        ("connections_limit", "", 16_384.0),
        ("leases", "size=\"small\"", 512.0),
        ("leases", "size=\"large\"", 128.0),
        // One for the header of each next segment.
        ("leases_in_use", "size=\"small\"", 2.0),
        ("leases_in_use", "size=\"large\"", 0.0),
        ("lease_waits_total", "", 0.0),
        ("segments", "state=\"active\"", 2.0),
        ("checkpoint_failures_total", "", 0.0),
        ("unwritten_segments_total", "", 0.0),
        ("log_waits_total", "", 0.0),
        ("ready", "", 1.0),
    ] {
        let name = format!("mailrace_{name}");
        if name == "mailrace_uploads_active" {
            // Uploads are sampled twice a second.
            scrape_when(admin, &name, label, value);
            continue;
        }
        assert_eq!(after.sum(&name, label), value, "{name} {label}");
    }
    let syncs = after.sum("mailrace_fdatasync_seconds_count", "");
    assert!(syncs >= 2.0, "{syncs}");
    assert_eq!(after.sum("mailrace_fdatasync_seconds_bucket", "le=\"+Inf\""), syncs);
    assert!(after.sum("mailrace_fdatasync_group_size_sum", "") >= 2.0);
    assert!(after.sum("mailrace_fdatasync_seconds_sum", "") > 0.0);
    assert!(after.sum("mailrace_log_bytes_total", "") > 20_000.0);
    assert!(after.sum("mailrace_log_frames_total", "") >= 2.0);
    assert!(after.sum("mailrace_log_durable_lsn", "") >= 2.0);
    assert!(after.sum("mailrace_log_position_bytes", "") > 20_000.0);
    assert!(after.sum("mailrace_log_segment", "") >= 1.0);
    assert!(after.sum("mailrace_reactor_cpu_seconds_total", "") > 0.0);
    let turns = "mailrace_reactor_turns_total";
    assert!(after.sum(turns, "") > before.sum(turns, ""));
    let late = "mailrace_reactor_lateness_seconds_count";
    assert!(after.sum(late, "") > before.sum(late, ""));
    let (size, free) = ("mailrace_disk_size_bytes", "mailrace_disk_free_bytes");
    assert!(after.sum(size, "") >= after.sum(free, "") && after.sum(free, "") > 0.0);

    // After ten seconds in the log, changes are in the catalog.
    let written = until(|| {
        let scrape = scrape(admin);
        (scrape.sum("mailrace_checkpoint_lag_bytes", "") == 0.0).then_some(scrape)
    });
    assert!(written.sum("mailrace_checkpoints_total", "") >= 1.0);
    drop((client, stranger));
    scrape_when_gone(admin);
}

/// A scrape after each reactor has published everything before this call.
fn settled(admin: SocketAddr) -> Scrape {
    let turns = |scrape: &Scrape, number| {
        scrape.sum("mailrace_reactor_turns_total", &format!("reactor=\"{number}\""))
    };
    let before = scrape(admin);
    until(|| {
        let now = scrape(admin);
        let turned = |number| turns(&now, number) >= turns(&before, number) + 2.0;
        (0..2).all(turned).then_some(now)
    })
}

fn scrape_when_gone(admin: SocketAddr) {
    until(|| (scrape(admin).sum("mailrace_connections", "") == 0.0).then_some(()));
}

/// Nothing else is written in the meantime.
#[test]
fn an_account_that_was_only_read_leaves_memory() {
    let folder = Folder::new();
    let (server, _) = observed(&folder, &[]);
    let mut client = server.login();
    let message = Message { options: "", octets: b"Subject: x\r\n\r\nx\r\n" };
    assert!(client.append("INBOX", &[message]).tagged.starts_with("OK"));
    drop(client);
    assert!(server.terminate().success());
    let (server, admin) = observed(&folder, &[]);
    let accounts = |count: f64| {
        until(|| (scrape(admin).sum("mailrace_accounts", "") == count).then_some(()));
    };
    let mut client = server.login();
    accounts(1.0);
    client.ok("EXAMINE INBOX");
    client.ok("UID FETCH 1:* (FLAGS)");
    drop(client);
    accounts(0.0);
}

/// The status says the same as the metrics.
#[test]
fn the_status_tells_the_same() {
    let folder = Folder::new();
    let (server, admin) = observed(&folder, &[]);
    let mut client = server.login();
    let message = Message { options: "", octets: &[b'x'; 3000] };
    assert!(client.append("INBOX", &[message; 7]).tagged.starts_with("OK"));
    assert!(client.append("nowhere", &[message]).tagged.starts_with("NO"));
    let status = until(|| {
        let status = super::http::json(admin, "/status.json");
        let has = |list: &str| !status[list].as_array().unwrap().is_empty();
        (has("refusals") && has("uploads")).then_some(status)
    });
    assert_eq!(status["version"], 1);
    assert_eq!(status["ready"], true);
    assert_eq!(
        (&status["totals"]["messages"], &status["totals"]["octets"]),
        (&7.into(), &21_000.into())
    );
    assert_eq!(status["reactors"].as_array().unwrap().len(), 2);
    let figures: BTreeMap<_, _> = status["figures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|figure| (figure["name"].as_str().unwrap(), &figure["values"]))
        .collect();
    assert_eq!(figures["mailrace_messages_total"][0]["value"], 7.0);
    assert_eq!(figures["mailrace_refusals_total"][0]["of"], "append");
    assert_eq!(figures["mailrace_leases"][0]["value"], 512.0);
    let upload = &status["uploads"][0];
    assert_eq!((&upload["user"], &upload["mailbox"]), (&"alice".into(), &"INBOX".into()));
    let refusal = &status["refusals"][0];
    assert_eq!((&refusal["what"], &refusal["mailbox"]), (&"append".into(), &"nowhere".into()));
    assert!(refusal["reason"].as_str().unwrap().contains("CREATE it first"), "{refusal}");
    let history: u64 =
        status["history"]["messages"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(history, 7);
}

/// The manual explains each metric, and no other.
#[test]
fn the_manual_lists_every_metric() {
    let folder = Folder::new();
    let identity = Identity::new(&folder);
    let (certificate, key) = (identity.certificate.to_str(), identity.key.to_str());
    let tls = ["--tls-cert", certificate.unwrap(), "--tls-key", key.unwrap()];
    let (_server, admin) = observed(&folder, &tls);
    let shown = scrape(admin).samples.into_keys().map(|name| {
        let bare = name.split('{').next().unwrap().to_owned();
        let part = ["_sum", "_count", "_bucket"].into_iter().find_map(|end| bare.strip_suffix(end));
        part.map_or_else(|| bare.clone(), str::to_owned)
    });
    let shown: BTreeSet<String> = shown.collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/manual/observability.md");
    let manual = fs::read_to_string(path).unwrap();
    let rows = manual.lines().filter_map(|line| line.strip_prefix("| `mailrace_"));
    let listed: BTreeSet<String> =
        rows.map(|row| format!("mailrace_{}", row.split('`').next().unwrap())).collect();
    assert_eq!(listed, shown);
}
