//! The join: a graph's variables and a checkpoint's tensors, each of which may be missing.
//!
//! ```text
//! by_name  kinds without a graph or objects, of many tensors at once
//! naming   what a name alone tells
//! keys     which tensor a variable is restored from
//! objects  what the objects of a SavedModel say
//! owners   slots and averages, and whose they are
//! tracked  what the objects of a checkpoint without a graph say
//! fit      what does not fit
//! ```

mod by_name;
mod fit;
mod keys;
mod naming;
mod objects;
mod owners;
mod tracked;

pub(crate) use by_name::kinds_by_name;
pub use fit::{Finding, Misfit};
pub use naming::Kind;

use crate::object_graph::{OBJECT_GRAPH, ObjectGraph};
use bytes::Bytes;
use std::collections::HashMap;
use tensorbundle_graph::{MetaGraph, PartialShape, VariableDef};
use tensorbundle_store::Listing;
use tensorbundle_wire::Result;
use tensorbundle_wire::dtype::DataType;

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
    /// Its object in the SavedModel.
    pub object: Option<u32>,
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
    /// What TensorFlow 1 would call it, if it is an object of a checkpoint without a graph.
    pub full_name: Bytes,
    /// The node of the variable that an optimizer's op trains with it, and what the op calls it.
    slot_of: Option<(u32, Bytes)>,
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
    /// The object graphs of the SavedModel and of its checkpoint.
    Object,
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
            Self::Object => "object",
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

/// Joins a graph and a checkpoint: its listing, and the graph of its objects, if it has one, or why that could not
/// be read.
pub fn join(
    graph: Option<&MetaGraph>,
    listing: Option<&Listing>,
    objects: Option<Result<&ObjectGraph, String>>,
) -> Result<Join> {
    let (objects, unread) = match objects {
        Some(Err(why)) => (None, Some(Finding::unread(why))),
        objects => (objects.and_then(Result::ok), None),
    };
    let mut findings: Vec<_> = unread.into_iter().collect();
    let Some(graph) = graph else {
        let mut variables = listing.map(of_tensors).unwrap_or_default();
        if let (Some(objects), Some(listing)) = (objects, listing) {
            tracked::apply(objects, listing, &mut variables);
        }
        owners::by_name(&mut variables);
        return Ok(Join { variables, findings });
    };
    let said = graph.variables()?;
    findings.extend(said.faults.iter().map(Finding::unread));
    let mut variables: Vec<_> = said.list.into_iter().map(of_graph).collect();
    let links = keys::find(graph, &mut variables, listing, &mut findings);
    if let Some(tracked) = objects {
        objects::apply(graph, tracked, &said.objects, listing, &mut variables, &mut findings);
    }
    for variable in &mut variables {
        // What the file does not list among its variables, and does not restore, is none of the model.
        let unlisted = variable.collections.is_empty() && variable.object.is_none();
        if variable.is_local() || (said.listed && unlisted && variable.key.is_none()) {
            variable.kind = Kind::Other;
        }
    }
    let (mut variables, parts) = put_together(variables);
    owners::by_graph(&mut variables, &parts);
    owners::by_name(&mut variables);
    owners::of_parts(&mut variables);
    findings.extend(fit::findings(&variables, listing, &links));
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
    variables.filter(|variable| &variable.name[..] != OBJECT_GRAPH).collect()
}

fn of_graph(variable: tensorbundle_graph::Variable) -> Variable {
    let place = variable.def.as_ref().and_then(|def| def.slice.as_ref());
    let place = place.map(|slice| (slice.offset.clone(), slice.shape.clone()));
    Variable {
        name: variable.name,
        dtype: variable.dtype,
        shape: variable.shape,
        trainable: variable.trainable,
        resource: Some(variable.resource),
        node: variable.node,
        object: variable.object,
        def: variable.def,
        collections: variable.collections,
        place,
        slot_of: variable.slot_of,
        ..Variable::new()
    }
}

/// What a part was before it went into its whole: the number of the whole, its node, its name, whose slot it is.
struct Part {
    whole: usize,
    node: Option<u32>,
    name: Bytes,
    slot_of: Option<(u32, Bytes)>,
}

/// Parts of one partitioned variable become one, where the first of them stood.
fn put_together(variables: Vec<Variable>) -> (Vec<Variable>, Vec<Part>) {
    let mut whole: HashMap<Bytes, usize> = HashMap::new();
    let mut out: Vec<Variable> = Vec::with_capacity(variables.len());
    let mut parts = Vec::with_capacity(variables.len());
    for part in variables {
        let (node, name, slot_of) = (part.node, part.name.clone(), part.slot_of.clone());
        let slice = part.def.as_ref().and_then(|def| def.slice.clone());
        let Some(slice) = slice.filter(|slice| !slice.full_name.is_empty()) else {
            parts.push(Part { whole: out.len(), node, name, slot_of });
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
        parts.push(Part { whole: i, node, name, slot_of });
        if let Some(one) = out.get_mut(i) {
            one.key_from = one.key_from.max(part.key_from);
            one.parts.push(part);
        }
    }
    (out, parts)
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
            object: None,
            def: None,
            collections: Vec::new(),
            key: None,
            key_from: KeyFrom::Name,
            restored_as: None,
            stored: false,
            owner: None,
            slot: Bytes::new(),
            full_name: Bytes::new(),
            slot_of: None,
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
