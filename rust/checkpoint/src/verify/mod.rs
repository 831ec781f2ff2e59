//! Everything that is wrong with a checkpoint, and what can be saved of it.
//!
//! ```text
//! store        the index, every block and every tensor (Bundle::salvage, Bundle::verify; the same of V1)
//! beside       files that do not belong: other counts of shards, what writers left behind
//! graph        the graph beside it, and its graph of objects: do they speak of these tensors?
//! ```

mod beside;
mod graph;

pub(crate) use beside::temporary;

use crate::locate::Located;
use std::path::{Path, PathBuf};
use tensorbundle_store::{
    Bundle, Checked, Files, FindingKind, Findings, Options, Result, Sniffed, Stopped, Tensors, V1,
    Watch, index_path, sniff_v1,
};

/// A checkpoint of all that is sound, and everything that is wrong with the rest.
pub struct Verified {
    /// What is left of it. Tensors that are lost are still in it: see [`Verified::sound`].
    pub tensors: Tensors,
    /// What was found.
    pub checked: Checked,
}

/// Checks a checkpoint; the checksums of tensors only if `data` says so. The outer error is that there is nothing to
/// check, the inner one that `watch` stopped it.
pub fn verify(
    located: &Located,
    options: Options,
    data: bool,
    watch: &mut Watch<'_>,
) -> Result<Result<Verified, Stopped>> {
    let files = options.files.clone();
    let verified = match files_of(&files, located)? {
        Own::Bundle(prefix) => of_bundle(prefix, options, data, watch),
        Own::V1(prefix, own) => of_v1(prefix, &own, options, watch),
    };
    // What a store refused to say of files that may be missing is no finding of theirs.
    files.trouble().and(verified)
}

impl Verified {
    /// The checkpoint of the tensors that are not lost.
    pub fn sound(self) -> Result<(Tensors, Checked)> {
        let lost = &self.checked.lost;
        let tensors = match self.tensors {
            whole if lost.is_empty() => whole,
            Tensors::V2(bundle) => Tensors::V2(bundle.without(lost)?),
            Tensors::V1(v1) => Tensors::V1(v1.without(lost)),
        };
        Ok((tensors, self.checked))
    }
}

enum Own<'a> {
    Bundle(&'a Path),
    V1(&'a Path, Vec<PathBuf>),
}

/// A V1 file may be called .index too.
fn files_of<'a>(files: &Files, located: &'a Located) -> Result<Own<'a>> {
    Ok(match located {
        Located::V1(own) => {
            own.check_count()?;
            Own::V1(&own.prefix, own.files().collect())
        }
        Located::Bundle(prefix) => {
            let index = index_path(prefix);
            match sniff_v1(files, &index) {
                Sniffed::V1 => Own::V1(prefix, vec![index]),
                Sniffed::Other | Sniffed::Unreadable => Own::Bundle(prefix),
            }
        }
    })
}

fn of_bundle(
    prefix: &Path,
    options: Options,
    data: bool,
    watch: &mut Watch<'_>,
) -> Result<Result<Verified, Stopped>> {
    let salvaged = match Bundle::salvage(prefix, options, watch)? {
        Ok(salvaged) => salvaged,
        Err(stopped) => return Ok(Err(stopped)),
    };
    let mut checked = match salvaged.bundle.verify(data, watch)? {
        Ok(checked) => checked,
        Err(stopped) => return Ok(Err(stopped)),
    };
    let hurt = !salvaged.lost.is_empty();
    checked.tensors += salvaged.lost.len();
    checked.lost.extend(salvaged.lost);
    if salvaged.incomplete || hurt {
        // They may be those of tensors whose entries are lost.
        checked.findings.retain(|found| found.kind != FindingKind::Unowned);
    }
    beside::check_shards(&salvaged.bundle, &mut checked);
    let tensors = Tensors::V2(salvaged.bundle);
    finish(tensors, checked, salvaged.findings, salvaged.incomplete)
}

fn of_v1(
    prefix: &Path,
    files: &[PathBuf],
    options: Options,
    watch: &mut Watch<'_>,
) -> Result<Result<Verified, Stopped>> {
    let (v1, findings) = match V1::salvage(prefix, files, options, watch)? {
        Ok(salvaged) => salvaged,
        Err(stopped) => return Ok(Err(stopped)),
    };
    let checked = match v1.verify(watch) {
        Ok(checked) => checked,
        Err(stopped) => return Ok(Err(stopped)),
    };
    let incomplete = !findings.is_empty();
    finish(Tensors::V1(v1), checked, findings, incomplete)
}

fn finish(
    tensors: Tensors,
    mut checked: Checked,
    mut findings: Findings,
    incomplete: bool,
) -> Result<Result<Verified, Stopped>> {
    findings.append(std::mem::take(&mut checked.findings));
    checked.findings = findings;
    beside::check_left_overs(&tensors.options().files, tensors.prefix(), &mut checked);
    graph::check(&tensors, incomplete, &mut checked)?;
    checked.findings.finish(tensors.prefix());
    checked.notes.finish(tensors.prefix());
    Ok(Ok(Verified { tensors, checked }))
}
