//! Where files are: on this machine, or in a store that is asked for them over a network.
//!
//! ```text
//! Files::Local            the system: nothing is remembered
//! Files::Remote(Seen)     a `Remote`: stat, list, read; what one operation saw of its files stays what they are
//! ```
//!
//! A question that cannot be answered is not a "no": what a store refuses, or fails to say, is kept as the trouble of the
//! operation, which whoever began it must ask for.

use crate::{Error, Result};
use bytes::Bytes;
use once_cell::race::OnceBox;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::iter;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;

/// A store of files. Paths are those that [`Files`] was asked for: a scheme, and what is behind it.
pub trait Remote: Send + Sync {
    /// What is at `path`: one request.
    fn stat(&self, path: &Path) -> io::Result<Stat>;

    /// What a directory holds.
    fn list(&self, dir: &Path) -> io::Result<Vec<Listed>>;

    /// Bytes of a file, all of them or an error; many threads ask at once. A file whose version is another is an error of
    /// the kind `StaleNetworkFileHandle`.
    fn read(&self, path: &Path, version: Option<&str>, range: Range<u64>) -> io::Result<Bytes>;

    /// The same as it arrives: pieces of any size, one behind the other. They end where the range does, or with an error.
    fn pieces(&self, path: &Path, version: Option<&str>, range: Range<u64>) -> Pieces<'_> {
        Box::new(iter::once(self.read(path, version, range)))
    }
}

/// Bytes of a file, in their order.
pub type Pieces<'a> = Box<dyn Iterator<Item = io::Result<Bytes>> + Send + 'a>;

/// What something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Dir,
    /// A link, to whatever.
    Link,
    /// A pipe, a socket, a device.
    Other,
}

/// A file as it was when it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// What it is, links followed.
    pub kind: Kind,
    /// How many bytes it has.
    pub size: u64,
    /// When it was last changed: nanoseconds since 1970; 0 if nobody knows.
    pub mtime_ns: i64,
    /// What a store calls this version of it.
    pub version: Option<Arc<str>>,
}

/// A directory's entry.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its name.
    pub name: OsString,
    /// What it is.
    pub kind: Kind,
    /// What the store says of it, if it says so in listings.
    pub stat: Option<Stat>,
}

/// Where files are.
#[derive(Clone, Default)]
pub enum Files {
    /// On this machine.
    #[default]
    Local,
    /// In a store.
    Remote(Arc<Seen>),
}

/// A store, and what an operation saw of it.
pub struct Seen {
    remote: Arc<dyn Remote>,
    /// Files that are there. For this lock nobody waits, so that a fork leaves nobody waiting for ever.
    stats: Mutex<HashMap<PathBuf, Stat>>,
    trouble: OnceBox<(PathBuf, io::Error)>,
}

/// So many threads wait for a store at once: enough for pieces of some hundred kilobytes to fill a line of 100 MB/s on
/// which an answer takes 30 ms, and few enough for what they hold.
const REQUESTS: usize = 16;

impl Files {
    /// The files of a store.
    pub fn remote(remote: Arc<dyn Remote>) -> Self {
        let (stats, trouble) = (Mutex::default(), OnceBox::new());
        Self::Remote(Arc::new(Seen { remote, stats, trouble }))
    }

    /// The same files for another operation, which has seen nothing of them yet.
    #[must_use]
    pub fn anew(&self) -> Self {
        match self {
            Self::Local => Self::Local,
            Self::Remote(seen) => Self::remote(seen.remote.clone()),
        }
    }

    /// They are in a store.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Remote(_))
    }

    /// How many threads are worth having while each waits for a store; `None`: as many as there are cores.
    pub(crate) fn requests(&self) -> Option<usize> {
        self.is_remote().then_some(REQUESTS)
    }

    /// The error of a store that kept a question from being answered.
    pub fn trouble(&self) -> Result<()> {
        let Self::Remote(seen) = self else {
            return Ok(());
        };
        let Some((path, error)) = seen.trouble.get() else {
            return Ok(());
        };
        let error = io::Error::new(error.kind(), error.to_string());
        Err(Error::io(path, error, ""))
    }

    /// Keeps an error, unless it says that there is no such file.
    pub(crate) fn note(&self, path: &Path, error: io::Error) {
        use io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
        if let Self::Remote(seen) = self
            && !matches!(error.kind(), NotFound | NotADirectory | IsADirectory)
        {
            let _ = seen.trouble.set(Box::new((path.to_owned(), error)));
        }
    }

    /// What is at `path`, links followed.
    pub fn stat(&self, path: &Path) -> io::Result<Stat> {
        match self {
            Self::Local => fs::metadata(path).map(|meta| Stat::local(&meta)),
            Self::Remote(seen) => seen.stat(path),
        }
    }

    /// The same as a question: nothing, if it cannot be said.
    pub fn look(&self, path: &Path) -> Option<Stat> {
        self.stat(path).map_err(|error| self.note(path, error)).ok()
    }

    /// There is something.
    pub fn exists(&self, path: &Path) -> bool {
        self.look(path).is_some()
    }

    /// There is a file.
    pub fn is_file(&self, path: &Path) -> bool {
        self.look(path).is_some_and(|stat| stat.kind == Kind::File)
    }

    /// There is a directory.
    pub fn is_dir(&self, path: &Path) -> bool {
        self.look(path).is_some_and(|stat| stat.kind == Kind::Dir)
    }

    /// There is something other than a directory; a link counts, wherever it leads.
    pub fn is_entry(&self, path: &Path) -> bool {
        match self {
            Self::Local => fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_dir()),
            Self::Remote(_) => self.look(path).is_some_and(|stat| stat.kind != Kind::Dir),
        }
    }

    /// What a directory holds, in no order; with `stats` also what files are, if nobody need be asked again for it, or it
    /// costs little.
    pub fn read_dir(&self, dir: &Path, stats: bool) -> io::Result<Vec<Listed>> {
        let seen = match self {
            Self::Local => return read_local(dir, stats),
            Self::Remote(seen) => seen,
        };
        let listed = seen.remote.list(dir)?;
        if let Ok(mut stats) = seen.stats.try_lock() {
            let known =
                listed.iter().filter_map(|one| Some((dir.join(&one.name), one.stat.clone()?)));
            stats.extend(known);
        }
        Ok(listed)
    }

    /// The names of what a directory holds, sorted.
    pub fn names(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        let mut names: Vec<_> = match self {
            Self::Local => fs::read_dir(dir)?.flatten().map(|entry| entry.file_name()).collect(),
            Self::Remote(_) => self.read_dir(dir, false)?.into_iter().map(|one| one.name).collect(),
        };
        names.sort();
        Ok(names)
    }

    /// The path of a link's end; `None` where there are no links.
    pub fn real(&self, path: &Path) -> Option<PathBuf> {
        match self {
            Self::Local => path.canonicalize().ok(),
            Self::Remote(_) => None,
        }
    }

    /// The same files, of which these are known already.
    #[must_use]
    pub fn knowing(&self, known: impl Iterator<Item = (PathBuf, Stat)>) -> Self {
        let files = self.anew();
        if let Self::Remote(seen) = &files
            && let Ok(mut stats) = seen.stats.try_lock()
        {
            stats.extend(known);
        }
        files
    }
}

