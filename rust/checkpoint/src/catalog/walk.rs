//! Directories, and what of the files in them are checkpoints.
//!
//! ```text
//! X.index  X.data-…  X.meta          a checkpoint X; what is beside it belongs to its signature
//! X  or  X-?????-of-N                a V1 file, told by its content
//! X.data-… without X.index           half a copy
//! X.tempstate…  X_temp_<hex>/        what a writer left behind, or is at work on
//! ```
//!
//! A level of the tree at a time, the directories of a level on all cores; what comes out is sorted.

use super::columns::path_text;
use crate::locate::{Located, STATE_FILE, prefix_of};
use crate::meta_file::{SAVED_MODEL, meta_beside};
use crate::v1_files::v1_in;
use crate::verify::temporary;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tensorbundle_store::{
    Error, Files, Kind, Stat, Stopped, Watch, dir_and_name, index_path, on_all_cores,
};
use tensorbundle_wire::fingerprint::fingerprint64;

/// Something that is, or should be, a checkpoint.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its prefix, or the file or directory that was left.
    pub path: PathBuf,
    /// What it is.
    pub what: What,
    /// Its files that are there.
    pub stamps: Vec<Stamp>,
    /// Files that are there, too, but of which the system or the store did not say more.
    pub unseen: Vec<PathBuf>,
}

/// What a place is.
#[derive(Debug, Clone)]
pub enum What {
    /// A checkpoint, perhaps a broken one.
    Checkpoint(Located),
    /// Of a writer that did not finish, or has not yet.
    Temporary(&'static str),
    /// Data shards whose index is not there.
    NoIndex,
    /// There is nothing.
    Nothing,
    /// Its directory was not to be read, for the reason given.
    Hidden(String),
}

/// A file as it was when it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Its path.
    pub path: PathBuf,
    /// How many bytes it has.
    pub size: u64,
    /// When it was last changed: nanoseconds since 1970; 0 if nobody knows.
    pub mtime_ns: i64,
    /// What a store calls this version of it.
    pub version: Option<Arc<str>>,
}

/// Something on the way that could not be walked.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// The directory.
    pub path: PathBuf,
    /// A phrase for it.
    pub kind: &'static str,
    /// A sentence for people.
    pub text: String,
}

/// What a walk found.
#[derive(Debug, Default)]
pub struct Walked {
    /// Checkpoints, in the order of their paths.
    pub places: Vec<Place>,
    /// What could not be walked, in the same order.
    pub troubles: Vec<Trouble>,
    /// How many directories there are.
    pub directories: usize,
    /// How many links to directories were not followed.
    pub links: usize,
}

impl Place {
    fn of(path: PathBuf, what: What) -> Self {
        Self { path, what, stamps: Vec::new(), unseen: Vec::new() }
    }

    /// Its path, as catalogs have it.
    pub fn text(&self) -> String {
        path_text(&self.path)
    }

    /// The file of the graph beside it. Where its directory was listed, nobody is asked again.
    pub(crate) fn graph(&self, files: &Files) -> Option<PathBuf> {
        if let What::Checkpoint(Located::V1(own)) = &self.what {
            return meta_beside(files, &own.prefix);
        }
        let seen = self.stamps.iter().map(|stamp| &stamp.path);
        seen.chain(&self.unseen).find(|path| is_graph(path)).cloned()
    }

    /// The same with what is known of these files.
    fn with_files(
        mut self,
        files: &Files,
        own: impl Iterator<Item = (PathBuf, Option<Stat>)>,
    ) -> Self {
        for (path, stat) in own {
            match stat.map_or_else(|| files.stat(&path), Ok) {
                Ok(stat) => self.stamps.push(Stamp::of(path, stat)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {} // it was there a moment ago
                Err(_) => self.unseen.push(path),
            }
        }
        self
    }

    /// How many bytes its index and its graph have: what is read of it if its data is not.
    pub fn index_bytes(&self) -> u64 {
        let read = |stamp: &&Stamp| {
            is_graph(&stamp.path) || is_index(stamp.path.file_name().unwrap_or_default())
        };
        self.stamps.iter().filter(read).map(|stamp| stamp.size).sum()
    }

    /// A word of 64 bits that changes when one of its files does: its size, or when it was changed.
    pub fn signature(&self) -> u64 {
        let mut text = Vec::new();
        for stamp in &self.stamps {
            text.extend_from_slice(stamp.path.file_name().unwrap_or_default().as_encoded_bytes());
            text.extend_from_slice(format!("\0{}\0{}", stamp.size, stamp.mtime_ns).as_bytes());
            if let Some(version) = &stamp.version {
                text.extend_from_slice(format!("\0{version}").as_bytes());
            }
            text.push(b'\n');
        }
        fingerprint64(&text)
    }
}

impl Stamp {
    fn of(path: PathBuf, stat: Stat) -> Self {
        let Stat { size, mtime_ns, version, .. } = stat;
        Self { path, size, mtime_ns, version }
    }

