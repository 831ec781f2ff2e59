//! The files of a V1 checkpoint (FORMAT 1.3).
//!
//! ```text
//! run/model.ckpt-1000                    one file
//! run/model.ckpt-1000-00000-of-00002     one of two, the prefix run/model.ckpt-1000
//! run/model.ckpt-1000-?????-of-00002     both, as Savers and state files write it
//! ```
//!
//! Many other files are called like shards, so they are looked into.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use tensorbundle_store::{Error, Files, Result, Sniffed, sniff_v1};
use tensorbundle_wire::Fault;

/// A V1 checkpoint's files, by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V1Files {
    /// What their names begin with, or the name of the only one.
    pub prefix: PathBuf,
    /// How many there should be, if their names say; else there is one, called like the prefix.
    pub count: Option<usize>,
}

/// What a Saver writes in place of a number.
const ANY: &[u8] = b"?????";

/// More files than any save has; a name can claim more.
const MAX_FILES: usize = 1 << 16;

/// How many files of a set are looked into to tell what they are: one may be damaged.
const MOST_LOOKED_AT: usize = 16;

impl V1Files {
    fn only(path: &Path) -> Self {
        Self { prefix: path.to_owned(), count: None }
    }

    /// All files that there should be, in the order of their numbers.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        let file = |i| match self.count {
            Some(count) => shard(&self.prefix, i, count),
            None => self.prefix.clone(),
        };
        (0..self.count.unwrap_or(1)).map(file)
    }

    /// Those of these names that are its files.
    pub(crate) fn present<'a>(&self, names: &'a [OsString]) -> impl Iterator<Item = PathBuf> + 'a {
        let (dir, prefix, count) = (
            self.prefix.parent().unwrap_or(Path::new("")).to_owned(),
            self.prefix.file_name().unwrap_or_default().to_owned(),
            self.count,
        );
        let own = move |name: &&OsString| match (count, split(Path::new(name))) {
            (Some(count), Some(part)) => part.count == count && part.prefix.as_os_str() == prefix,
            (None, _) => **name == prefix,
            (Some(_), None) => false,
        };
        names.iter().filter(own).map(move |name| dir.join(name))
    }

    /// Refuses a name that counts more files than any save has.
    pub(crate) fn check_count(&self) -> Result<()> {
        let Some(count) = self.count.filter(|&count| count > MAX_FILES) else {
            return Ok(());
        };
        let what = format!("its name counts {count} files, at most {MAX_FILES} can be opened");
        Err(Error::fault(&self.prefix, Fault::unsupported("V1 checkpoint", what)))
    }

    /// Checks that all are there. One that is missing cannot be passed over: only it knows what it holds.
    pub(crate) fn complete(&self, files: &Files) -> Result<()> {
        self.check_count()?;
        let missing = self.files().enumerate().find(|(_, file)| !files.exists(file));
        files.trouble()?;
        let Some((i, path)) = missing else {
            return Ok(());
        };
        let context = format!(
            "file {i} of the {} of a V1 checkpoint: without it nobody knows which tensors it lacks; \
             is the copy complete?",
            self.count.unwrap_or(1)
        );
        Err(Error::io(&path, io::ErrorKind::NotFound.into(), context))
    }
}

/// The V1 checkpoint of a path that is a prefix, a file or a pattern; `None` if there is none.
pub(crate) fn v1_files(files: &Files, path: &Path) -> Result<Option<V1Files>> {
    if let Some(Name { prefix, number, count }) = split(path) {
        let set = V1Files { prefix, count: Some(count) };
        let is_one = match number.as_slice() {
            ANY => is_set(files, set.files().take(MAX_FILES)),
            // It may be the damaged one.
            _ => is_set(files, [path.to_owned()].into_iter().chain(set.files().take(MAX_FILES))),
        };
        return Ok(is_one.then_some(set));
    }
    if sniff_v1(files, path) != Sniffed::Other {
        return Ok(Some(V1Files::only(path)));
    }
    let Some(name) = path.file_name().filter(|_| !files.exists(path)) else {
        return Ok(None);
    };
    let beside = path.parent().unwrap_or(Path::new(""));
    let names = match names_in(files, beside) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let context = "the directory may not be listed, so files of a V1 checkpoint of this prefix \
                           cannot be found: give one of them";
            return Err(Error::io(beside, error, context));
        }
        Err(_) => return Ok(None),
    };
    let own = |file: &&OsString| {
        split(Path::new(file)).is_some_and(|part| part.prefix == name && part.number != ANY)
    };
    let mut sets = sets(files, beside, names.iter().filter(own));
    match (sets.pop(), sets.as_slice()) {
        (None, _) => Ok(None),
        (Some(only), []) => Ok(Some(only)),
        (Some(last), others) => {
            let counts = others.iter().chain([&last]).filter_map(|set| set.count);
            let context = format!(
                "there are V1 checkpoints of {:?} files of this prefix: give a file of the one that is meant",
                counts.collect::<Vec<_>>()
            );
            Err(Error::io(path, io::ErrorKind::NotFound.into(), context))
        }
    }
}

