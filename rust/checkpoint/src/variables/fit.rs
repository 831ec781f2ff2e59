//! What does not fit: variables without a tensor, tensors without a variable, types and shapes that disagree.

use super::{Kind, Variable};
use crate::object_graph::OBJECT_GRAPH;
use bytes::Bytes;
use std::collections::HashSet;
use tensorbundle_graph::Links;
use tensorbundle_store::{Listing, Row};
use tensorbundle_wire::shown;

/// In which way something does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// A variable that the checkpoint has no tensor for.
    NoTensor,
    /// A variable that no saver of the graph restores.
    NotSaved,
    /// A tensor that no variable of the graph is restored from.
    NoVariable,
    /// The types disagree.
    Dtype,
    /// The shapes disagree.
    Shape,
    /// A part of the graph could not be read.
    Unread,
}

impl Misfit {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoTensor => "variable without a tensor",
            Self::NotSaved => "variable that is not saved",
            Self::NoVariable => "tensor without a variable",
            Self::Dtype => "dtypes disagree",
            Self::Shape => "shapes disagree",
            Self::Unread => "graph not understood",
        }
    }
}

/// Something that does not fit.
#[derive(Debug, Clone)]
pub struct Finding {
    /// In which way.
    pub misfit: Misfit,
    /// The variable's name.
    pub variable: Option<Bytes>,
    /// The tensor's name.
    pub key: Option<Bytes>,
    /// A sentence for people.
    pub text: String,
}

/// Holds variables and tensors against each other. Without a checkpoint nothing of it can be missing.
pub(super) fn findings(
    variables: &[Variable],
    listing: Option<&Listing>,
    links: &Links,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let Some(listing) = listing else {
        return found;
    };
    for variable in variables {
        one(variable, listing, &mut found);
        for part in variable.parts.iter().filter(|part| part.key != variable.key) {
            one(part, listing, &mut found);
        }
    }
    let keys = variables.iter().flat_map(|variable| {
        let parts = variable.parts.iter().filter_map(|part| part.key.as_ref());
        variable.key.iter().chain(parts)
    });
    let mut known: HashSet<&[u8]> = keys.map(|key| &key[..]).collect();
    known.extend(links.links.iter().map(|link| &link.key[..]));
    known.insert(OBJECT_GRAPH);
    for name in listing.names().filter(|name| !known.contains(name)) {
        found.push(Finding {
            misfit: Misfit::NoVariable,
            variable: None,
            key: Some(Bytes::copy_from_slice(name)),
            text: format!("tensor {}: no variable of the graph is restored from it", shown(name)),
        });
    }
    found
}

fn one(variable: &Variable, listing: &Listing, found: &mut Vec<Finding>) {
    let name = shown(&variable.name);
    let mut add = |misfit, text: String| {
        found.push(Finding {
            misfit,
            variable: Some(variable.name.clone()),
            key: variable.key.clone(),
            text: format!("variable {name}: {text}"),
        });
    };
    let Some(key) = &variable.key else {
        if variable.kind != Kind::Other {
            add(Misfit::NotSaved, "no saver of the graph restores it".into());
        }
        return;
    };
    let row = listing.position(key).and_then(|i| listing.row(i));
    let Some(row) = row else {
        add(Misfit::NoTensor, format!("the checkpoint has no tensor {}", shown(key)));
        return;
    };
    let dtype = variable.restored_as.or(variable.dtype).filter(|&dtype| dtype.base() != row.dtype);
    if let Some(dtype) = dtype {
        let (want, got) = (dtype.base(), row.dtype);
        add(Misfit::Dtype, format!("the graph has {want}, tensor {} is {got}", shown(key)));
    }
    if !agrees(variable, &row) {
        let want = shape(variable.shape.as_deref().unwrap_or_default().iter().copied());
        let got = shape(row.dims.iter().map(|&dim| Some(dim)));
        add(Misfit::Shape, format!("the graph has shape {want}, tensor {} has {got}", shown(key)));
    }
}

fn agrees(variable: &Variable, row: &Row<'_>) -> bool {
    let Some(dims) = &variable.shape else {
        return true;
    };
    dims.len() == row.dims.len()
        && dims.iter().zip(row.dims).all(|(want, got)| want.is_none_or(|want| want == *got))
}

fn shape(dims: impl Iterator<Item = Option<u64>>) -> String {
    let dims = dims.map(|dim| dim.map_or("?".to_owned(), |dim| dim.to_string()));
    format!("[{}]", dims.collect::<Vec<_>>().join(", "))
}
