//! Every file of the committed corpora goes through its target.

use std::fs;
use std::path::{Path, PathBuf};
use tensorbundle_fuzz_targets::TARGETS;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
    {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn all_files() {
    for &(name, target) in TARGETS {
        let mut found = Vec::new();
        files(&folder("corpus").join(name), &mut found);
        assert!(!found.is_empty(), "{name} has no corpus");
        found.sort_unstable();
        for path in found {
            let bytes = fs::read(&path).unwrap();
            // A thread of its own has an ordinary stack, whatever runs the tests.
            let done =
                std::thread::Builder::new().stack_size(2 << 20).spawn(move || target(&bytes));
            assert!(done.unwrap().join().is_ok(), "{name} fails with {}", path.display());
        }
    }
}

#[test]
fn each_target_has_a_wrapper_and_each_corpus_a_target() {
    let mut targets: Vec<_> = TARGETS.iter().map(|(name, _)| name.to_string()).collect();
    targets.sort_unstable();
    assert_eq!(names(&folder("fuzz_targets")), targets);
    assert_eq!(names(&folder("corpus")), targets);
}
