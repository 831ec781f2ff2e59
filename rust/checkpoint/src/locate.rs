//! Which checkpoint a path means (FORMAT 1).
//!
//! ```text
//! run/model.ckpt-1000                        a prefix: run/model.ckpt-1000.index is there
//! run/model.ckpt-1000.index .meta .data-…    a file of the set
//! run/                                       a directory: its state file, or its only checkpoint
//! run/checkpoint                             a state file
//! export/                                    a SavedModel: export/variables/variables
//! ```
//!
//! Names are taken as they are: `*`, `?` and `[` in them mean nothing.

use crate::state_file::read_state_file;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use tensorbundle_store::{Error, Result, index_path};
use tensorbundle_wire::{Fault, lookalike, shown, table};

/// What a path means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Located {
    /// A V2 bundle, by its prefix.
    Bundle(PathBuf),
}

/// The name of a directory's state file.
const STATE_FILE: &str = "checkpoint";

/// How many names an error lists.
const LISTED: usize = 5;

/// Finds the checkpoint that `path` means.
pub fn locate(path: &Path) -> Result<Located> {
    let found = if is_prefix(path) {
        path.to_owned()
    } else if path.is_dir() {
        in_directory(path)?
    } else if path.file_name().is_some_and(|name| name == STATE_FILE) && path.is_file() {
        latest(path.parent().unwrap_or(Path::new("")), path)?
    } else {
        match prefix_of(path).filter(|prefix| is_prefix(prefix)) {
            Some(prefix) => prefix,
            None => return Err(nothing_at(path)),
        }
    };
    Ok(Located::Bundle(found))
}

/// Does this prefix have an index? A broken link counts: opening it says what is wrong.
fn is_prefix(prefix: &Path) -> bool {
    fs::symlink_metadata(index_path(prefix)).is_ok_and(|meta| !meta.is_dir())
}

/// The prefix of a file of the set, by its name.
fn prefix_of(path: &Path) -> Option<PathBuf> {
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

/// Are there shards of a V1 checkpoint of this prefix?
fn has_v1_shards(prefix: &Path) -> bool {
    let name = prefix.file_name().unwrap_or_default().as_encoded_bytes();
    let entries =
        prefix.parent().and_then(|dir| fs::read_dir(dir).ok()).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).any(|file| {
        let rest = file.as_encoded_bytes().strip_prefix(name);
        rest.is_some_and(|rest| {
            rest.starts_with(b"-") && rest.windows(4).any(|part| part == b"-of-")
        })
    })
}

/// The checkpoint of a directory.
fn in_directory(dir: &Path) -> Result<PathBuf> {
    let state_path = dir.join(STATE_FILE);
    if state_path.is_file() {
        return latest(dir, &state_path);
    }
    let saved_model = dir.join("variables").join("variables");
    if is_prefix(&saved_model) {
        return Ok(saved_model);
    }
    if has_v1_shards(&saved_model) {
        return Err(Error::fault(&saved_model, v1("the variables of a SavedModel from before V2")));
    }
    let missing = |context: String| Error::io(dir, io::ErrorKind::NotFound.into(), context);
    match prefixes_in(dir).as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(missing(
            "no checkpoint in this directory: neither a `checkpoint` state file nor an .index file"
                .into(),
        )),
        several => Err(missing(format!(
            "no `checkpoint` state file says which of its {} checkpoints is meant: give the prefix, {}",
            several.len(),
            names(several)
        ))),
    }
}

/// The latest checkpoint that a state file names.
///
/// A path in it that leaves the directory is not followed: it is one from before the directory was moved, and
/// the checkpoint stands beside the state file, or it is none that this directory should decide on.
fn latest(dir: &Path, state_path: &Path) -> Result<PathBuf> {
    let state = read_state_file(state_path)?;
    let written = String::from_utf8_lossy(&state.latest).into_owned();
    let relative = Path::new(&written);
    let inside =
        relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    // A state file may come from another system.
    let base = written.rsplit(['/', '\\']).next().unwrap_or_default();
    let whole = (inside || is_within(relative, dir)).then(|| dir.join(relative));
    let candidates = [whole, Some(dir.join(base))];
    if let Some(prefix) = candidates.into_iter().flatten().find(|prefix| is_prefix(prefix)) {
        return Ok(prefix);
    }
    if base.contains("-?????-of-") || dir.join(base).is_file() {
        return Err(Error::fault(
            state_path,
            v1(&format!("it names the V1 checkpoint {}", shown(&state.latest))),
        ));
    }
    let mut context = format!("the checkpoint {} that the state file names", shown(&state.latest));
    if relative.is_absolute() && is_prefix(relative) {
        context.push_str(" lies outside of its directory: open it by its own path if you trust it");
    } else {
        context.push_str(" is not beside it");
        match prefixes_in(dir).as_slice() {
            [] => {}
            there => context.push_str(&format!("; there is {}", names(there))),
        }
    }
    Err(Error::io(&index_path(&dir.join(base)), io::ErrorKind::NotFound.into(), context))
}

