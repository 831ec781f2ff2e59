//! The file that holds a checkpoint's graph, and which graph of it is meant.
//!
//! ```text
//! run/model.ckpt-1000        run/model.ckpt-1000.meta
//! export/variables/variables export/saved_model.cpb, else saved_model.pb, else saved_model.pbtxt
//! ```
//!
//! The order is that of TensorFlow's C++ loader: a `.cpb`, which its Python does not know, is what counts.

use bytes::Bytes;
use std::path::{Path, PathBuf};
use tensorbundle_graph::{File, MetaGraph, What};
use tensorbundle_store::{Error, Files, Result, read_file};
use tensorbundle_wire::{Fault, shown};

/// The tag of the graph that is meant to be served: the one that TensorFlow 2 writes.
const SERVE: &[u8] = b"serve";

/// The files of a SavedModel: the first that is there counts.
pub(crate) const SAVED_MODEL: [&str; 3] =
    ["saved_model.cpb", "saved_model.pb", "saved_model.pbtxt"];

/// Opens the graph in the file `path`, or in the SavedModel of that directory. `tags` says which of several is meant.
pub fn open_meta_graph(
    files: &Files,
    path: &Path,
    mmap: bool,
    tags: Option<&[Vec<u8>]>,
) -> Result<MetaGraph> {
    let path = file_of(files, path);
    let bytes = files.trouble().and_then(|()| read_file(files, &path, mmap))?;
    parse_meta_graph(bytes, tags).map_err(|fault| Error::fault(&path, fault))
}

/// Opens the SavedModel in the file `path`, or in that directory, with all its graphs.
pub fn open_saved_model(files: &Files, path: &Path, mmap: bool) -> Result<File> {
    let path = file_of(files, path);
    files.trouble()?;
    if files.is_dir(&path) {
        let names = SAVED_MODEL.join(", ");
        let context = format!("no SavedModel in this directory: none of {names}");
        return Err(Error::io(&path, std::io::ErrorKind::NotFound.into(), context));
    }
    let bytes = read_file(files, &path, mmap)?;
    let file = File::parse(bytes).map_err(|fault| Error::fault(&path, fault))?;
    if file.what() != What::SavedModel {
        let fault = Fault::corrupt("SavedModel", format!("this is a {}", file.what().name()))
            .advise("open it with tensorbundle.load_meta_graph");
        return Err(Error::fault(&path, fault));
    }
    Ok(file)
}

/// The file that is meant by a path to one, or to a SavedModel's directory.
pub fn file_of(files: &Files, path: &Path) -> PathBuf {
    let inside = SAVED_MODEL.iter().map(|name| path.join(name));
    match inside.into_iter().find(|file| files.is_file(file)) {
        Some(file) if files.is_dir(path) => file,
        _ => path.to_owned(),
    }
}

/// The graph in the bytes of a file.
pub fn parse_meta_graph(bytes: Bytes, tags: Option<&[Vec<u8>]>) -> Result<MetaGraph, Fault> {
    let file = File::parse(bytes)?;
    let i = choose(&file, tags)?;
    file.meta_graph(i)
}

/// The graph of these tags, in any order; without tags the only one, else the one that is to be served.
pub fn choose(file: &File, tags: Option<&[Vec<u8>]>) -> Result<usize, Fault> {
    let all = (0..file.len()).map(|i| file.tags(i)).collect::<Result<Vec<_>, _>>()?;
    let wanted = match tags {
        Some(tags) => tags.iter().map(Vec::as_slice).collect(),
        None if all.len() == 1 => return Ok(0),
        None => vec![SERVE],
    };
    let set = |tags: &[&[u8]]| {
        let mut tags = tags.to_vec();
        tags.sort_unstable();
        tags.dedup();
        tags.iter().map(|tag| tag.to_vec()).collect::<Vec<_>>()
    };
    let sets: Vec<_> =
        all.iter().map(|tags| set(&tags.iter().map(|tag| &tag[..]).collect::<Vec<_>>())).collect();
    let wanted_set = set(&wanted);
    let found: Vec<_> = (0..sets.len()).filter(|&i| sets.get(i) == Some(&wanted_set)).collect();
    let shown_set = |tags: &Vec<Vec<u8>>| {
        format!("[{}]", tags.iter().map(|tag| shown(tag)).collect::<Vec<_>>().join(", "))
    };
    match found.as_slice() {
        [one] => Ok(*one),
        [] if all.is_empty() => Err(Fault::corrupt(file.what().name(), "it holds no graph")),
        several => {
            let have = sets.iter().map(shown_set).collect::<Vec<_>>().join(" ");
            let number = if several.is_empty() { "none" } else { "several" };
            let what = format!(
                "{number} of its {} graphs has the tags {}; there is {have}",
                all.len(),
                shown_set(&wanted_set)
            );
            let fault = Fault::unsupported(file.what().name(), what);
            Err(if several.is_empty() {
                fault.advise("say with `tags` which one is meant")
            } else {
                fault
            })
        }
    }
}

/// The file beside a checkpoint that holds its graph, if there is one.
pub fn meta_beside(files: &Files, prefix: &Path) -> Option<PathBuf> {
    let mut name = prefix.as_os_str().to_owned();
    name.push(".meta");
    let meta = PathBuf::from(name);
    if files.is_file(&meta) {
        return Some(meta);
    }
    // export/variables/variables
    let folder = prefix.parent().filter(|folder| folder.file_name() == prefix.file_name())?;
    let export = folder.parent().filter(|_| folder.ends_with("variables"))?;
    SAVED_MODEL.iter().map(|name| export.join(name)).find(|file| files.is_file(file))
}
