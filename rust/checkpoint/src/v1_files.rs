//! The files of a V1 checkpoint (FORMAT 1.3).
//!
//! ```text
//! run/model.ckpt-1000                    one file
//! run/model.ckpt-1000-00000-of-00002     one of two, the prefix run/model.ckpt-1000
//! run/model.ckpt-1000-?????-of-00002     both, as Savers and state files write it
//! ```
//!
//! Many other files are called like shards, so the first one is looked into.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tensorbundle_store::{Error, Result, is_v1_file};

/// A V1 checkpoint's files, in the order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V1Files {
    /// What their names begin with, or the name of the only one.
    pub prefix: PathBuf,
    /// All that there should be.
    pub files: Vec<PathBuf>,
}

/// What a Saver writes in place of a number.
const ANY: &str = "?????";

/// More files than any save has; a name can claim more.
const MAX_FILES: usize = 1 << 16;

/// The V1 checkpoint of a path that is a prefix, a file or a pattern; `None` if there is none.
pub(crate) fn v1_files(path: &Path) -> Result<Option<V1Files>> {
    if let Some((prefix, number, count)) = split(path) {
        let one = if number == ANY { shard(&prefix, 0, count) } else { path.to_owned() };
        // Of a pattern any file will do; which are missing comes later.
        let any =
            || (0..count.min(64)).map(|i| shard(&prefix, i, count)).any(|file| is_v1_file(&file));
        return if is_v1_file(&one) || (number == ANY && any()) {
            all_of(prefix, count).map(Some)
        } else {
            Ok(None)
        };
    }
    if is_v1_file(path) {
        return Ok(Some(V1Files { prefix: path.to_owned(), files: vec![path.to_owned()] }));
    }
    let Some(name) = path.file_name() else {
        return Ok(None);
    };
    let beside = path.parent().unwrap_or(Path::new(""));
    let names = names_in(beside);
    let prefix = |file: &&OsString| {
        split(Path::new(file)).is_some_and(|(prefix, number, _)| prefix == name && number != ANY)
    };
    let mut sets = shard_sets(beside, names.iter().filter(prefix));
    match (sets.pop(), sets.as_slice()) {
        (None, _) => Ok(None),
        (Some((prefix, count)), []) => all_of(prefix, count).map(Some),
        (Some((_, last)), others) => {
            let counts: Vec<_> = others.iter().map(|(_, count)| count).chain([&last]).collect();
            let context = format!(
                "there are V1 checkpoints of {counts:?} files of this prefix: give a file of the one that is meant"
            );
            Err(Error::io(path, io::ErrorKind::NotFound.into(), context))
        }
    }
}

/// The V1 checkpoints among the files `names` of a directory, by their content.
pub(crate) fn v1_in(dir: &Path, names: &[OsString]) -> Vec<V1Files> {
    let mut found: Vec<_> = shard_sets(dir, names.iter())
        .into_iter()
        .map(|(prefix, count)| V1Files {
            files: (0..count).map(|i| shard(&prefix, i, count)).collect(),
            prefix,
        })
        .collect();
    let single = names.iter().filter(|name| split(Path::new(name)).is_none());
    let single = single.map(|name| dir.join(name)).filter(|file| is_v1_file(file));
    found.extend(single.map(|file| V1Files { prefix: file.clone(), files: vec![file] }));
    found
}

/// The names of a directory's entries; none if it cannot be read.
pub(crate) fn names_in(dir: &Path) -> Vec<OsString> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
    names.sort();
    names
}

/// The sets of shards among files, by prefix and count, of which one that is there is a V1 file.
fn shard_sets<'a>(dir: &Path, names: impl Iterator<Item = &'a OsString>) -> Vec<(PathBuf, usize)> {
    let mut sets: BTreeMap<(PathBuf, usize), PathBuf> = BTreeMap::new();
    for name in names {
        if let Some((prefix, number, count)) = split(Path::new(name))
            && number != ANY
        {
            sets.entry((dir.join(prefix), count)).or_insert_with(|| dir.join(name));
        }
    }
    sets.into_iter().filter(|(_, first)| is_v1_file(first)).map(|(set, _)| set).collect()
}

/// All files of a set. One that is missing cannot be passed over: only it knows what it holds.
fn all_of(prefix: PathBuf, count: usize) -> Result<V1Files> {
    let files: Vec<_> = (0..count).map(|i| shard(&prefix, i, count)).collect();
    match files.iter().position(|file| !file.exists()) {
        None => Ok(V1Files { prefix, files }),
        Some(i) => {
            let path = shard(&prefix, i, count);
            let context = format!(
                "file {i} of the {count} of a V1 checkpoint: without it nobody knows which tensors it lacks; \
                 is the copy complete?"
            );
            Err(Error::io(&path, io::ErrorKind::NotFound.into(), context))
        }
    }
}

fn shard(prefix: &Path, i: usize, count: usize) -> PathBuf {
    let mut name = OsString::from(prefix);
    name.push(format!("-{i:05}-of-{count:05}"));
    name.into()
}

/// Takes `prefix-ddddd-of-ddddd` apart: prefix, number or `?????`, and how many there are.
fn split(path: &Path) -> Option<(PathBuf, String, usize)> {
    let name = path.file_name()?.to_str()?;
    let (head, count) = name.rsplit_once("-of-")?;
    let (stem, number) = head.rsplit_once('-')?;
    let is_number = |text: &str| text.len() >= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    if stem.is_empty() || !is_number(count) || !(is_number(number) || number == ANY) {
        return None;
    }
    let count = count.parse().ok().filter(|count| (1..=MAX_FILES).contains(count))?;
    Some((path.with_file_name(stem), number.to_owned(), count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_shards() {
        let parts = |name: &str| {
            split(Path::new(name))
                .map(|(prefix, number, count)| (prefix.display().to_string(), number, count))
        };
        let is =
            |prefix: &str, number: &str, count| Some((prefix.to_owned(), number.to_owned(), count));
        assert_eq!(parts("a/m-1-00000-of-00002"), is("a/m-1", "00000", 2));
        assert_eq!(parts("m-?????-of-00010"), is("m", "?????", 10));
        assert_eq!(parts("m-00000-of-00001-00003-of-00004"), is("m-00000-of-00001", "00003", 4));
        for name in [
            "m",
            "m-00000-of-2",
            "-00000-of-00001",
            "m-??-of-00002",
            "m-00000-of-00000",
            "m-00000-of-99999999",
        ] {
            assert_eq!(parts(name), None, "{name}");
        }
    }
}
