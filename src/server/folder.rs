//! The data folder at a start: it is created, and its log is replayed.

use std::path::Path;

use super::{Config, StartError, quarantine};
use crate::index::{Catalog, CatalogError, Quarantine, ReplayError, replay};
use crate::reactor::{Instant, files};
use crate::store::{Recovered, Segments, Spare, StoredSegments};

/// The folder of the log, within the data folder.
pub(super) const SEGMENTS: &str = "segments";

/// The file that makes a folder a backup. A server on it would change what is to be restored, and
/// give UIDs that clients know.
pub(crate) const MANIFEST: &str = "backup.json";

/// The file in a data folder while a backup is restored to it.
pub(crate) const RESTORING: &str = "restoring";

/// Creates the data folder, if missing, and makes its name durable: a power loss that removed the
/// folder would take the mail with it.
pub(super) fn make_folder(data: &Path) -> Result<(), StartError> {
    let marks = [
        (MANIFEST, "is a backup. Run `mailrace restore` to make a data folder of it"),
        (RESTORING, "was not restored completely. Run `mailrace restore` again"),
    ];
    if let Some((_, why)) = marks.iter().find(|(name, _)| data.join(name).exists()) {
        return Err(StartError::NoData(data.to_owned(), why));
    }
    let is_begun = files::exists(&data.join(SEGMENTS));
    let made = files::create_folder(data).and_then(|()| match is_begun? {
        true => Ok(()),
        // Without a folder of segments, an earlier start may have been killed before this sync.
        false => files::sync_file_system(data),
    });
    made.map_err(|error| StartError::Data(data.to_owned(), error))
}

/// Replays the log into the catalog.
pub(super) fn recover(
    config: &Config,
    begun: Instant,
) -> Result<(Segments, Catalog, Recovered, Quarantine), StartError> {
    let (data, on_damage) = (&config.data, config.on_damage);
    let folder = data.join(SEGMENTS);
    let segments = Segments::open(&folder).map_err(|error| StartError::Data(folder, error))?;
    let mut medium = StoredSegments::new(segments.clone());
    let catalog = data.join("catalog.redb");
    let mut replayed = replay(&catalog, &mut medium, on_damage);
    // The disk may be full. If it is failing, the second attempt fails too.
    if let Err(ReplayError::Catalog(CatalogError::Io { .. })) = &replayed
        && Spare::new(data, config.spare).release().unwrap_or(false)
    {
        tracing::warn!("the disk is full: the catalog now uses the space reserved for it");
        replayed = replay(&catalog, &mut medium, on_damage);
    }
    let replay = replayed.map_err(StartError::Replay)?;
    tracing::info!("{replay} ({} ms)", begun.elapsed().as_millis());
    for cut in &replay.recovered.cut {
        tracing::info!("{cut}");
    }
    let told = quarantine::tell(data, &replay.quarantine);
    told.map_err(|error| StartError::Data(data.clone(), error))?;
    let catalog = Catalog::start(replay.catalog).map_err(StartError::System)?;
    Ok((segments, catalog, replay.recovered, replay.quarantine))
}
