//! Files that are damaged at random: a start recovers everything acknowledged or names the damage.
//! A read returns the original octets or is refused.
//!
//! If the last file of a log is deleted, cut or blank, and no catalog has read it, that mail seems
//! never to have arrived. This is a gap in the format, and left out here.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use kit::{Folder, Random, Server};

use crate::rounds::{World, flags};

/// Number of damages without MAILRACE_DAMAGES.
const DAMAGES: usize = 20;

/// Damages per data folder, each to a fresh copy.
const DAMAGES_OF_ONE: usize = 30;

const BLOCK: usize = 4096;

#[test]
fn rot_is_named_or_does_no_harm() {
    let mut random = Random::seeded();
    let damages = std::env::var("MAILRACE_DAMAGES");
    let damages = damages.map_or(DAMAGES, |damages| damages.parse().expect("a number"));
    let mut tally: BTreeMap<String, usize> = BTreeMap::new();
    let mut failed = Vec::new();
    let mut store = Store::new(&mut random);
    for number in 0..damages {
        if number > 0 && number % DAMAGES_OF_ONE == 0 {
            store = Store::new(&mut random);
        }
        let mut what = String::new();
        // A long run reports every failure, not only the first.
        let attempt = AssertUnwindSafe(|| store.damage(&mut what, &mut random));
        let Ok(outcome) = catch_unwind(attempt) else {
            println!("{number}: {what}: FAILED");
            failed.push(what);
            continue;
        };
        println!("{number}: {what}: {outcome}");
        let file = if what.contains(".redb ") { "catalog" } else { "segment" };
        *tally.entry(format!("{file}: {}", outcome.split(':').next().unwrap())).or_default() += 1;
    }
    println!("{tally:#?}");
    assert!(failed.is_empty(), "{} damages: {failed:#?}", failed.len());
}

/// An undamaged data folder, its catalogs at earlier times, and the mail that must be there.
struct Store {
    world: World,
    catalogs: Vec<Vec<u8>>,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Store {
    fn new(random: &mut Random) -> Store {
        let mut world = World::new(Folder::new());
        let mut catalogs = Vec::new();
        for _ in 0..3 {
            world.grow(random.within(20, 150), random);
            catalogs.push(fs::read(world.folder.catalog()).unwrap());
        }
        let files = contents(&world.folder.path());
        Store { world, catalogs, files }
    }

    /// Damages one file in a copy of the folder, and checks the outcome.
    fn damage(&self, what: &mut String, random: &mut Random) -> String {
        let folder = Folder::new();
        for (path, octets) in &self.files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, octets).unwrap();
        }
        let catalog = random.below(self.catalogs.len() + 2);
        match self.catalogs.get(catalog) {
            Some(octets) => fs::write(folder.catalog(), octets).unwrap(),
            None => fs::remove_file(folder.catalog()).unwrap(),
        }
        let mut files = folder.segments();
        files.retain(|path| fs::metadata(path).unwrap().len() > 0);
        if folder.catalog().exists() && random.one_in(3) {
            files = vec![folder.catalog()];
        }
        let victim = files[random.below(files.len())].clone();
        let mut damage = Damage::draw(&victim, &files, random);
        let seen = victim == folder.catalog() || catalog == 2 || is_left(&victim, &files);
        if damage.ends_the_log() && !seen {
            damage = Damage::Flip { at: BLOCK, bit: 1 };
        }
        damage.apply(&victim);
        let name = victim.file_name().unwrap().to_str().unwrap();
        *what = format!("catalog {catalog}, {name} {damage:?}");
        let mut world = self.world.clone();
        world.folder = folder.clone();
        if victim == folder.catalog() {
            of_catalog(world, what, random)
        } else {
            of_segment(world, what, random)
        }
    }
}

/// Whether another segment names this one as its predecessor.
fn is_left(segment: &Path, all: &[PathBuf]) -> bool {
    let number: u64 = segment.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    all.iter().any(|other| {
        let mut previous = [0; 8];
        let read = File::open(other).unwrap().read_exact_at(&mut previous, 48);
        read.is_ok() && u64::from_le_bytes(previous) == number
    })
}

