//! The simulated disk: files and their names. A power loss may take names that were not synced with
//! their folder, the latest first, because file systems keep their order.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use kit::Random;

pub use super::node::Loss;
use super::node::Node;

type Names = BTreeMap<PathBuf, u64>;

/// The files of a machine, as written and as durable.
pub struct Disk {
    nodes: BTreeMap<u64, Node>,
    names: Names,
    /// The names as they are after a power loss that takes all changes.
    durable: Names,
    changes: Vec<Change>,
    /// Folders created here, and whether their names are durable.
    folders: BTreeMap<PathBuf, bool>,
    /// Last number given to a node or a write.
    last: u64,
    /// Writes that a process has left behind, which the disk has not done yet.
    late: Vec<Late>,
}

/// A write that was in flight when its process ended.
struct Late {
    node: u64,
    offset: u64,
    octets: Vec<u8>,
}

enum Change {
    Create(PathBuf, u64),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl Change {
    fn path(&self) -> &Path {
        let (Change::Create(path, _) | Change::Rename(path, _) | Change::Remove(path)) = self;
        path
    }

    fn apply(self, names: &mut Names) {
        match self {
            Change::Create(path, node) => drop(names.insert(path, node)),
            Change::Remove(path) => drop(names.remove(&path)),
            Change::Rename(from, to) => {
                if let Some(node) = names.remove(&from) {
                    names.insert(to, node);
                }
            }
        }
    }
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk {
    pub(super) fn new() -> Disk {
        let (nodes, names, durable) = (BTreeMap::new(), Names::new(), Names::new());
        let (changes, folders, late) = (Vec::new(), BTreeMap::new(), Vec::new());
        Disk { nodes, names, durable, changes, folders, last: 0, late }
    }

    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// The number of the last write.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    // ---- Names ----------------------------------------------------------------------------------

    pub(super) fn find(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).copied().ok_or_else(missing)
    }

    pub(super) fn create(&mut self, path: &Path) -> u64 {
        let node = self.number();
        self.nodes.insert(node, Node::default());
        self.names.insert(path.into(), node);
        self.changes.push(Change::Create(path.into(), node));
        node
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.names.remove(from).ok_or_else(missing)?;
        self.names.insert(to.into(), node);
        self.changes.push(Change::Rename(from.into(), to.into()));
        Ok(())
    }

    /// Removes a file; a test may do so from outside, as a person would.
    ///
    /// # Errors
    /// If it does not exist.
    pub fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.names.remove(path).ok_or_else(missing)?;
        self.changes.push(Change::Remove(path.into()));
        Ok(())
    }

    /// The files in a folder with their lengths.
    #[must_use]
    pub fn list(&self, folder: &Path) -> Vec<(String, u64)> {
        let inside = self.names.iter().filter(|(path, _)| path.parent() == Some(folder));
        let name = |path: &Path| path.file_name()?.to_str().map(str::to_owned);
        inside.filter_map(|(path, id)| Some((name(path)?, self.node(*id).length()))).collect()
    }

    pub(super) fn create_folder(&mut self, path: &Path) {
        self.folders.entry(path.into()).or_insert(false);
    }

    /// Makes the names of a folder and its parents durable.
    pub(super) fn sync_names_of(&mut self, folder: &Path) {
        let above = |path: &Path| folder.starts_with(path);
        self.folders.iter_mut().for_each(|(path, durable)| *durable |= above(path));
    }

    /// Removes folders whose names are not durable, with everything in them.
    fn lose_folders(&mut self) {
        let lost: Vec<PathBuf> =
            self.folders.extract_if(.., |_, durable| !*durable).map(|(path, _)| path).collect();
        let is_lost = |path: &PathBuf| lost.iter().any(|folder| path.starts_with(folder));
        self.durable.retain(|path, _| !is_lost(path));
        self.changes.retain(|change| !is_lost(&change.path().to_owned()));
        self.folders.retain(|path, _| !is_lost(path));
    }

    pub(super) fn sync_folder(&mut self, folder: &Path) {
        let within = |path: &Path| path.parent() == Some(folder);
        self.folders.iter_mut().for_each(|(path, durable)| *durable |= within(path));
        for change in std::mem::take(&mut self.changes) {
            match change.path().parent() == Some(folder) {
                true => change.apply(&mut self.durable),
                false => self.changes.push(change),
            }
        }
    }

