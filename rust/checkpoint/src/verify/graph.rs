//! Do the graphs of a checkpoint speak of its tensors? The one beside it (`.meta`, `saved_model.pb`), and that of its
//! objects.

use crate::meta_file::{meta_beside, open_meta_graph};
use crate::object_graph::{OBJECT_GRAPH, open_object_graph};
use crate::variables::{Misfit, join};
use std::path::Path;
use tensorbundle_store::{Checked, Error, Finding, FindingKind, Result, Tensors};
use tensorbundle_wire::Fault;

/// Sentences of one kind beyond which a number says more.
const MOST: usize = 100;

pub(super) fn check(tensors: &Tensors, incomplete: bool, checked: &mut Checked) -> Result<()> {
    let listing = tensors.listing()?;
    let lost_objects = checked.lost.contains(OBJECT_GRAPH);
    let objects = if lost_objects { Ok(None) } else { open_object_graph(tensors) };
    let objects = match objects {
        Ok(objects) => objects,
        Err(error) => {
            checked.findings.push(Finding::new(FindingKind::DamagedGraph, error));
            None
        }
    };
    // What is missing with a damaged part of the index was said of that.
    if let Some(objects) = objects.as_ref().filter(|_| !incomplete && checked.lost.is_empty()) {
        let file = tensors.index_path().unwrap_or_else(|| tensors.prefix().to_owned());
        let problems = objects.problems(Some(listing));
        tell(&file, "object graph", problems, checked);
    }
    let files = &tensors.options().files;
    let Some(path) = meta_beside(files, tensors.prefix()) else {
        return Ok(());
    };
    let meta = match open_meta_graph(files, &path, false, None) {
        Ok(meta) => meta,
        Err(error) => {
            // Of several graphs, none is meant for serving: which one fits is not for us to say.
            let unsure = matches!(&error, Error::Fault { fault, .. } if fault.what().contains("graphs has the tags"));
            let finding = Finding::new(FindingKind::DamagedGraph, error);
            if unsure {
                checked.notes.push(finding)
            } else {
                checked.findings.push(finding)
            }
            return Ok(());
        }
    };
    match join(Some(&meta), Some(listing), objects.as_ref().map(Ok)) {
        Ok(joined) => {
            let known = |key: Option<&[u8]>| {
                incomplete || key.is_some_and(|key| checked.lost.contains(key))
            };
            let texts = joined.findings.iter().filter(|found| match found.misfit {
                Misfit::NoTensor => !known(found.key.as_deref()),
                Misfit::Dtype | Misfit::Shape | Misfit::Unread => true,
                Misfit::NotSaved | Misfit::NoVariable => false,
            });
            let texts = texts.map(|found| found.text.clone()).collect();
            tell(&path, "graph", texts, checked);
        }
        Err(fault) => {
            let error = Error::fault(&path, fault);
            checked.findings.push(Finding::new(FindingKind::DamagedGraph, error));
        }
    }
    Ok(())
}

fn tell(file: &Path, part: &'static str, mut texts: Vec<String>, checked: &mut Checked) {
    let more = texts.len().saturating_sub(MOST);
    texts.truncate(MOST);
    if more > 0 {
        texts.push(format!("and {more} more"));
    }
    for text in texts {
        let error = Error::fault(file, Fault::corrupt(part, text));
        checked.findings.push(Finding::new(FindingKind::Graph, error));
    }
}