/// Does an absolute path lead into a directory, links and `..` followed?
fn is_within(path: &Path, dir: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    let parent = path.parent().filter(|_| path.is_absolute()).and_then(real);
    parent.zip(real(dir)).is_some_and(|(parent, dir)| parent.starts_with(dir))
}

/// The prefixes of all indexes in a directory.
fn prefixes_in(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let indexes = entries.map(|entry| entry.path()).filter(|path| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().ends_with(b".index"))
    });
    let mut prefixes: Vec<_> = indexes.filter_map(|path| prefix_of(&path)).collect();
    prefixes.sort();
    prefixes
}

fn names(prefixes: &[PathBuf]) -> String {
    let mut names: Vec<_> = prefixes
        .iter()
        .take(LISTED)
        .map(|prefix| format!("{:?}", prefix.display().to_string()))
        .collect();
    if prefixes.len() > LISTED {
        names.push("…".into());
    }
    names.join(", ")
}

/// Why there is no checkpoint at a path that is no directory.
fn nothing_at(path: &Path) -> Error {
    let io = |error, context: String| Error::io(path, error, context);
    if path.to_string_lossy().contains("-?????-of-") {
        return Error::fault(path, v1("a pattern for the shards of a V1 checkpoint"));
    }
    match fs::metadata(path) {
        Ok(_) if prefix_of(path).is_some() => {
            let prefix = prefix_of(path).unwrap_or_default();
            let context = format!(
                "the index of the checkpoint; {} is beside it, but without the index it cannot be read",
                path.display()
            );
            Error::io(&index_path(&prefix), io::ErrorKind::NotFound.into(), context)
        }
        Ok(meta) if meta.is_file() => match what_is(path, meta.len()) {
            Ok(fault) => Error::fault(path, fault),
            Err(error) => io(error, "reading".into()),
        },
        Ok(_) => io(io::ErrorKind::InvalidInput.into(), "neither a file nor a directory".into()),
        Err(error) => {
            let index = index_path(path);
            let index = index.file_name().unwrap_or_default().display();
            let mut context = format!("no checkpoint of this prefix: no file {index}");
            if error.kind() == io::ErrorKind::NotFound {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                match prefixes_in(parent.unwrap_or(Path::new("."))).as_slice() {
                    [] => {}
                    there => context.push_str(&format!("; there is {}", names(there))),
                }
            }
            io(error, context)
        }
    }
}

/// What a file is that is no part of a V2 checkpoint.
fn what_is(path: &Path, len: u64) -> io::Result<Fault> {
    let mut file = fs::File::open(path)?;
    let mut head = Vec::new();
    Read::by_ref(&mut file).take(lookalike::HEAD_LEN).read_to_end(&mut head)?;
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(len.saturating_sub(table::FOOTER_LEN)))?;
    file.take(table::FOOTER_LEN).read_to_end(&mut tail)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(if name.contains(".tempstate") {
        Fault::corrupt("file", "left over from a save that did not finish")
            .advise("look for the checkpoint that was saved before it")
    } else if table::Footer::parse(&tail).is_ok() {
        v1("a table without the suffix .index")
    } else {
        let looks = lookalike::describe(&head, len);
        Fault::corrupt("file", "this is no TensorFlow checkpoint").advise(looks.unwrap_or_else(
            || "give the prefix of a checkpoint, one of its files, or its directory".into(),
        ))
    })
}

fn v1(what: &str) -> Fault {
    Fault::unsupported("V1 checkpoint", what.to_owned())
        .advise("this version of tensorbundle reads V2 checkpoints, those with an .index file")
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let Located::Bundle(prefix) = locate(&dir.path().join(name)).unwrap();
        prefix.strip_prefix(dir.path()).unwrap().display().to_string()
    }

    fn text(dir: &TempDir, name: &str) -> String {
        locate(&dir.path().join(name)).unwrap_err().to_string()
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
        let Located::Bundle(prefix) = locate(&odd.path().join("d/.index")).unwrap();
        assert!(prefix.to_string_lossy().ends_with("d/"));
        assert_eq!(locate(&odd.path().join("d/")).unwrap(), Located::Bundle(odd.path().join("d/")));
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
        let v1 = text(&with("model_checkpoint_path: \"/x/m-3000-?????-of-00001\""), ".");
        assert!(v1.starts_with("V1 checkpoint of"), "{v1}");
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
            ("old/variables/variables-00000-of-00001", ""),
        ]);
        assert!(text(&dir, "old").contains("variables of a SavedModel from before V2"));
        assert!(text(&dir, "lfs").contains("git lfs pull"));
        assert!(text(&dir, "model.meta").contains("without the index it cannot be read"));
        assert!(text(&dir, "x.index.tempstate123").contains("a save that did not finish"));
        assert!(text(&dir, "empty").contains("no checkpoint in this directory"));
        assert!(text(&dir, "lfs/m").contains("Not a directory"), "{}", text(&dir, "lfs/m"));
        assert!(text(&dir, "m-?????-of-00002").contains("V1 checkpoint"));
        assert_eq!(found(&dir, "saved"), "saved/variables/variables");
    }
}