impl Seen {
    pub(crate) fn store(&self) -> &Arc<dyn Remote> {
        &self.remote
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        if let Ok(stats) = self.stats.try_lock()
            && let Some(stat) = stats.get(path)
        {
            return Ok(stat.clone());
        }
        let stat = self.remote.stat(path)?;
        if let Ok(mut stats) = self.stats.try_lock() {
            stats.insert(path.to_owned(), stat.clone());
        }
        Ok(stat)
    }
}

impl Stat {
    fn local(meta: &fs::Metadata) -> Self {
        let time = meta.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let mtime_ns = time.map_or(0, |time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
        Self { kind: Kind::of(meta.file_type()), size: meta.len(), mtime_ns, version: None }
    }
}

impl Kind {
    fn of(kind: fs::FileType) -> Self {
        match kind {
            kind if kind.is_file() => Self::File,
            kind if kind.is_dir() => Self::Dir,
            kind if kind.is_symlink() => Self::Link,
            _ => Self::Other,
        }
    }
}

fn read_local(dir: &Path, stats: bool) -> io::Result<Vec<Listed>> {
    let entries = fs::read_dir(dir)?.map(|entry| {
        let entry = entry?;
        let kind = Kind::of(entry.file_type()?);
        // By the open directory: the way to it need not be gone again.
        let meta = (stats && kind == Kind::File).then(|| entry.metadata());
        let stat = meta.and_then(Result::ok).map(|meta| Stat::local(&meta));
        Ok(Listed { name: entry.file_name(), kind, stat })
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A store with one file, `s://f`, and one that it does not tell of, `s://secret`.
    #[derive(Default)]
    struct One {
        asked: AtomicUsize,
    }

    impl Remote for One {
        fn stat(&self, path: &Path) -> io::Result<Stat> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            match path.to_str() {
                Some("s://f") => {
                    Ok(Stat { kind: Kind::File, size: 9, mtime_ns: 0, version: Some("1".into()) })
                }
                Some("s://secret") => Err(io::ErrorKind::PermissionDenied.into()),
                _ => Err(io::ErrorKind::NotFound.into()),
            }
        }

        fn list(&self, _dir: &Path) -> io::Result<Vec<Listed>> {
            let stat = self.stat(Path::new("s://f"))?;
            let kind = stat.kind;
            Ok(vec![Listed { name: "f".into(), kind, stat: Some(stat) }])
        }

        fn read(&self, _: &Path, _: Option<&str>, _: Range<u64>) -> io::Result<Bytes> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    #[test]
    fn what_is_there_is_asked_for_once() {
        let one = Arc::new(One::default());
        let files = Files::remote(one.clone());
        let path = Path::new("s://f");
        assert!(files.is_file(path) && files.exists(path) && !files.is_dir(path));
        assert_eq!(one.asked.load(Ordering::Relaxed), 1);
        let again = files.anew();
        assert_eq!(again.names(Path::new("s://")).unwrap(), ["f"]);
        assert!(again.is_file(path), "as the listing said");
        assert_eq!(one.asked.load(Ordering::Relaxed), 2);
        assert!(files.trouble().is_ok());
    }

    #[test]
    fn what_is_not_told_is_no_answer() {
        let files = Files::remote(Arc::new(One::default()));
        assert!(!files.exists(Path::new("s://nothing")));
        assert!(files.trouble().is_ok(), "that was an answer");
        assert!(!files.exists(Path::new("s://secret")));
        let error = files.trouble().unwrap_err().to_string();
        assert!(error.starts_with("s://secret: "), "{error}");
        assert!(files.anew().trouble().is_ok());
    }
}
