//! Which checkpoint a path means (FORMAT 1).
//!
//! ```text
//! run/model.ckpt-1000                        a prefix: run/model.ckpt-1000.index is there; or a V1 file
//! run/model.ckpt-1000.index .meta .data-…    a file of the set
//! run/model.ckpt-1000-00000-of-00002         a file of a V1 checkpoint, or ?????, the pattern of all
//! run/                                       a directory: its state file, or its only checkpoint
//! run/checkpoint                             a state file
//! export/                                    a SavedModel: export/variables/variables
//! ```
//!
//! Names are taken as they are: `*`, `?` and `[` in them mean nothing but in that pattern.

use crate::directory::{checkpoints_in, hints_in, names};
use crate::state_file::read_state_file;
use crate::v1_files::{V1Files, v1_files};
use std::io;
use std::path::{Component, Path, PathBuf};
use tensorbundle_store::{
    Bundle, Error, Files, Kind, Options, Result, Sniffed, Tensors, V1, index_path, read_ends,
    sniff_v1,
};
use tensorbundle_wire::{Fault, lookalike, shown, table};

/// What a path means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Located {
    /// A V2 bundle, by its prefix.
    Bundle(PathBuf),
    /// A V1 checkpoint.
    V1(V1Files),
}

impl Located {
    /// Its prefix.
    pub fn prefix(&self) -> &Path {
        match self {
            Self::Bundle(prefix) => prefix,
            Self::V1(files) => &files.prefix,
        }
    }

    /// Opens it.
    pub fn open(&self, options: Options) -> Result<Tensors> {
        let prefix = match self {
            Self::V1(files) => {
                files.complete(&options.files)?;
                let paths: Vec<_> = files.files().collect();
                return V1::open(&files.prefix, &paths, options).map(Tensors::V1);
            }
            Self::Bundle(prefix) => prefix,
        };
        match Bundle::open(prefix, options.clone()) {
            Ok(bundle) => Ok(Tensors::V2(bundle)),
            Err(error) => {
                // A V1 file may be called .index too.
                let file = index_path(prefix);
                if sniff_v1(&options.files, &file) == Sniffed::V1 {
                    V1::open(&file, std::slice::from_ref(&file), options).map(Tensors::V1)
                } else {
                    Err(error)
                }
            }
        }
    }
}

/// The name of a directory's state file.
pub(crate) const STATE_FILE: &str = "checkpoint";

/// Finds the checkpoint that `path` means. A path in a state file that leads out of its directory is followed only if
/// `follow` says so.
pub fn locate(files: &Files, path: &Path, follow: bool) -> Result<Located> {
    let found = find(files, path, follow);
    // What a store refused to say may be why something else was found, or nothing.
    files.trouble().and(found)
}

fn find(files: &Files, path: &Path, follow: bool) -> Result<Located> {
    if is_prefix(files, path) {
        return Ok(Located::Bundle(path.to_owned()));
    }
    if files.is_dir(path) {
        return in_directory(files, path, follow);
    }
    if is_named_state_file(files, path) {
        return latest(files, path.parent().unwrap_or(Path::new("")), path, follow);
    }
    if let Some(prefix) = prefix_of(path)
        && let Some(found) = at_prefix(files, &prefix)?
    {
        return Ok(found);
    }
    match v1_files(files, path)? {
        Some(found) => Ok(Located::V1(found)),
        None => Err(nothing_at(files, path)),
    }
}

/// Is there a checkpoint of this prefix, of this pattern of V1 files, or with this file? Files of it may be missing.
pub fn is_checkpoint(files: &Files, path: &Path) -> bool {
    // An error is about files that are missing of one that is there.
    let at = |prefix: &Path| at_prefix(files, prefix).map_or(true, |found| found.is_some());
    at(path)
        || files.is_file(path)
            && (is_named_state_file(files, path) || prefix_of(path).is_some_and(|it| at(&it)))
}

fn is_named_state_file(files: &Files, path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == STATE_FILE) && is_state_file(files, path)
}

/// The checkpoint of a prefix, or of the pattern of a V1 checkpoint.
fn at_prefix(files: &Files, prefix: &Path) -> Result<Option<Located>> {
    if is_prefix(files, prefix) {
        return Ok(Some(Located::Bundle(prefix.to_owned())));
    }
    Ok(v1_files(files, prefix)?.map(Located::V1))
}

