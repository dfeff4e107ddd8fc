use std::path::{Path, PathBuf};

use super::*;
use imap::types::{Flags, InternalDate};

fn mbox(text: &str) -> Vec<String> {
    let mails = Mbox::new(Path::new("test"), text.as_bytes()).unwrap();
    mails.map(|m| String::from_utf8(m.unwrap().octets.to_vec()).unwrap()).collect()
}

#[test]
fn an_mbox_is_split_and_unquoted() {
    let text = "From a@b Wed Jun 19 20:38:52 2002\nSubject: 1\n\n>From x\n>>From y\n> From z\n\n\n\
        From c Wed Jun 19 20:38:52 2002\nA: 2\r\n\r\nFrome\n\nFrom d\nlast";
    let first = "Subject: 1\r\n\r\nFrom x\r\n>From y\r\n> From z\r\n\r\n";
    assert_eq!(mbox(text), [first, "A: 2\r\n\r\nFrome\r\n", "last"]);
}

#[test]
fn empty_messages_and_empty_files() {
    let mut mails = Mbox::new(Path::new("t"), &b"From a\n\nFrom b\nx\n\nFrom c\n"[..]).unwrap();
    assert_eq!(mails.next().unwrap().unwrap().octets, "x\r\n");
    assert!(mails.next().is_none());
    assert_eq!(mails.empty(), 2);
    assert!(mbox("").is_empty());
    let other = Mbox::new(Path::new("t"), &b"Subject: x\n"[..]);
    assert!(matches!(other, Err(SourceError::NotAnMbox { .. })));
}

#[test]
fn from_lines_give_the_date() {
    for (line, date) in [
        ("From pj@engr.sgi.com Wed Jun 19 20:38:52 2002", Some("19-Jun-2002 20:38:52 +0000")),
        ("From MAILER-DAEMON Fri Jul  8 12:08:34 2011 +0200", Some(" 8-Jul-2011 12:08:34 +0000")),
        ("From x@y Mon Feb  7 21:52:25 -0800 1994", Some(" 7-Feb-1994 21:52:25 +0000")),
        ("From x@y", None),
        ("From x@y Wed Jun 19 20:38 2002", None),
    ] {
        let text = format!("{line}\nx\n");
        let mail = Mbox::new(Path::new("t"), text.as_bytes()).unwrap().next().unwrap().unwrap();
        let expected = date.map(|d| InternalDate::parse(d.as_bytes()).unwrap());
        assert_eq!(mail.date, expected, "{line}");
    }
}

#[test]
fn a_maildir_gives_flags_and_line_ends() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("new/1000.a.host", "Subject: new\n\nx\r\ny"),
        ("cur/2000.b.host:2,FRS", "\n"),
        ("cur/3000.c.host,S=0:2,", ""),
        ("cur/.hidden", "no mail"),
    ] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let mut source = Source::open(folder.path()).unwrap();
    let mails: Vec<_> = source.by_ref().map(Result::unwrap).collect();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].octets, "Subject: new\r\n\r\nx\r\ny");
    assert_eq!(mails[1].octets, "\r\n");
    assert_eq!(mails[1].flags.names().collect::<Vec<_>>(), ["\\Answered", "\\Flagged", "\\Seen"]);
    assert!(mails.iter().all(|m| m.date.is_some()));
    assert_eq!(source.empty(), 1);
}

#[test]
fn flags_of_names() {
    assert_eq!(maildir_flags(b"1:2,DT"), Flags::DRAFT.union(Flags::DELETED));
    assert_eq!(maildir_flags(b"1:2,Pab"), Flags::default());
    assert_eq!(maildir_flags(b"1,S=10,W=11"), Flags::default());
    assert_eq!(maildir_flags(b""), Flags::default());
}

#[test]
fn eml_files_come_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd.EML");
    std::fs::write(&path, b"a\nb\r\0").unwrap();
    std::fs::write(folder.path().join("notes.txt"), b"x").unwrap();
    for opened in [folder.path(), &path] {
        let mails: Vec<_> = Source::open(opened).unwrap().map(Result::unwrap).collect();
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0].octets, &b"a\nb\r\0"[..]);
    }
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(Source::open(folder.path()), Err(SourceError::NoMail { .. })));
    assert!(matches!(Source::open(&path), Err(SourceError::Io { .. })));
}

/// The folder of real mail that `MAILRACE_CORPUS` names.
fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("MAILRACE_CORPUS").map(PathBuf::from);
    let found = folder.filter(|folder| folder.join("messages.mbox").is_file());
    if found.is_none() {
        eprintln!("SKIPPED: MAILRACE_CORPUS names no folder of real mail");
    }
    found
}

#[test]
fn the_corpus_loads_wholly() {
    let Some(corpus) = corpus() else { return };
    let list = std::fs::read_to_string(corpus.join("messages.tsv")).unwrap();
    let sizes: Vec<usize> =
        list.lines().skip(1).map(|l| l.split('\t').nth(3).unwrap().parse().unwrap()).collect();
    let mails: Vec<_> =
        Source::open(&corpus.join("messages.mbox")).unwrap().map(Result::unwrap).collect();
    assert_eq!(mails.len(), 2_065);
    assert_eq!(mails.iter().map(|m| m.octets.len()).collect::<Vec<_>>(), sizes);
    assert!(mails.iter().all(|m| m.date.is_some()));

    let torture = corpus.join("torture");
    let octets: usize = Source::open(&torture).unwrap().map(|m| m.unwrap().octets.len()).sum();
    assert_eq!(Source::open(&torture).unwrap().count(), 298);
    assert_eq!(octets, 4_020_810);
}
