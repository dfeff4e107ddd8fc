//! Tests of chunks.

use super::*;

fn message(fragments: &[u32]) -> MessageRecord {
    let piece = |(i, &length): (usize, &u32)| Fragment {
        segment: SegmentId(7 + i as u64),
        offset: 4096,
        length,
    };
    MessageRecord {
        size: fragments.iter().map(|&f| u64::from(f)).sum(),
        date: InternalDate::from_unix(1_000_000_000),
        flags: Flags::SEEN,
        keywords: KeywordList::default(),
        email: EmailId::default(),
        checksum: 1 << 100,
        fragments: fragments.iter().enumerate().map(piece).collect(),
    }
}

fn placed(uid: u32) -> Placed {
    let (uid, email) = (Uid(uid), EmailId(1 << 40 | u64::from(uid)));
    Placed { uid, email, keywords: KeywordSet(3), modseq: ModSeq(9), save_date: -5 }
}

fn sample() -> Chunk {
    let mut chunk = Chunk::default();
    chunk.push(placed(2), &message(&[10]));
    chunk.push(placed(3), &message(&[1, 2, 3]));
    chunk.push(placed(7), &message(&[20]));
    chunk.push(placed(8), &message(&[4, 5]));
    chunk
}

fn lengths(chunk: &Chunk) -> Vec<Vec<u32>> {
    chunk.iter().map(|entry| entry.fragments().map(|f| f.length).collect()).collect()
}

#[test]
fn entries_give_back_what_was_put_in() {
    let chunk = sample();
    let entry = chunk.get(chunk.find(Uid(3)).unwrap()).unwrap();
    let message = message(&[1, 2, 3]);
    assert_eq!((entry.uid(), entry.flags(), entry.size()), (Uid(3), Flags::SEEN, 6));
    assert_eq!((entry.keywords(), entry.modseq()), (KeywordSet(3), ModSeq(9)));
    assert_eq!((entry.date(), entry.save_date()), (message.date, -5));
    assert_eq!(entry.checksum(), message.checksum);
    assert_eq!(entry.email_id(), EmailId(1 << 40 | 3));
    assert_eq!(entry.fragments().collect::<Vec<_>>(), message.fragments);
    assert_eq!(chunk.find(Uid(4)), Err(2));
    assert_eq!(chunk.find_range(Uid(3), Uid(7)), 1..3);
    assert_eq!(chunk.find_range(Uid(9), Uid(1)), 4..4);
}

#[test]
fn removing_and_joining_keep_fragments_with_their_messages() {
    let mut chunk = sample();
    chunk.retain(|entry| entry.uid() != Uid(3));
    assert_eq!(lengths(&chunk), [vec![10], vec![20], vec![4, 5]]);
    let mut more = Chunk::default();
    more.push(placed(9), &message(&[6, 7]));
    more.push(placed(10), &message(&[8]));
    chunk.join(&more);
    assert_eq!(lengths(&chunk), [vec![10], vec![20], vec![4, 5], vec![6, 7], vec![8]]);
    chunk.check().unwrap();
}

#[test]
fn relocating_keeps_the_table_in_order() {
    let part = |length| Fragment { segment: SegmentId(99), offset: 8192, length };
    // One becomes two, three become one, two become three, and one stays one.
    let new = [
        (Uid(2), vec![part(4), part(6)]),
        (Uid(3), vec![part(6)]),
        (Uid(7), vec![part(20)]),
        (Uid(8), vec![part(1), part(7), part(1)]),
        (Uid(9), vec![part(1)]),
    ];
    for chosen in 0..32_u32 {
        let mut chunk = sample();
        let find = |uid| {
            let at = new.iter().position(|(other, _)| *other == uid)?;
            (chosen >> at & 1 == 1).then(|| new[at].1.as_slice())
        };
        chunk.relocate(find);
        let expected: Vec<Vec<u32>> = sample()
            .iter()
            .map(|entry| match find(entry.uid()) {
                Some(fragments) => fragments.iter().map(|f| f.length).collect(),
                None => entry.fragments().map(|f| f.length).collect(),
            })
            .collect();
        assert_eq!(lengths(&chunk), expected, "{chosen:b}");
        assert_eq!(Chunk::decode(&chunk.encode()), Ok(chunk));
    }
}

#[test]
fn chunks_come_back_from_their_rows() {
    for chunk in [Chunk::default(), sample()] {
        assert_eq!(Chunk::decode(&chunk.encode()), Ok(chunk));
    }
}

#[test]
fn a_message_of_4_gib_in_small_frames_fits() {
    let mut chunk = Chunk::default();
    chunk.push(placed(1), &message(&vec![16 << 10; 1 << 18]));
    assert!(chunk.fill().is_full());
    assert_eq!(Chunk::decode(&chunk.encode()).unwrap().get(0).unwrap().size(), 4 << 30);
}

#[test]
fn every_entry_has_an_emailid() {
    let mut chunk = Chunk::default();
    chunk.push(Placed { email: EmailId(0), ..placed(1) }, &message(&[1]));
    assert_eq!(Chunk::decode(&chunk.encode()), Err(Rot("an entry has no EMAILID")));
}

/// Rot that the checksum does not show, because it struck before the checksum was made.
#[test]
fn no_octet_makes_an_accessor_panic() {
    let chunk = sample();
    for at in 0..chunk.entries.len() * ENTRY {
        for value in [0, 1, 0x7f, 0xff] {
            let mut rotten = chunk.clone();
            rotten.entries.as_flattened_mut()[at] = value;
            if let Ok(read) = Chunk::decode(&rotten.encode()) {
                assert_eq!(lengths(&read).len(), 4);
                assert!(read.iter().all(|entry| !entry.date().to_string().is_empty()));
            }
        }
    }
}

#[test]
#[should_panic = "do not ascend"]
fn uids_ascend() {
    sample().push(placed(8), &message(&[1]));
}