/// A V1 checkpoint may be called like a state file.
fn is_state_file(files: &Files, path: &Path) -> bool {
    files.is_file(path) && sniff_v1(files, path) != Sniffed::V1
}

/// Does this prefix have an index? A broken link counts: opening it says what is wrong.
fn is_prefix(files: &Files, prefix: &Path) -> bool {
    files.is_entry(&index_path(prefix))
}

/// The prefix of a file of the set, by its name.
pub(crate) fn prefix_of(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_string_lossy();
    let (stem, suffix) = name.rsplit_once('.')?;
    if !matches!(suffix, "index" | "meta" | "debug") && !is_data_suffix(suffix) {
        return None;
    }
    // A prefix can end in a slash: its index is then called ".index".
    Some(if stem.is_empty() { path.parent()?.join("") } else { path.with_extension("") })
}

/// `data-ddddd-of-ddddd`
fn is_data_suffix(suffix: &str) -> bool {
    let number = |text: &str| text.len() >= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = suffix.strip_prefix("data-").and_then(|rest| rest.split_once("-of-"));
    numbers.is_some_and(|(i, n)| number(i) && number(n))
}

/// The checkpoint of a directory.
fn in_directory(files: &Files, dir: &Path, follow: bool) -> Result<Located> {
    let state_path = dir.join(STATE_FILE);
    if is_state_file(files, &state_path) {
        return latest(files, dir, &state_path, follow);
    }
    if let Some(variables) = at_prefix(files, &dir.join("variables").join("variables"))? {
        return Ok(variables);
    }
    let missing = |context: String| Error::io(dir, io::ErrorKind::NotFound.into(), context);
    let mut there = checkpoints_in(files, dir)?;
    match (there.pop(), there.as_slice()) {
        // Opening by one of its files says what is missing of a V1 checkpoint.
        (Some(only @ Located::Bundle(_)), []) => Ok(only),
        (Some(only), []) => at_prefix(files, only.prefix())?.ok_or_else(|| missing("a V1 checkpoint".into())),
        (None, _) => Err(missing(
            "no checkpoint in this directory: neither a `checkpoint` state file, nor an .index file, \
             nor a V1 checkpoint"
                .into(),
        )),
        (Some(last), others) => {
            let all = [others, &[last]].concat();
            Err(missing(format!(
                "no `checkpoint` state file says which of its {} checkpoints is meant: give the prefix, {}",
                all.len(),
                names(&all)
            )))
        }
    }
}

/// The latest checkpoint that a state file names.
fn latest(files: &Files, dir: &Path, state_path: &Path, follow: bool) -> Result<Located> {
    let state = read_state_file(files, state_path)?;
    if let Some((_, found)) = named_in(files, dir, &state.latest, follow)? {
        return Ok(found);
    }
    let written = String::from_utf8_lossy(&state.latest).into_owned();
    let whole = joined(files, dir, &written);
    let mut context = format!("the checkpoint {} that the state file names", shown(&state.latest));
    if !follow && leaves(files, dir, &written) && at_prefix(files, &whole)?.is_some() {
        context.push_str(
            " lies outside of its directory: open it by its own path if you trust it, or with follow=True",
        );
    } else {
        context.push_str(" is not beside it");
        match hints_in(files, dir).as_slice() {
            [] => {}
            there => context.push_str(&format!("; there is {}", names(there))),
        }
    }
    Err(Error::io(
        &index_path(&dir.join(base_of(&written))),
        io::ErrorKind::NotFound.into(),
        context,
    ))
}

/// The checkpoint that a directory's state file calls `written`, and the path that leads to it.
///
/// A path that leaves the directory is not followed, unless `follow` says so: it is one from before the directory was
/// moved, and the checkpoint stands beside the state file, or it is none that this directory should decide on.
pub fn named_in(
    files: &Files,
    dir: &Path,
    written: &[u8],
    follow: bool,
) -> Result<Option<(PathBuf, Located)>> {
    let written = String::from_utf8_lossy(written).into_owned();
    let leaves = leaves(files, dir, &written);
    let whole = (follow || !leaves).then(|| joined(files, dir, &written));
    // A path from another system is a single name here.
    let base = (leaves || written.contains('\\')).then(|| dir.join(base_of(&written)));
    for candidate in [whole, base].into_iter().flatten() {
        let found = match at_prefix(files, &candidate)? {
            // Opening it says what is wrong with it.
            None if files.is_file(&candidate) => {
                Some(Located::V1(V1Files { prefix: candidate.clone(), count: None }))
            }
            found => found,
        };
        if let Some(found) = found {
            return Ok(Some((candidate, found)));
        }
    }
    Ok(None)
}