/// Checks the outcome of a damaged segment.
fn of_segment(mut world: World, what: &str, random: &mut Random) -> String {
    let folder = world.folder.clone();
    let before = contents(&folder.path().join("segments"));
    match attempt(&folder, random) {
        Ok(server) => {
            let lost = world.verify_damaged(&server);
            is_calm(&folder, what);
            assert!(server.terminate().success(), "{what}");
            let can = if lost > 0 { "some messages cannot" } else { "all messages can" };
            format!("starts, {can} be read")
        }
        Err(said) => {
            assert!(said.contains(".seg at octet "), "{what}: {said}");
            let after = contents(&folder.path().join("segments"));
            assert!(after == before, "{what}: segments were changed: {said}");
            let outcome = past(&mut world, what, random);
            let after = contents(&folder.path().join("segments"));
            for (path, octets) in before {
                // Segments that were prepared and never used may be in use now. One that is all
                // zeros may be gone: it has nothing to keep.
                let blank = octets.iter().all(|&octet| octet == 0);
                // Not the file that octets were copied from, which is named in quotes.
                if what.contains(&format!(", {} ", path.to_str().unwrap())) && !blank {
                    let kept =
                        after.get(&path).unwrap_or_else(|| panic!("{what}: {path:?} is gone"));
                    assert!(octets.starts_with(kept), "{what}: {path:?} was changed");
                }
            }
            format!("names it, {outcome}: {said}")
        }
    }
}

/// A start that goes past the damage, and one after it without the flag.
fn past(world: &mut World, what: &str, random: &mut Random) -> &'static str {
    let folder = world.folder.clone();
    fs::write(folder.log(), "").unwrap();
    let mut past = flags(random).to_vec();
    past.push("--quarantine");
    let server = Server::with(&folder, &past);
    let listed = fs::read_to_string(folder.path().join("quarantine.json"));
    let listed = listed.unwrap_or_else(|_| panic!("{what}: nothing is listed"));
    let lost = listed
        .lines()
        .any(|line| line.contains("\"what\"") && !line.contains("octets that were received"));
    let outcome = if lost {
        // One flipped bit costs at most one frame.
        world.verify_sound(&server, what.contains(" Flip "));
        "goes past it without what was lost"
    } else {
        world.verify_damaged(&server);
        "goes past it with all there is"
    };
    is_calm(&folder, what);
    assert!(server.terminate().success(), "{what}");
    let again = attempt(&folder, random).err().unwrap_or_else(|| panic!("{what}: is forgotten"));
    assert!(again.contains("--quarantine"), "{what}: {again}");
    repaired(&folder, what, random);
    outcome
}

/// Accepts the loss. After that, starts without the flag go past it, with the catalog and without.
fn repaired(folder: &Folder, what: &str, random: &mut Random) {
    let data = folder.path();
    let output = kit::mailrace(&["verify", "--repair", "--data", data.to_str().unwrap()], "");
    assert!(output.status.success(), "{what}: {output:?}");
    for catalog in [true, false, true, false] {
        if !catalog {
            fs::remove_file(folder.catalog()).unwrap();
        }
        match attempt(folder, random) {
            Ok(server) => assert!(server.terminate().success(), "{what}"),
            Err(said) => panic!("{what}: refused after the repair, catalog {catalog}: {said}"),
        }
        is_calm(folder, what);
    }
}

/// Checks the outcome of a damaged catalog: no mail is lost, but the damage may show only in use.
fn of_catalog(mut world: World, what: &str, random: &mut Random) -> String {
    let folder = world.folder.clone();
    let outcome = match attempt(&folder, random) {
        Ok(server) => {
            if world.can_be_opened(&server) {
                world.verify(&server);
                is_calm(&folder, what);
                return "starts, and all is there".into();
            }
            // The log lags behind the replies, so the server must end first.
            let _ = server.terminate();
            is_calm(&folder, what);
            let log = fs::read_to_string(folder.log()).unwrap();
            assert!(says_what_to_do(&log), "{what}: {log}");
            "names it when it is used".into()
        }
        Err(said) => {
            assert!(says_what_to_do(&said), "{what}: {said}");
            format!("names it: {said}")
        }
    };
    fs::remove_file(folder.catalog()).unwrap();
    let server = Server::with(&folder, &flags(random));
    world.verify(&server);
    outcome
}

fn says_what_to_do(said: &str) -> bool {
    said.contains("catalog.redb") && said.contains("delete")
}

/// Starts a server. The error is the last line of its log.
fn attempt(folder: &Folder, random: &mut Random) -> Result<Server, String> {
    fs::write(folder.log(), "").unwrap();
    Server::attempt(folder, &flags(random)).map_err(|status| {
        let log = fs::read_to_string(folder.log()).unwrap();
        assert_eq!(status.code(), Some(65), "{log}");
        is_calm(folder, &log);
        log.lines().last().unwrap().to_owned()
    })
}

