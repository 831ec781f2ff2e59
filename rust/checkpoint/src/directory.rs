//! The checkpoints in a directory, by the files that are there.

use crate::locate::{Located, prefix_of};
use crate::v1_files::{names_in, v1_in};
use std::ffi::OsString;
use std::path::Path;
use tensorbundle_store::{Error, Files, Result};

/// How many names an error lists.
const LISTED: usize = 5;

/// All checkpoints of a directory, by name: first those of V2. Other files are looked into, to tell whether they are
/// of V1 checkpoints.
pub fn checkpoints_in(files: &Files, dir: &Path) -> Result<Vec<Located>> {
    let names = names_in(files, dir).map_err(|error| Error::io(dir, error, "the directory"))?;
    let found = among(files, dir, names, usize::MAX);
    files.trouble().map(|()| found)
}

/// The same for a hint in an error, for which not every file of a large directory is opened.
pub(crate) fn hints_in(files: &Files, dir: &Path) -> Vec<Located> {
    among(files, dir, names_in(files, dir).unwrap_or_default(), MOST_LOOKED_AT)
}

/// How many files a hint is worth looking into.
const MOST_LOOKED_AT: usize = 200;

fn among(files: &Files, dir: &Path, names: Vec<OsString>, most: usize) -> Vec<Located> {
    let ends = |name: &OsString, end: &[u8]| name.as_encoded_bytes().ends_with(end);
    let (indexes, others): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|name| ends(name, b".index") && !files.is_dir(&dir.join(name)));
    let mut found: Vec<_> =
        indexes.iter().filter_map(|name| prefix_of(&dir.join(name)).map(Located::Bundle)).collect();
    let others: Vec<_> = others
        .into_iter()
        .filter(|name| prefix_of(Path::new(name)).is_none())
        .take(most)
        .filter(|name| files.is_file(&dir.join(name)))
        .collect();
    found.extend(v1_in(files, dir, &others).into_iter().map(Located::V1));
    found
}

/// Names of checkpoints for a message, the first few.
pub(crate) fn names(checkpoints: &[Located]) -> String {
    let mut names: Vec<_> = checkpoints
        .iter()
        .take(LISTED)
        .map(|found| format!("{:?}", found.prefix().display().to_string()))
        .collect();
    if checkpoints.len() > LISTED {
        names.push("…".into());
    }
    names.join(", ")
}
