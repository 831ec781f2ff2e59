//! Which tensor a variable is restored from: what its savers say, else what its name says (FORMAT 7.5, 7.6).

use super::{Finding, KeyFrom, Misfit, Variable};
use bytes::Bytes;
use std::collections::HashMap;
use tensorbundle_graph::{Link, Links, MetaGraph, SliceInfo, Walk};
use tensorbundle_store::Listing;
use tensorbundle_wire::message::Message;
use tensorbundle_wire::schema::schema;
use tensorbundle_wire::{Result, shown};

/// Gives each variable its key. Of several savers the one counts whose tensor the checkpoint has, and of those the
/// one that the file names as its own.
pub(super) fn find(
    graph: &MetaGraph,
    variables: &mut [Variable],
    listing: Option<&Listing>,
    findings: &mut Vec<Finding>,
) -> Links {
    let links = graph.links();
    findings.extend(links.faults.iter().map(Finding::unread));
    let own = own_saver(graph).unwrap_or_else(|fault| {
        findings.push(Finding::unread(&fault));
        None
    });
    let mut by_target: HashMap<u32, Vec<&Link>> = HashMap::new();
    for link in &links.links {
        by_target.entry(link.target).or_default().push(link);
    }
    let is_stored = |key: &[u8]| listing.is_some_and(|listing| listing.position(key).is_some());
    let is_own =
        |link: &Link| own.as_ref().is_none_or(|nodes| nodes.binary_search(&link.anchor).is_ok());
    for variable in variables {
        let said = variable.node.and_then(|node| by_target.get(&node));
        let best = said
            .into_iter()
            .flatten()
            .min_by_key(|link| (!is_stored(&link.key), !link.restored, !is_own(link)));
        if let Some(link) = best {
            variable.key = Some(link.key.clone());
            variable.key_from = if link.restored { KeyFrom::Restore } else { KeyFrom::Save };
            variable.restored_as = link.dtype;
            take_part(variable, Some(link), findings);
        } else {
            // A graph that has savers says with them what is saved; others may have saved it all the same.
            let silent = links.links.is_empty();
            take_part(variable, None, findings);
            variable.key = by_name(variable).filter(|key| silent || is_stored(key));
        }
        variable.stored = variable.key.as_deref().is_some_and(is_stored);
    }
    links
}

/// Dimensions of a variable that is saved in slices. TensorFlow puts at most 8 together.
const MAX_SLICED_RANK: usize = 32;

/// Where a part lies in its whole: a saver that restores it says so, else its VariableDef. What does not fit is none.
fn take_part(variable: &mut Variable, link: Option<&Link>, findings: &mut Vec<Finding>) {
    let said = variable.def.as_ref().and_then(|def| def.slice.clone());
    let slice = match link {
        Some(link) => slice_of(&link.slice).map(|slice| {
            // A renaming saver may restore the whole under another name than it has in the graph.
            let full = said.filter(|said| !said.full_name.is_empty()).map(|said| said.full_name);
            SliceInfo { full_name: full.unwrap_or_else(|| link.key.clone()), ..slice }
        }),
        None => said,
    };
    let spec = link.map_or(&[][..], |link| &link.slice);
    let claimed =
        !spec.is_empty() || slice.as_ref().is_some_and(|slice| *slice != SliceInfo::default());
    let slice = slice.filter(|slice| slice.is_sound() && !slice.full_shape.is_empty());
    if claimed && slice.is_none() {
        let name = shown(&variable.name);
        findings.push(Finding {
            misfit: Misfit::Shape,
            variable: Some(variable.name.clone()),
            key: link.map(|link| link.key.clone()),
            text: format!(
                "variable {name}: the slice of it that is saved ({}) does not fit",
                match spec {
                    [] => "of its VariableDef".to_owned(),
                    spec => shown(spec),
                }
            ),
        });
    }
    variable.place = slice.as_ref().map(|slice| (slice.offset.clone(), slice.shape.clone()));
    if slice.is_some() || variable.def.is_some() {
        variable.def.get_or_insert_default().slice = slice;
    }
}

/// `10 2 0,4:0,2`: the shape of the whole, then start and length for each dimension, or `-` for all of it.
fn slice_of(spec: &[u8]) -> Option<SliceInfo> {
    let text = std::str::from_utf8(spec).ok()?;
    // One constant may be the slice of every variable: what it says is copied for each.
    if text.split(' ').count() > MAX_SLICED_RANK {
        return None;
    }
    let (dims, extents) = text.rsplit_once(' ')?;
    let mut slice = SliceInfo::default();
    for dim in dims.split(' ') {
        slice.full_shape.push(dim.parse().ok()?);
    }
    for (extent, &dim) in extents.split(':').zip(&slice.full_shape) {
        let (start, len) = match extent.split_once(',') {
            Some((start, len)) => (start.parse().ok()?, len.parse().ok()?),
            None if extent == "-" => (0, dim),
            None => return None,
        };
        slice.offset.push(start);
        slice.shape.push(len);
    }
    let extents = extents.split(':').count();
    (slice.offset.len() == extents && extents == slice.full_shape.len()).then_some(slice)
}

/// The name of the whole, or of the variable. What is only in the local variables is not saved.
fn by_name(variable: &Variable) -> Option<Bytes> {
    if variable.is_local() {
        return None;
    }
    let slice = variable.def.as_ref().and_then(|def| def.slice.as_ref());
    let full = slice.map(|slice| &slice.full_name).filter(|name| !name.is_empty());
    Some(full.unwrap_or(&variable.name).clone())
}

/// The nodes that the file's own saver runs to restore and to save; `None` if it has none, or it is not in the graph.
fn own_saver(graph: &MetaGraph) -> Result<Option<Vec<u32>>> {
    let (Some(def), Some(ty)) = (graph.saver_def()?, schema().message("tensorflow.SaverDef"))
    else {
        return Ok(None);
    };
    let def = Message::new(ty, def);
    let nodes = graph.graph();
    let mut ends = Vec::new();
    for field in ["restore_op_name", "save_tensor_name"] {
        let name = def.text(field)?;
        let op = name.rsplit(|&byte| byte == b':').next_back().unwrap_or_default();
        ends.extend(nodes.find(op)?);
    }
    if ends.is_empty() {
        return Ok(None);
    }
    nodes.ancestors(&ends, Walk { control: true, ..Walk::default() }).map(Some)
}

#[cfg(test)]
mod tests {
    use super::slice_of;

    #[test]
    fn slices_as_savers_write_them() {
        let slice = slice_of(b"10 2 4,3:-").unwrap();
        assert_eq!(slice.full_shape, [10, 2]);
        assert_eq!((slice.offset, slice.shape), (vec![4, 0], vec![3, 2]));
        for bad in [&b""[..], b"10", b"10 2 0,4", b"10 x 0,4:-", b"10 2 0,4:0"] {
            assert_eq!(slice_of(bad), None);
        }
    }
}