/// Checks that no code of ours panicked. Panics inside redb are caught, and allowed.
fn is_calm(folder: &Folder, what: &str) {
    let log = fs::read_to_string(folder.log()).unwrap();
    assert!(!log.contains("panicked at src/"), "{what}: {log}");
}

/// All regular files in a folder and below, except for segments in preparation.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() && path.extension().is_none_or(|end| end != "preparing") {
                let octets = fs::read(&path).unwrap();
                files.insert(path.strip_prefix(folder).unwrap().into(), octets);
            }
        }
    }
    files
}

// ---- Damage to files ----------------------------------------------------------------------------

#[derive(Debug)]
enum Damage {
    Flip {
        at: usize,
        bit: u8,
    },
    Truncate {
        to: usize,
    },
    Zero {
        at: usize,
        length: usize,
    },
    Noise {
        at: usize,
        length: usize,
        seed: u64,
    },
    /// Swaps two blocks.
    Swap {
        at: usize,
        with: PathBuf,
        there: usize,
    },
    /// Overwrites a block with another.
    Copy {
        at: usize,
        from: PathBuf,
        there: usize,
    },
    Append {
        length: usize,
        seed: u64,
    },
    Delete,
}

impl Damage {
    fn draw(victim: &Path, files: &[PathBuf], random: &mut Random) -> Damage {
        let block = |path: &Path, random: &mut Random| {
            random.below((fs::metadata(path).unwrap().len() as usize).div_ceil(BLOCK)) * BLOCK
        };
        let at = block(victim, random);
        let length = random.within(1, 8) * BLOCK;
        let other = files[random.below(files.len())].clone();
        let there = block(&other, random);
        match random.below(9) {
            0 | 1 => {
                // Half of the flips hit the headers of frames.
                let within = random.pick(&[128, BLOCK]);
                Damage::Flip { at: at + random.below(within), bit: 1 << random.below(8) }
            }
            2 => Damage::Truncate { to: at + random.pick(&[0, 1, 500]) },
            3 => Damage::Zero { at, length },
            4 => Damage::Noise { at, length, seed: random.number() },
            5 => Damage::Swap { at, with: other, there },
            6 => Damage::Copy { at, from: other, there },
            7 => Damage::Append { length: length + random.below(2), seed: random.number() },
            _ => Damage::Delete,
        }
    }

    /// Whether the log may seem to end earlier.
    fn ends_the_log(&self) -> bool {
        matches!(self, Damage::Delete | Damage::Truncate { .. } | Damage::Zero { at: 0, .. })
    }

    fn apply(&self, victim: &Path) {
        let open = |path: &Path| File::options().read(true).write(true).open(path).unwrap();
        let file = open(victim);
        let length = file.metadata().unwrap().len() as usize;
        // Never writes beyond the end; that is for `Append`.
        let room = |at: usize, length_: usize| length_.min(length.saturating_sub(at));
        match self {
            Damage::Flip { at, bit } => {
                let at = (*at).min(length - 1);
                let mut octet = [0];
                file.read_exact_at(&mut octet, at as u64).unwrap();
                file.write_all_at(&[octet[0] ^ bit], at as u64).unwrap();
            }
            Damage::Truncate { to } => file.set_len((*to).min(length) as u64).unwrap(),
            Damage::Zero { at, length } => {
                file.write_all_at(&vec![0; room(*at, *length)], *at as u64).unwrap();
            }
            Damage::Noise { at, length, seed } => {
                file.write_all_at(&noise(*seed, room(*at, *length)), *at as u64).unwrap();
            }
            Damage::Swap { at, with, there } => {
                let other = open(with);
                let (mine, its) = (block_at(&file, *at), block_at(&other, *there));
                file.write_all_at(&its[..room(*at, its.len())], *at as u64).unwrap();
                other.write_all_at(&mine[..its.len().min(mine.len())], *there as u64).unwrap();
            }
            Damage::Copy { at, from, there } => {
                let its = block_at(&open(from), *there);
                file.write_all_at(&its[..room(*at, its.len())], *at as u64).unwrap();
            }
            Damage::Append { length: more, seed } => {
                file.write_all_at(&noise(*seed, *more), length as u64).unwrap();
            }
            Damage::Delete => fs::remove_file(victim).unwrap(),
        }
    }
}

fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    (0..length).map(|_| random.number() as u8).collect()
}

/// A block, or the part of it before the end of the file.
fn block_at(file: &File, at: usize) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    let read = file.read_at(&mut block, at as u64).unwrap();
    block.truncate(read);
    block
}