    /// What it says, for whoever would ask the store again.
    pub(super) fn stat(&self) -> (PathBuf, Stat) {
        let (size, mtime_ns, version) = (self.size, self.mtime_ns, self.version.clone());
        (self.path.clone(), Stat { kind: Kind::File, size, mtime_ns, version })
    }
}

impl Trouble {
    fn of(error: Error) -> Self {
        let path = match &error {
            Error::Io { path, .. } => path.clone(),
            _ => PathBuf::new(),
        };
        Self { path, kind: "unreadable", text: error.to_string() }
    }
}

/// A directory's contents.
#[derive(Default)]
struct Contents {
    places: Vec<Place>,
    directories: Vec<PathBuf>,
    links: Vec<PathBuf>,
    /// What a store did not say of a file in it.
    trouble: Option<Error>,
}

/// Walks directories; without `deep` none that lies in one of them. The error is that `watch` stopped it.
pub fn walk(
    files: &Files,
    roots: &[PathBuf],
    follow_links: bool,
    deep: bool,
    watch: &mut Watch<'_>,
) -> Result<Walked, Stopped> {
    let mut walked = Walked::default();
    let mut seen = HashSet::new();
    let mut level: Vec<PathBuf> = roots.to_vec();
    level.sort();
    level.dedup();
    level.retain(|root| {
        follow_links.then(|| identity(files, root)).flatten().is_none_or(|id| seen.insert(id))
    });
    while !level.is_empty() {
        walked.directories += level.len();
        // How many there will be nobody knows: the watcher is asked, but not told.
        let read = on_all_cores(files, level.len(), u64::MAX, &mut |_, _| watch(0, 0), |i, _| {
            level.get(i).map(|dir| contents(files, dir))
        })?;
        let (mut next, mut links) = (Vec::new(), Vec::new());
        for (dir, contents) in level.iter().zip(read) {
            match contents {
                Some(Ok(found)) => {
                    walked.troubles.extend(found.trouble.map(Trouble::of));
                    walked.places.extend(found.places);
                    next.extend(found.directories);
                    links.extend(found.links);
                }
                Some(Err(error)) => {
                    walked.troubles.push(Trouble::of(Error::io(dir, error, "a directory")));
                }
                None => {}
            }
        }
        if follow_links {
            seen.extend(next.iter().filter_map(|dir| identity(files, dir)));
            for link in links {
                if identity(files, &link).is_none_or(|id| seen.insert(id)) {
                    next.push(link);
                } else {
                    let text = format!(
                        "{}: a link to a directory that is walked already, or that it lies in; not followed",
                        link.display()
                    );
                    walked.troubles.push(Trouble { path: link, kind: "link", text });
                }
            }
        } else {
            walked.links += links.len();
        }
        next.sort();
        level = if deep { next } else { Vec::new() };
    }
    walked.places.sort_by(|a, b| a.path.cmp(&b.path));
    walked.troubles.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(walked)
}

/// The directories in one, by their names alone, and how many links to others. What a writer left is neither.
pub fn folders(files: &Files, dir: &Path) -> Result<(Vec<PathBuf>, usize), Error> {
    let entries =
        files.read_dir(dir, false).map_err(|error| Error::io(dir, error, "a directory"))?;
    let (mut found, mut links) = (Vec::new(), 0);
    for entry in entries.iter().filter(|entry| temporary(&entry.name).is_none()) {
        let path = dir.join(&entry.name);
        match entry.kind {
            Kind::Dir => found.push(path),
            Kind::Link => links += usize::from(files.is_dir(&path)),
            _ => {}
        }
    }
    found.sort();
    Ok((found, links))
}

/// What tells a directory from all others, however it is called.
#[cfg(unix)]
fn identity(files: &Files, dir: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    if files.is_remote() {
        return None; // no links
    }
    let meta = std::fs::metadata(dir).ok()?;
    Some((meta.dev(), meta.ino()))
}

#[cfg(not(unix))]
fn identity(files: &Files, dir: &Path) -> Option<PathBuf> {
    files.real(dir)
}

/// The places of these paths, as a walk finds them. Each directory is read once. The error is that `watch` stopped it.
pub fn places_of(
    files: &Files,
    paths: &[PathBuf],
    watch: &mut Watch<'_>,
) -> Result<Vec<Place>, Stopped> {
    let mut dirs: Vec<_> = paths.iter().map(|path| dir_and_name(path).0).collect();
    dirs.sort_unstable();
    dirs.dedup();
    // Work is counted in bytes there; a directory is worth a thread.
    let total = (dirs.len() as u64) << 20;
    let read = on_all_cores(files, dirs.len(), total, &mut |_, _| watch(0, 0), |i, _| {
        let dir = dirs.get(i).copied().unwrap_or(Path::new(""));
        contents(files, dir).map(|found| {
            let mut places = HashMap::new();
            for place in found.places {
                // Of two of one path, an index and a V1 file, the first counts, as for a walk.
                let name = dir_and_name(&place.path).1.to_owned();
                places.entry(name).or_insert(place);
            }
            places
        })
    })?;
    let known: HashMap<&Path, io::Result<HashMap<OsString, Place>>> =
        dirs.into_iter().zip(read).collect();
    let of = |path: &PathBuf| {
        let (dir, name) = dir_and_name(path);
        let what = match known.get(dir) {
            Some(Ok(places)) => match places.get(name) {
                Some(place) => return place.clone(),
                None => What::Nothing,
            },
            // A server without listings can be asked for the files of a name.
            Some(Err(error))
                if error.kind() == io::ErrorKind::NotADirectory && files.is_remote() =>
            {
                return Place::named(files, Located::Bundle(path.clone()));
            }
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => {
                What::Hidden(format!("{}: a directory: {error}", dir.display()))
            }
            _ => What::Nothing,
        };
        Place::of(path.clone(), what)
    };
    Ok(paths.iter().map(of).collect())
}

/// The files of one prefix.
#[derive(Default)]
struct Set {
    index: bool,
    files: Vec<(OsString, Option<Stat>)>,
}

fn contents(files: &Files, dir: &Path) -> io::Result<Contents> {
    let files = &files.anew(); // so that its trouble is of this directory
    let mut found = Contents::default();
    let mut sets: BTreeMap<OsString, Set> = BTreeMap::new();
    let mut others = Vec::new();
    let there = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let mut entries = files.read_dir(there, true)?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    for entry in entries {
        let (name, kind) = (entry.name, entry.kind);
        let path = dir.join(&name);
        let linked = (kind == Kind::Link).then(|| files.look(&path)).flatten();
        let linked = linked.map(|stat| stat.kind);
        if let Some(reason) = temporary(&name) {
            let own = iter::once((path.clone(), None));
            found.places.push(Place::of(path, What::Temporary(reason)).with_files(files, own));
        } else if kind == Kind::Dir {
            found.directories.push(path);
        } else if linked == Some(Kind::Dir) {
            found.links.push(path);
        } else if let Some(prefix) = prefix_of(&path) {
            let set = sets.entry(dir_and_name(&prefix).1.to_owned()).or_default();
            set.index |= is_index(&name);
            set.files.push((name, entry.stat));
        } else if (kind == Kind::File || linked == Some(Kind::File)) && name != STATE_FILE {
            others.push(name);
        }
    }
    for (name, set) in sets {
        let prefix = dir.join(name);
        let data = set.files.iter().any(|(name, _)| !is_index(name) && !ends(name, ".meta"));
        let what = match set.index {
            true => What::Checkpoint(Located::Bundle(prefix.clone())),
            false if data => What::NoIndex,
            false => continue, // a graph by itself
        };
        let beside = dir.ends_with("variables").then(|| meta_beside(files, &prefix)).flatten();
        let own = set.files.into_iter().map(|(name, stat)| (dir.join(name), stat));
        let own = own.chain(beside.map(|path| (path, None)));
        found.places.push(Place::of(prefix, what).with_files(files, own));
    }
    for own in v1_in(files, dir, &others) {
        let present: Vec<_> = own.present(&others).map(|path| (path, None)).collect();
        let place = Place::of(own.prefix.clone(), What::Checkpoint(Located::V1(own)));
        found.places.push(place.with_files(files, present.into_iter()));
    }
    found.trouble = files.trouble().err();
    Ok(found)
}

fn is_index(name: &OsStr) -> bool {
    ends(name, ".index")
}

fn is_graph(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    ends(name, ".meta") || SAVED_MODEL.iter().any(|own| name == *own)
}

fn ends(name: &OsStr, end: &str) -> bool {
    name.as_encoded_bytes().ends_with(end.as_bytes())
}

impl Place {
    /// A root that is no directory: the checkpoint that it means.
    pub fn located(files: &Files, located: Located) -> Self {
        let found = places_of(files, &[located.prefix().to_owned()], &mut |_, _| true);
        match found.unwrap_or_default().pop() {
            Some(place) if matches!(place.what, What::Checkpoint(_)) => place,
            _ => Self::named(files, located),
        }
    }

    /// A checkpoint by itself, whose directory nobody lists.
    fn named(files: &Files, located: Located) -> Self {
        let path = located.prefix().to_owned();
        let there = [Some(index_path(&path)), meta_beside(files, &path)];
        Self::of(path, What::Checkpoint(located))
            .with_files(files, there.into_iter().flatten().map(|path| (path, None)))
    }
}
