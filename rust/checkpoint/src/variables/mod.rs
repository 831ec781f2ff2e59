//! The join: a graph's variables and a checkpoint's tensors, each of which may be missing.
//!
//! ```text
//! naming   what a name alone tells
//! keys     which tensor a variable is restored from
//! owners   slots and averages, and whose they are
//! fit      what does not fit
//! ```

mod fit;
mod keys;
mod naming;
mod owners;

pub use fit::{Finding, Misfit};
pub use naming::Kind;

use bytes::Bytes;
use std::collections::HashMap;
use tensorbundle_graph::{MetaGraph, PartialShape, VariableDef};
use tensorbundle_store::Listing;
use tensorbundle_wire::dtype::DataType;
use tensorbundle_wire::{Fault, Result};

/// A variable, and where its value is.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Its name, without `:0`; of a partitioned one the name of the whole.
    pub name: Bytes,
    /// What it is for.
    pub kind: Kind,
    /// The type of its elements.
    pub dtype: Option<DataType>,
    /// Its shape, as far as it is known.
    pub shape: PartialShape,
    /// Whether it is trained, if the graph says.
    pub trainable: Option<bool>,
    /// Whether it is a resource or a reference, if there is a graph.
    pub resource: Option<bool>,
    /// Its node in the graph.
    pub node: Option<u32>,
    /// Its VariableDef.
    pub def: Option<VariableDef>,
    /// The keys of the collections it is in.
    pub collections: Vec<Bytes>,
    /// The name of its tensor; `None` if it is not saved.
    pub key: Option<Bytes>,
    /// Who says so.
    pub key_from: KeyFrom,
    /// The type that is restored, if a saver says.
    pub restored_as: Option<DataType>,
    /// Whether the checkpoint has a tensor of this name.
    pub stored: bool,
    /// The variable that it is a slot or average of.
    pub owner: Option<usize>,
    /// What it is called there.
    pub slot: Bytes,
    /// The parts of a partitioned variable.
    pub parts: Vec<Variable>,
    /// Where a part lies in the whole: starts and lengths.
    pub place: Option<(Vec<i64>, Vec<i64>)>,
}

/// Who says which tensor a variable is restored from, the most reliable first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyFrom {
    /// The restore side of a saver.
    Restore,
    /// The save side of a saver.
    Save,
    /// The rule for names: nobody says otherwise.
    Name,
    /// The tensor itself: there is no graph.
    Tensor,
}

impl KeyFrom {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::Save => "save",
            Self::Name => "name",
            Self::Tensor => "tensor",
        }
    }
}

/// Variables and what does not fit.
#[derive(Debug, Default)]
pub struct Join {
    /// Those of the graph in its order; without a graph those of the checkpoint.
    pub variables: Vec<Variable>,
    /// What does not fit.
    pub findings: Vec<Finding>,
}

/// Joins a graph and a checkpoint's listing.
pub fn join(graph: Option<&MetaGraph>, listing: Option<&Listing>) -> Result<Join> {
    let Some(graph) = graph else {
        let mut variables = listing.map(of_tensors).unwrap_or_default();
        owners::by_name(&mut variables);
        return Ok(Join { variables, findings: Vec::new() });
    };
    let mut parts: Vec<_> = graph.variables()?.into_iter().map(of_graph).collect();
    let slots: Vec<_> = parts.iter_mut().map(|(_, slot)| slot.take()).collect();
    let mut variables: Vec<_> = parts.into_iter().map(|(variable, _)| variable).collect();
    let links = keys::find(graph, &mut variables, listing);
    let by_node: HashMap<u32, usize> =
        variables.iter().zip(0..).filter_map(|(v, i)| Some((v.node?, i))).collect();
    let (mut variables, moved) = put_together(variables);
    owners::by_graph(&mut variables, &slots, &by_node, &moved);
    owners::by_name(&mut variables);
    owners::of_parts(&mut variables);
    let findings = fit::findings(&variables, listing, &links);
    Ok(Join { variables, findings })
}

fn of_tensors(listing: &Listing) -> Vec<Variable> {
    let rows = (0..listing.len()).filter_map(|i| listing.row(i));
    let variables = rows.filter_map(|row| {
        Some(Variable {
            name: naming::object_path(row.name)?.into(),
            dtype: Some(row.dtype),
            shape: Some(row.dims.iter().map(|&dim| Some(dim)).collect()),
            key: Some(Bytes::copy_from_slice(row.name)),
            key_from: KeyFrom::Tensor,
            stored: true,
            ..Variable::new()
        })
    });
    variables.filter(|variable| &variable.name[..] != keys::OBJECT_GRAPH).collect()
}

type SlotOf = Option<(u32, Bytes)>;

fn of_graph(variable: tensorbundle_graph::Variable) -> (Variable, SlotOf) {
    let place = variable.def.as_ref().and_then(|def| def.slice.as_ref());
    let place = place.map(|slice| (slice.offset.clone(), slice.shape.clone()));
    let made = Variable {
        name: variable.name,
        dtype: variable.dtype,
        shape: variable.shape,
        trainable: variable.trainable,
        resource: Some(variable.resource),
        node: variable.node,
        def: variable.def,
        collections: variable.collections,
        place,
        ..Variable::new()
    };
    (made, variable.slot_of)
}

/// Parts of one partitioned variable become one, where the first of them stood. Also says where each went.
fn put_together(variables: Vec<Variable>) -> (Vec<Variable>, Vec<usize>) {
    let mut whole: HashMap<Bytes, usize> = HashMap::new();
    let mut out: Vec<Variable> = Vec::with_capacity(variables.len());
    let mut moved = Vec::with_capacity(variables.len());
    for part in variables {
        let slice = part.def.as_ref().and_then(|def| def.slice.clone());
        let Some(slice) = slice.filter(|slice| !slice.full_name.is_empty()) else {
            moved.push(out.len());
            out.push(part);
            continue;
        };
        let i = *whole.entry(slice.full_name.clone()).or_insert_with(|| {
            let dims = slice.full_shape.iter().map(|&dim| u64::try_from(dim).ok());
            out.push(Variable {
                name: slice.full_name.clone(),
                shape: Some(dims.collect()),
                node: None,
                def: None,
                place: None,
                parts: Vec::new(),
                ..part.clone()
            });
            out.len() - 1
        });
        moved.push(i);
        if let Some(one) = out.get_mut(i) {
            one.key_from = one.key_from.max(part.key_from);
            one.parts.push(part);
        }
    }
    (out, moved)
}

impl Variable {
    fn new() -> Self {
        Self {
            name: Bytes::new(),
            kind: Kind::Weight,
            dtype: None,
            shape: None,
            trainable: None,
            resource: None,
            node: None,
            def: None,
            collections: Vec::new(),
            key: None,
            key_from: KeyFrom::Name,
            restored_as: None,
            stored: false,
            owner: None,
            slot: Bytes::new(),
            parts: Vec::new(),
            place: None,
        }
    }

    /// It lives in its process only, and is not meant to be saved.
    fn is_local(&self) -> bool {
        self.is_in(b"local_variables") && !self.is_in(b"variables")
    }

    fn is_in(&self, collection: &[u8]) -> bool {
        self.collections.iter().any(|key| &key[..] == collection)
    }
}

/// What a fault of the graph says, as a finding has it.
fn sentence(fault: &Fault) -> String {
    fault.to_string()
}