/// The last part of a path, which may come from another system.
fn base_of(written: &str) -> &str {
    written.rsplit(['/', '\\']).next().unwrap_or_default()
}

/// A path that is written in a directory; one with a scheme is complete.
fn joined(files: &Files, dir: &Path, written: &str) -> PathBuf {
    if files.is_remote() && written.contains("://") { written.into() } else { dir.join(written) }
}

/// Does a path that is written in a directory lead out of it?
fn leaves(files: &Files, dir: &Path, written: &str) -> bool {
    let path = Path::new(written);
    if files.is_remote() && written.contains("://") {
        // As bytes: another spelling of the same place is another place.
        let dir = dir.to_string_lossy();
        let inside = written.strip_prefix(dir.trim_end_matches('/'));
        return !inside.is_some_and(|rest| rest.starts_with('/') && !rest.contains("/.."));
    }
    let inside =
        path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    !inside && !is_within(files, path, dir)
}

/// Does an absolute path lead into a directory, links and `..` followed?
fn is_within(files: &Files, path: &Path, dir: &Path) -> bool {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let real = |path: &Path| files.real(path);
    let parent = path.parent().filter(|_| path.is_absolute()).and_then(real);
    parent.zip(real(dir)).is_some_and(|(parent, dir)| parent.starts_with(dir))
}

/// Why there is no checkpoint at a path that is no directory.
fn nothing_at(files: &Files, path: &Path) -> Error {
    let io = |error, context: String| Error::io(path, error, context);
    match files.stat(path) {
        Ok(_) if prefix_of(path).is_some() => {
            let prefix = prefix_of(path).unwrap_or_default();
            let context = format!(
                "the index of the checkpoint; {} is beside it, but without the index it cannot be read",
                path.display()
            );
            Error::io(&index_path(&prefix), io::ErrorKind::NotFound.into(), context)
        }
        Ok(stat) if stat.kind == Kind::File => match what_is(files, path, stat.size) {
            Ok(fault) => Error::fault(path, fault),
            Err(error) => error,
        },
        Ok(_) => io(io::ErrorKind::InvalidInput.into(), "neither a file nor a directory".into()),
        Err(error) => {
            let index = index_path(path);
            let index = index.file_name().unwrap_or_default().display();
            let mut context =
                format!("no checkpoint of this prefix: no file {index}, and no V1 checkpoint");
            if error.kind() == io::ErrorKind::NotFound {
                match hints_in(files, path.parent().unwrap_or(Path::new(""))).as_slice() {
                    [] => {}
                    there => context.push_str(&format!("; there is {}", names(there))),
                }
            }
            io(error, context)
        }
    }
}

