#![doc = include_str!("rfc.md")]

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::{Path, PathBuf};

    /// Folders of the table's three columns of files.
    const COLUMNS: [&str; 3] = ["src/imap/protocol", "src/imap/protocol/response", "src/session"];

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    /// Number of the RFC, its extensions, and its files from the root of the repository.
    fn rows() -> Vec<(String, String, Vec<PathBuf>)> {
        let rows = include_str!("rfc.md").lines().filter(|line| line.starts_with("| "));
        let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
        let rows = cells.filter(|cells| cells[1].chars().all(|c| c.is_ascii_digit()));
        rows.map(|cells| {
            let files = COLUMNS.iter().zip(&cells[3..6]).flat_map(|(folder, files)| {
                let files = files.split(',').map(str::trim).filter(|file| !file.is_empty());
                files.map(|file| Path::new(folder).join(file))
            });
            (cells[1].to_owned(), cells[2].to_owned(), files.collect())
        })
        .collect()
    }

    fn rfcs_in(text: &str) -> BTreeSet<String> {
        let after = text.match_indices("RFC ").map(|(at, _)| &text[at + 4..]);
        let numbers = after.filter_map(|rest| rest.get(..4));
        numbers.filter(|n| n.chars().all(|c| c.is_ascii_digit())).map(str::to_owned).collect()
    }

    fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files_below(&path, found);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.push(path);
            }
        }
    }

    #[test]
    fn files_are_there_and_name_their_rfc() {
        let rows = rows();
        assert!(rows.len() > 30, "the table was read");
        for (rfc, _, files) in rows {
            for file in files {
                let text = fs::read_to_string(root().join(&file));
                let text = text.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
                let names = rfcs_in(&text).contains(&rfc);
                assert!(names, "{} does not name RFC {rfc}", file.display());
            }
        }
    }

    #[test]
    fn every_rfc_has_a_row() {
        let rows: BTreeSet<String> = rows().into_iter().map(|(rfc, ..)| rfc).collect();
        let mut files = Vec::new();
        files_below(&root().join(COLUMNS[0]), &mut files);
        files_below(&root().join(COLUMNS[2]), &mut files);
        let mut missing = BTreeMap::new();
        for file in files {
            let named = rfcs_in(&fs::read_to_string(&file).unwrap());
            missing.extend(named.difference(&rows).map(|rfc| (rfc.clone(), file.clone())));
        }
        assert!(missing.is_empty(), "RFCs without a row: {missing:#?}");
    }

    #[test]
    fn every_capability_has_a_row() {
        let extensions: Vec<String> = rows().into_iter().map(|(_, names, _)| names).collect();
        for capability in crate::session::CAPABILITIES.split(' ') {
            let named = |names: &String| names.split([' ', ',']).any(|word| word == capability);
            assert!(extensions.iter().any(named), "{capability} has no row");
        }
    }
}
