//! Backups amid cleaning, snapshots and dropping. `mailrace backup` copies with the file system's
//! own means; here its order of looking and copying is on the machine, with other work in between.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::index::{SNAPSHOTS, newest_snapshot, snapshot_name};
use crate::reactor::simulation::Random;
use crate::reactor::{Access, files, sleep};
use crate::store::ImagePart;
use crate::tools::image_after;

/// Attempts, each of which may find that files went meanwhile.
const ROUNDS: usize = 60;

/// Copies the log and the snapshot in a data folder to another, durably. `false` if files came and
/// went too fast.
pub(super) async fn copy(data: &Path, to: &Path, random: &mut Random) -> Result<bool, String> {
    for _ in 0..ROUNDS {
        if let Some(names) = attempt(data, to, random).await? {
            finish(to, &names).map_err(|error| error.to_string())?;
            return Ok(true);
        }
        sleep(Duration::from_millis(random.within(1, 300) as u64)).await;
    }
    Ok(false)
}

/// The names of all files of the copy; `None` if one of them is gone.
async fn attempt(
    data: &Path,
    to: &Path,
    random: &mut Random,
) -> Result<Option<BTreeSet<String>>, String> {
    let mut names = BTreeSet::new();
    let snapshot = newest_snapshot(data).map_err(|error| error.to_string())?;
    if let Some(number) = snapshot {
        let name = format!("{SNAPSHOTS}/{}", snapshot_name(number));
        if !copy_file(data, to, &name, None).map_err(|error| error.to_string())? {
            return Ok(None);
        }
        names.insert(name);
    }
    pause(random).await;
    let looked = image_after(data, snapshot).map_err(|error| error.to_string())?;
    let Some((image, dropped)) = looked else { return Ok(None) };
    if !image.damaged.is_empty() {
        // A segment may have its first frames and no header for a moment.
        return Ok(None);
    }
    if dropped {
        if snapshot.is_none() {
            return Err("a backup would lack the beginning of the log".into());
        }
        let note = "records/dropped";
        if !copy_file(data, to, note, None).map_err(|error| error.to_string())? {
            return Err("the note that records were dropped is gone".into());
        }
        names.insert(note.into());
    }
    for file in &image.files {
        pause(random).await;
        let name = match file.part {
            ImagePart::Records => format!("records/{}", file.segment.record_file_name()),
            _ => format!("segments/{}", file.segment.file_name()),
        };
        let copied = copy_file(data, to, &name, Some(file.length));
        if !copied.map_err(|error| error.to_string())? {
            return Ok(None);
        }
        names.insert(name);
    }
    Ok(Some(names))
}

async fn pause(random: &mut Random) {
    if random.one_in(2) {
        sleep(Duration::from_millis(random.within(1, 40) as u64)).await;
    }
}

/// Copies a file, or its beginning. `false` if it is gone.
fn copy_file(data: &Path, to: &Path, name: &str, length: Option<u64>) -> io::Result<bool> {
    let input = match files::open_as_stored(&data.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        input => input?,
    };
    let mut octets = vec![0; length.map_or_else(|| input.length(), Ok)? as usize];
    if input.read_at(&mut octets, 0)? < octets.len() {
        return Ok(false);
    }
    let output = files::open(&to.join(name), Access::Create)?;
    output.set_length(0)?;
    output.write_all_at(&octets, 0)?;
    output.sync_all()?;
    Ok(true)
}

/// Removes what earlier attempts have left, and makes all names durable.
fn finish(to: &Path, names: &BTreeSet<String>) -> io::Result<()> {
    for folder in ["segments", "records", SNAPSHOTS] {
        for (name, _) in files::list(&to.join(folder))? {
            if !names.contains(&format!("{folder}/{name}")) {
                files::remove(&to.join(folder).join(name))?;
            }
        }
        files::sync_folder(&to.join(folder))?;
    }
    Ok(())
}