/// What a file is that is no part of a checkpoint.
fn what_is(files: &Files, path: &Path, len: u64) -> Result<Fault> {
    let (head, tail) = read_ends(files, path, lookalike::HEAD_LEN, table::FOOTER_LEN)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(if name.contains(".tempstate") {
        Fault::corrupt("file", "left over from a save that did not finish")
            .advise("look for the checkpoint that was saved before it")
    } else if table::Footer::parse(&tail).is_ok() {
        Fault::corrupt(
            "file",
            "a table, but no V1 checkpoint: it has no table of contents that can be read",
        )
        .advise("if it is the index of a V2 checkpoint, it must be called PREFIX.index")
    } else {
        let looks = lookalike::describe(&head, len);
        Fault::corrupt("file", "this is no TensorFlow checkpoint").advise(looks.unwrap_or_else(
            || "give the prefix of a checkpoint, one of its files, or its directory".into(),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    fn dir(files: &[(&str, &str)]) -> TempDir {
        let dir = TempDir::new().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    fn found(dir: &TempDir, name: &str) -> String {
        let found = locate(&Files::Local, &dir.path().join(name), false).unwrap();
        found.prefix().strip_prefix(dir.path()).unwrap().display().to_string()
    }

    fn text(dir: &TempDir, name: &str) -> String {
        locate(&Files::Local, &dir.path().join(name), false).unwrap_err().to_string()
    }

    #[test]
    fn any_file_of_the_set() {
        let dir = dir(&[("m-1.index", ""), ("m-1.meta", ""), ("m-1.data-00000-of-00001", "")]);
        for name in ["m-1", "m-1.index", "m-1.meta", "m-1.data-00000-of-00001", "m-1.debug", "."] {
            assert_eq!(found(&dir, name), "m-1");
        }
        assert!(text(&dir, "m-1.data-0-of-1").contains("no checkpoint of this prefix"));
        assert!(text(&dir, "m-2").contains("m-1\""), "{}", text(&dir, "m-2"));
    }

    #[test]
    fn odd_names() {
        let odd = dir(&[
            ("x[1]*.index", ""),
            ("m.index.index", ""),
            ("d/.index", ""),
            ("e.index", ""),
            ("e/f", ""),
        ]);
        assert_eq!(found(&odd, "x[1]*"), "x[1]*");
        assert_eq!(found(&odd, "m.index"), "m.index");
        let index = locate(&Files::Local, &odd.path().join("d/.index"), false).unwrap();
        assert!(index.prefix().to_string_lossy().ends_with("d/"));
        let slash = locate(&Files::Local, &odd.path().join("d/"), false).unwrap();
        assert_eq!(slash, Located::Bundle(odd.path().join("d/")));
        // A prefix that is also a directory.
        assert_eq!(found(&odd, "e"), "e");
    }

    #[test]
    fn state_files() {
        let moved = "model_checkpoint_path: \"/gone/with/m-2\"";
        let several = [("m-1.index", ""), ("m-2.index", ""), ("sub/m-3.index", "")];
        let with = |state: &str| {
            let dir = dir(&several);
            fs::write(dir.path().join("checkpoint"), state).unwrap();
            dir
        };
        assert_eq!(found(&with(moved), "."), "m-2");
        assert_eq!(found(&with("model_checkpoint_path: \"sub/m-3\""), "."), "sub/m-3");
        assert_eq!(found(&with("model_checkpoint_path: \"C:\\\\runs\\\\m-1\""), "."), "m-1");
        assert_eq!(found(&with("model_checkpoint_path: \"../elsewhere/m-1\""), "."), "m-1");
        let within = with("");
        let absolute = within.path().join("sub/m-3").display().to_string();
        fs::write(within.path().join("sub/m-1.index"), "").unwrap();
        fs::write(within.path().join("m-3.index"), "").unwrap();
        fs::write(within.path().join("checkpoint"), format!("model_checkpoint_path: {absolute:?}"))
            .unwrap();
        assert_eq!(found(&within, "."), "sub/m-3", "not the m-3 beside it");
        let gone = text(&with("model_checkpoint_path: \"m-9\""), ".");
        assert!(
            gone.contains("\"m-9\" that the state file names is not beside it; there is"),
            "{gone}"
        );
        let outside = with(&format!(
            "model_checkpoint_path: {:?}",
            dir(&several).keep().join("sub/m-3").display().to_string()
        ));
        assert!(text(&outside, ".").contains("lies outside of its directory"));
        assert!(locate(&Files::Local, outside.path(), true).unwrap().prefix().ends_with("sub/m-3"));
        assert!(text(&dir(&several), ".").contains("which of its 2 checkpoints is meant"));
    }

    #[test]
    fn what_stands_there_instead() {
        let dir = dir(&[
            ("lfs", "version https://git-lfs.github.com/spec/v1"),
            ("model.meta", "graph"),
            ("x.index.tempstate123", "0123"),
            ("empty/readme", ""),
            ("saved/variables/variables.index", ""),
            ("shards/train-00000-of-00001", "no table"),
        ]);
        assert!(text(&dir, "shards").contains("no checkpoint in this directory"));
        assert!(text(&dir, "lfs").contains("git lfs pull"));
        assert!(text(&dir, "model.meta").contains("without the index it cannot be read"));
        assert!(text(&dir, "x.index.tempstate123").contains("a save that did not finish"));
        assert!(text(&dir, "empty").contains("no checkpoint in this directory"));
        assert!(text(&dir, "lfs/m").contains("Not a directory"), "{}", text(&dir, "lfs/m"));
        assert!(text(&dir, "m-?????-of-00002").contains("no V1 checkpoint"));
        assert_eq!(found(&dir, "saved"), "saved/variables/variables");
    }
}