/// The V1 checkpoints among the files `names` of a directory, by their content.
pub(crate) fn v1_in(files: &Files, dir: &Path, names: &[OsString]) -> Vec<V1Files> {
    let mut found = sets(files, dir, names.iter());
    let single = names.iter().filter(|name| split(Path::new(name)).is_none());
    let single = single.map(|name| dir.join(name));
    let single = single.filter(|file| sniff_v1(files, file) == Sniffed::V1);
    found.extend(single.map(|file| V1Files::only(&file)));
    found
}

/// The names of a directory's entries, sorted.
pub(crate) fn names_in(files: &Files, dir: &Path) -> io::Result<Vec<OsString>> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    files.names(dir)
}

/// The sets of shards among files.
fn sets<'a>(files: &Files, dir: &Path, names: impl Iterator<Item = &'a OsString>) -> Vec<V1Files> {
    let mut sets: BTreeMap<(PathBuf, usize), Vec<PathBuf>> = BTreeMap::new();
    for name in names {
        if let Some(part) = split(Path::new(name)).filter(|part| part.number != ANY) {
            sets.entry((dir.join(part.prefix), part.count)).or_default().push(dir.join(name));
        }
    }
    let sets = sets.into_iter().filter(|(_, own)| is_set(files, own.iter().cloned()));
    sets.map(|((prefix, count), _)| V1Files { prefix, count: Some(count) }).collect()
}

/// Is one of the files that are there of a V1 checkpoint, or one that may not be read?
fn is_set(files: &Files, own: impl Iterator<Item = PathBuf>) -> bool {
    let mut there = own.filter(|file| files.exists(file)).take(MOST_LOOKED_AT);
    there.any(|file| sniff_v1(files, &file) != Sniffed::Other)
}

fn shard(prefix: &Path, i: usize, count: usize) -> PathBuf {
    let mut name = OsString::from(prefix);
    name.push(format!("-{i:05}-of-{count:05}"));
    name.into()
}

/// The name of a file of several.
struct Name {
    prefix: PathBuf,
    /// Its number, or `?????`.
    number: Vec<u8>,
    count: usize,
}

/// Takes `prefix-ddddd-of-ddddd` apart.
fn split(path: &Path) -> Option<Name> {
    const OF: &[u8] = b"-of-";
    let name = path.file_name()?.as_encoded_bytes();
    let at = name.windows(OF.len()).rposition(|part| part == OF)?;
    let (head, count) = (name.get(..at)?, name.get(at + OF.len()..)?);
    let dash = head.iter().rposition(|&byte| byte == b'-').filter(|&dash| dash > 0)?;
    let (stem, number) = (head.get(..dash)?, head.get(dash + 1..)?);
    let is_number = |text: &[u8]| text.len() >= 5 && text.iter().all(u8::is_ascii_digit);
    if !is_number(count) || !(is_number(number) || number == ANY) {
        return None;
    }
    let count = std::str::from_utf8(count).ok()?.parse().ok().filter(|&count| count > 0)?;
    Some(Name { prefix: path.with_file_name(text(stem)?), number: number.to_owned(), count })
}

/// The beginning of a name, which ends before ASCII.
#[cfg(unix)]
fn text(bytes: &[u8]) -> Option<&OsStr> {
    Some(std::os::unix::ffi::OsStrExt::from_bytes(bytes))
}

#[cfg(not(unix))]
fn text(bytes: &[u8]) -> Option<&OsStr> {
    std::str::from_utf8(bytes).ok().map(OsStr::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_shards() {
        let parts = |name: &str| {
            split(Path::new(name)).map(|part| {
                let number = String::from_utf8(part.number).unwrap();
                (part.prefix.display().to_string(), number, part.count)
            })
        };
        let is =
            |prefix: &str, number: &str, count| Some((prefix.to_owned(), number.to_owned(), count));
        assert_eq!(parts("a/m-1-00000-of-00002"), is("a/m-1", "00000", 2));
        assert_eq!(parts("m-?????-of-00010"), is("m", "?????", 10));
        assert_eq!(parts("m-00000-of-00001-00003-of-00004"), is("m-00000-of-00001", "00003", 4));
        for name in ["m", "m-00000-of-2", "-00000-of-00001", "m-??-of-00002", "m-00000-of-00000"] {
            assert_eq!(parts(name), None, "{name}");
        }
    }
}