    // ---- Octets ---------------------------------------------------------------------------------

    pub(super) fn node(&self, node: u64) -> &Node {
        &self.nodes[&node]
    }

    fn node_mut(&mut self, node: u64) -> &mut Node {
        self.nodes.get_mut(&node).expect("an open file stays until the power fails")
    }

    pub(super) fn write(&mut self, node: u64, offset: u64, octets: &[u8]) {
        let number = self.number();
        self.node_mut(node).write(offset, octets, number);
    }

    /// Leaves a write in flight whose process has ended.
    pub(super) fn leave(&mut self, node: u64, offset: u64, octets: &[u8]) {
        self.late.push(Late { node, offset, octets: octets.into() });
    }

    /// Whether writes of an ended process are in flight.
    pub(super) fn has_late(&self) -> bool {
        !self.late.is_empty()
    }

    /// Does the writes to a file that are still in flight.
    pub(super) fn land(&mut self, node: u64) {
        let landing: Vec<Late> = self.late.extract_if(.., |late| late.node == node).collect();
        landing.iter().for_each(|late| self.do_late(late));
    }

    /// Does one of all writes in flight.
    pub(super) fn land_one(&mut self, random: &mut Random) {
        let late = self.late.swap_remove(random.below(self.late.len()));
        self.do_late(&late);
    }

    fn do_late(&mut self, late: &Late) {
        if self.nodes.contains_key(&late.node) {
            self.write(late.node, late.offset, &late.octets);
        }
    }

    pub(super) fn set_length(&mut self, node: u64, length: u64) {
        self.node_mut(node).set_length(length);
    }

    pub(super) fn synced(&mut self, node: u64, number: u64) {
        self.node_mut(node).synced(number);
    }

    pub(super) fn sync_failed(&mut self, node: u64, number: u64, random: &mut Random) {
        self.node_mut(node).sync_failed(number, random);
    }

    /// Bytes that the files take.
    #[must_use]
    pub fn used(&self) -> u64 {
        let named: BTreeSet<u64> =
            self.names.values().chain(self.durable.values()).copied().collect();
        named.iter().filter_map(|node| self.nodes.get(node)).map(Node::length).sum()
    }

    /// The content of a file.
    ///
    /// # Errors
    /// If it does not exist.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let node = self.node(self.find(path)?);
        let mut octets = vec![0; node.length() as usize];
        node.read(0, &mut octets);
        Ok(octets)
    }

    // ---- Harm -----------------------------------------------------------------------------------

    /// Applies a power loss to everything that is not durable.
    pub fn lose(&mut self, loss: Loss, random: &mut Random) {
        let last = self.last;
        if loss != Loss::Nothing {
            self.late.clear();
            let at_stake = self.folders.values().any(|durable| !durable);
            if at_stake && (loss == Loss::Everything || random.one_in(2)) {
                self.lose_folders();
            }
            let lost = match loss {
                Loss::Everything => 0,
                _ => random.within(0, self.changes.len()),
            };
            for change in std::mem::take(&mut self.changes).into_iter().take(lost) {
                change.apply(&mut self.durable);
            }
            self.names = self.durable.clone();
        }
        let mut used: BTreeSet<u64> =
            self.names.values().chain(self.durable.values()).copied().collect();
        // Created and removed: the next loss may undo only the removal.
        used.extend(self.changes.iter().filter_map(|change| match change {
            Change::Create(_, node) => Some(*node),
            Change::Remove(_) | Change::Rename(..) => None,
        }));
        self.nodes.retain(|node, _| used.contains(node));
        self.nodes.values_mut().for_each(|node| node.lose(loss, last, random));
    }

    /// Corrupts a sector of a file; `false` if it contains only zeros.
    ///
    /// # Errors
    /// If the file does not exist.
    pub fn rot(&mut self, path: &Path, offset: u64, random: &mut Random) -> io::Result<bool> {
        let node = self.find(path)?;
        Ok(self.node_mut(node).rot(offset, random))
    }
}
