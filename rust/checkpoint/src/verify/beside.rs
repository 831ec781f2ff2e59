//! Files beside a checkpoint that do not belong to it (FORMAT 1.2, 3.5).
//!
//! ```text
//! <prefix>.data-00000-of-00003            another number of shards than the header counts
//! <name>.tempstate<digits>                of a writer that did not finish: index, shard or V1 file
//! <prefix>_temp  <prefix>_temp_<32 hex>   of a sharded save that did not finish
//! <prefix>.part-00000-of-00002.…          the same, in an object store
//! ```

use crate::v1_files::names_in;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::Path;
use tensorbundle_store::{
    Bundle, Checked, Error, Files, Finding, FindingKind, data_files, dir_and_name,
};
use tensorbundle_wire::Fault;

/// Holds the data files that are there against the header.
pub(super) fn check_shards(bundle: &Bundle, checked: &mut Checked) {
    let n = bundle.header().num_shards;
    let files = data_files(&bundle.options().files, bundle.prefix());
    if files.is_empty() && bundle.options().files.is_remote() {
        return; // a store that lists nothing
    }
    let mut there = HashSet::new();
    for file in files {
        if file.n == n && file.i < n {
            there.insert(file.i);
            continue;
        }
        let what = format!("shard {} of {}, but the header counts {n}", file.i, file.n);
        let fault = Fault::corrupt("data shard", what)
            .got_want(file.n, n)
            .advise("it is left from another checkpoint of this name, or a merge counted wrong");
        let error = Error::fault(&file.path, fault);
        checked.findings.push(Finding::new(FindingKind::OtherShard, error).in_shard(file.i));
    }
    let missing = (n as usize).saturating_sub(there.len() + checked.missing_shards);
    if missing > 0 {
        // A merge of bundles, one of them empty, leaves it so.
        let what = format!(
            "{missing} of the {n} shards that the header counts are not there; no tensor needs them"
        );
        let error = Error::fault(&bundle.shard_path(0), Fault::corrupt("data shard", what));
        checked.notes.push(Finding::new(FindingKind::MissingShard, error));
    }
}

/// Looks for what writers left behind.
pub(super) fn check_left_overs(files: &Files, prefix: &Path, checked: &mut Checked) {
    let (dir, own) = dir_and_name(prefix);
    for name in names_in(files, dir).unwrap_or_default() {
        let rest = name.as_encoded_bytes().strip_prefix(own.as_encoded_bytes());
        let left = rest.and_then(|rest| std::str::from_utf8(rest).ok()).and_then(left_over);
        if let Some(what) = left {
            let fault =
                Fault::corrupt("directory", what).advise("remove it, if no save is going on");
            let error = Error::fault(&dir.join(&name), fault);
            checked.findings.push(Finding::new(FindingKind::LeftOver, error));
        }
    }
}

/// What a file or directory of this name is, if a writer left it, whatever its checkpoint is called.
pub(crate) fn temporary(name: &OsStr) -> Option<&'static str> {
    let name = name.to_str()?;
    [".tempstate", "_temp", ".part-"]
        .iter()
        .filter_map(|mark| name.get(name.rfind(mark)?..))
        .find_map(left_over)
}

/// What a file is whose name goes on so behind the prefix, if a writer left it.
fn left_over(rest: &str) -> Option<&'static str> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((before, after)) = rest.split_once(".tempstate") {
        let own = matches!(before, "" | ".index")
            || before.starts_with(".data-")
            || before.starts_with('-');
        return (own && digits(after))
            .then_some("a temporary file of a writer that did not finish");
    }
    if rest == "_temp" {
        return Some("a temporary directory of a save that did not finish");
    }
    if let Some(hex) = rest.strip_prefix("_temp_") {
        let is_hex = hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        return is_hex.then_some("a temporary directory of a save that did not finish");
    }
    let part = rest.strip_prefix(".part-")?;
    let (number, rest) = part.split_once("-of-")?;
    let (count, _) = rest.split_once('.')?;
    (digits(number) && digits(count)).then_some("a part of a save that was not merged")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_writers_leave() {
        for name in [
            ".tempstate14990763380959921832",
            ".index.tempstate1",
            ".data-00000-of-00001.tempstate77",
            "-00000-of-00002.tempstate5",
            "_temp",
            "_temp_0123456789abcdef0123456789ABCDEF",
            ".part-00000-of-00002.index",
        ] {
            assert!(left_over(name).is_some(), "{name}");
        }
        for name in [
            "",
            ".index",
            ".meta",
            ".data-00000-of-00001",
            "0.index.tempstate1",
            ".tempstate",
            "_temporary",
            "_temp_0123",
            ".partial",
            ".index.tempstate1x",
            "_temp_0123456789abcdef0123456789ABCDEG",
        ] {
            assert!(left_over(name).is_none(), "{name}");
        }
    }
}
