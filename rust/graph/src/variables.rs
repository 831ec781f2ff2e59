//! The variables of a graph: what collections, nodes and the object graph say of each (FORMAT 7.5, 9.2).

use crate::attr::{Attr, PartialShape, partial_shape};
use crate::body::string_field;
use crate::meta_graph::{MetaGraph, pieces};
use crate::span::Span;
use bytes::Bytes;
use std::collections::HashMap;
use tensorbundle_wire::dtype::DataType;
use tensorbundle_wire::pb::{Malformed, Value, fields, packed_varints};
use tensorbundle_wire::{Fault, Result};

/// A variable, or a part of a partitioned one.
#[derive(Debug, Clone, Default)]
pub struct Variable {
    /// Its name, without `:0`.
    pub name: Bytes,
    /// Its node in the graph.
    pub node: Option<u32>,
    /// Its element type.
    pub dtype: Option<DataType>,
    /// Its shape, as far as it is known.
    pub shape: PartialShape,
    /// Whether it is trained, if the file says.
    pub trainable: Option<bool>,
    /// Whether it is a resource, or a reference.
    pub resource: bool,
    /// The keys of the collections it is in.
    pub collections: Vec<Bytes>,
    /// Its VariableDef.
    pub def: Option<VariableDef>,
    /// Its object in the object graph, where its name says which.
    pub object: Option<u32>,
    /// The variable that an optimizer's op trains with it, by node, and what the op calls it.
    pub slot_of: Option<(u32, Bytes)>,
}

/// What a VariableDef says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VariableDef {
    /// The tensor of the variable.
    pub variable_name: Bytes,
    /// The op that initializes it.
    pub initializer_name: Bytes,
    /// The tensor of its value.
    pub snapshot_name: Bytes,
    /// The tensor of its initial value.
    pub initial_value_name: Bytes,
    /// Whether it is trained; false in old files.
    pub trainable: bool,
    /// Whether it is a resource.
    pub is_resource: bool,
    /// Where it lies in the variable it is a part of.
    pub slice: Option<SliceInfo>,
}

/// Where a part lies in a partitioned variable (SaveSliceInfoDef).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SliceInfo {
    /// The name of the whole.
    pub full_name: Bytes,
    /// The shape of the whole.
    pub full_shape: Vec<i64>,
    /// Where the part begins.
    pub offset: Vec<i64>,
    /// The shape of the part.
    pub shape: Vec<i64>,
}

impl VariableDef {
    /// Reads a serialized VariableDef.
    pub fn decode(message: &Bytes) -> Result<Self, Malformed> {
        let mut def = Self::default();
        let mut all = fields(message);
        while let Some(field) = all.next_field()? {
            match field {
                (1, Value::Len(name)) => def.variable_name = message.slice_ref(name),
                (2, Value::Len(name)) => def.initializer_name = message.slice_ref(name),
                (3, Value::Len(name)) => def.snapshot_name = message.slice_ref(name),
                (4, Value::Len(slice)) => {
                    SliceInfo::merge(def.slice.get_or_insert_default(), message, slice)?;
                }
                (5, Value::Varint(value)) => def.is_resource = value != 0,
                (6, Value::Len(name)) => def.initial_value_name = message.slice_ref(name),
                (7, Value::Varint(value)) => def.trainable = value != 0,
                _ => {}
            }
        }
        Ok(def)
    }
}

impl SliceInfo {
    /// Does the part lie in the whole?
    pub fn is_sound(&self) -> bool {
        let rank = self.full_shape.len();
        let fits = |((&start, &len), &dim): ((&i64, &i64), &i64)| {
            start >= 0 && len >= 0 && start.checked_add(len).is_some_and(|end| end <= dim)
        };
        self.offset.len() == rank
            && self.shape.len() == rank
            && self.offset.iter().zip(&self.shape).zip(&self.full_shape).all(fits)
    }

    fn merge(&mut self, source: &Bytes, message: &[u8]) -> Result<(), Malformed> {
        let mut all = fields(message);
        while let Some((number, value)) = all.next_field()? {
            let list = match number {
                2 => &mut self.full_shape,
                3 => &mut self.offset,
                4 => &mut self.shape,
                _ => {
                    if let (1, Value::Len(name)) = (number, value) {
                        self.full_name = source.slice_ref(name);
                    }
                    continue;
                }
            };
            match value {
                Value::Varint(value) => list.push(value as i64),
                Value::Len(packed) => {
                    for value in packed_varints(packed) {
                        list.push(value? as i64);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Collections that hold variables. In very old files they can be lists of names.
const OF_VARIABLES: [&[u8]; 7] = [
    b"variables",
    b"trainable_variables",
    b"local_variables",
    b"model_variables",
    b"metric_variables",
    b"moving_average_variables",
    b"global_step",
];

/// Ops that are variables.
pub fn is_variable_op(op: &[u8]) -> bool {
    matches!(op, b"VarHandleOp" | b"VariableV2" | b"Variable" | b"AutoReloadVariable")
}

/// The variables of a graph, and what of it could not be read.
#[derive(Debug, Default)]
pub struct GraphVariables {
    /// Those of its collections, then those that are only nodes.
    pub list: Vec<Variable>,
    /// Those of its object graph.
    pub objects: Vec<ObjectVariable>,
    /// What went wrong.
    pub faults: Vec<Fault>,
    /// The file says itself which variables the model has, in collections or objects.
    pub listed: bool,
}

/// A variable of the object graph of a SavedModel.
#[derive(Debug, Clone)]
pub struct ObjectVariable {
    /// The number of its object.
    pub object: u32,
    /// Its name, which others may have too.
    pub name: Bytes,
    /// Its element type.
    pub dtype: DataType,
    /// Its shape.
    pub shape: PartialShape,
    /// Whether it is trained.
    pub trainable: bool,
}

impl MetaGraph {
    /// The variables of the graph.
    pub fn variables(&self) -> Result<GraphVariables> {
        let mut found = Found { meta: self, list: Vec::new(), by_name: HashMap::new() };
        let collections = self.collections()?;
        for (key, collection) in &collections {
            found.collection(key, collection)?;
        }
        let body = self.graph().body();
        for i in body.nodes_of(is_variable_op) {
            found.at(body.name(i));
        }
        let objects = self.object_variables()?;
        let mut named: HashMap<Bytes, Option<usize>> = HashMap::new();
        for (object, i) in objects.iter().zip(0..) {
            // Of several of one name none is meant by it.
            named.entry(object.name.clone()).and_modify(|one| *one = None).or_insert(Some(i));
        }
        let of = |name: &Bytes| named.get(name).copied().flatten().and_then(|i| objects.get(i));
        let has = |wanted: &[u8]| collections.iter().any(|(key, _)| key[..] == *wanted);
        // Where variables are listed and none is trained, there is no collection of those that are.
        let tells = has(b"trainable_variables") || has(b"variables");
        let mut variables = GraphVariables { list: found.list, ..GraphVariables::default() };
        for variable in &mut variables.list {
            self.describe(variable, &of, tells)?;
        }
        self.slots(&mut variables);
        variables.listed = has(b"variables") || !objects.is_empty();
        variables.objects = objects;
        Ok(variables)
    }

    fn describe<'a>(
        &self,
        variable: &mut Variable,
        object_of: &impl Fn(&Bytes) -> Option<&'a ObjectVariable>,
        tells: bool,
    ) -> Result<()> {
        let graph = self.graph();
        let body = graph.body();
        variable.node = graph.find(&variable.name)?.filter(|&i| is_variable_op(body.op(i)));
        let mut object = object_of(&variable.name);
        if let Some(i) = variable.node {
            variable.resource = body.op(i) == b"VarHandleOp";
            if let Some(Attr::Type(dtype)) = graph.attr(i, b"dtype")? {
                variable.dtype = Some(dtype.base());
            }
            if let Some(Attr::Shape(shape)) = graph.attr(i, b"shape")? {
                // The first op had no way to say that it does not know.
                let unknown =
                    body.op(i) == b"Variable" && shape.as_ref().is_some_and(Vec::is_empty);
                variable.shape = if unknown { None } else { shape };
            }
            if variable.shape.is_none() && !variable.resource {
                variable.shape = graph.shape(i, 0)?;
            }
            if let Some(Attr::Bytes(shared)) = graph.attr(i, b"shared_name")? {
                object = object.or_else(|| object_of(&shared));
            }
        } else if let Some(def) = &variable.def {
            variable.resource = def.is_resource;
        }
        let in_trainable =
            variable.collections.iter().any(|key| &key[..] == b"trainable_variables");
        let says = variable.def.as_ref().is_some_and(|def| def.trainable);
        variable.trainable = match object {
            _ if in_trainable => Some(true),
            Some(object) => Some(object.trainable),
            None if tells => Some(false),
            None if says => Some(true),
            None => None,
        };
        if let Some(object) = object {
            variable.object = Some(object.object);
            variable.dtype = variable.dtype.or(Some(object.dtype));
            if variable.shape.is_none() {
                variable.shape.clone_from(&object.shape);
            }
        }
        Ok(())
    }

    /// What an optimizer's op takes besides the variable that it trains is that variable's slot.
    fn slots(&self, variables: &mut GraphVariables) {
        let GraphVariables { list, faults, .. } = variables;
        let graph = self.graph();
        let body = graph.body();
        let is_apply = |op: &[u8]| {
            let op = op.strip_prefix(b"Resource").unwrap_or(op);
            op.strip_prefix(b"Sparse").unwrap_or(op).starts_with(b"Apply")
        };
        let by_node: HashMap<u32, usize> =
            list.iter().zip(0..).filter_map(|(variable, i)| Some((variable.node?, i))).collect();
        for i in body.nodes_of(is_apply) {
            let inputs = match graph.inputs(i) {
                Ok(inputs) => inputs,
                Err(fault) => {
                    faults.push(fault);
                    continue;
                }
            };
            let names = self.op_def(body.op(i)).ok().flatten().map(input_names).unwrap_or_default();
            let Some(trained) = inputs.first().filter(|edge| by_node.contains_key(&edge.src))
            else {
                continue;
            };
            for (edge, number) in inputs.iter().zip(0..).skip(1) {
                if let Some(slot) = by_node.get(&edge.src).and_then(|&slot| list.get_mut(slot))
                    && edge.src != trained.src
                    && edge.port >= 0
                {
                    let name = names.get(number).map_or(&[][..], |name| name);
                    slot.slot_of = Some((trained.src, Bytes::copy_from_slice(name)));
                }
            }
        }
    }

    /// The variables of the object graph.
    fn object_variables(&self) -> Result<Vec<ObjectVariable>> {
        const NODES: u32 = 1;
        const VARIABLE: u32 = 7;
        let mut found = Vec::new();
        let source = self.source();
        let mut number = 0;
        for objects in self.object_graphs()? {
            for node in pieces(source, objects, NODES)? {
                for variable in pieces(source, node, VARIABLE)? {
                    found.push(self.object_variable(number, variable)?);
                }
                number += 1;
            }
        }
        Ok(found)
    }

    fn object_variable(&self, object: u32, span: Span) -> Result<ObjectVariable> {
        let source = self.source();
        let bad = |why| source.malformed("object graph", span, why);
        let bytes = source.get(span);
        let mut made = ObjectVariable {
            object,
            name: source.all().slice_ref(string_field(bytes, 6).map_err(bad)?),
            dtype: DataType::INVALID,
            shape: None,
            trainable: false,
        };
        for field in fields(bytes) {
            match field.map_err(bad)? {
                (1, Value::Varint(number)) => made.dtype = DataType(number as i32),
                (2, Value::Len(shape)) => made.shape = partial_shape(shape)?,
                (3, Value::Varint(value)) => made.trainable = value != 0,
                _ => {}
            }
        }
        Ok(made)
    }

    /// For each object of the SavedModel: the names and numbers of its children, as messages that may be many.
    pub fn object_children(&self) -> Result<Vec<Vec<(Bytes, u32)>>> {
        let mut all = Vec::new();
        for objects in self.object_graphs()? {
            for node in pieces(self.source(), objects, 1)? {
                let bad = |why| self.source().malformed("object graph", node, why);
                all.push(children(self.source().slice(node)).map_err(bad)?);
            }
        }
        Ok(all)
    }
}

/// The children of an object, of a SavedObject and of a TrackableObject alike: name and number of each.
pub fn children(object: Bytes) -> Result<Vec<(Bytes, u32)>, Malformed> {
    let mut found = Vec::new();
    let mut all = fields(&object);
    while let Some(field) = all.next_field()? {
        let (1, Value::Len(reference)) = field else {
            continue;
        };
        let (mut number, mut name) = (0, &[][..]);
        let mut parts = fields(reference);
        while let Some(part) = parts.next_field()? {
            match part {
                (1, Value::Varint(value)) => number = value as u32,
                (2, Value::Len(bytes)) => name = bytes,
                _ => {}
            }
        }
        found.push((object.slice_ref(name), number));
    }
    Ok(found)
}

fn input_names(op_def: &[u8]) -> Vec<&[u8]> {
    let args = fields(op_def).flatten().filter_map(|field| match field {
        (2, Value::Len(arg)) => string_field(arg, 1).ok(),
        _ => None,
    });
    args.collect()
}

/// Variables as they are found, each once.
struct Found<'a> {
    meta: &'a MetaGraph,
    list: Vec<Variable>,
    by_name: HashMap<Bytes, usize>,
}

impl Found<'_> {
    fn at(&mut self, name: &[u8]) -> Option<&mut Variable> {
        let i = match self.by_name.get(name) {
            Some(&i) => i,
            None => {
                let name = Bytes::copy_from_slice(name);
                self.by_name.insert(name.clone(), self.list.len());
                self.list.push(Variable { name, ..Variable::default() });
                self.list.len() - 1
            }
        };
        self.list.get_mut(i)
    }

    fn collection(&mut self, key: &Bytes, collection: &Bytes) -> Result<()> {
        let known = OF_VARIABLES.contains(&&key[..]);
        let graph = self.meta.graph();
        let is_variable = |name: &[u8]| -> Result<bool> {
            let op = name.strip_suffix(b":0").unwrap_or(name);
            Ok(graph.find(op)?.is_some_and(|i| is_variable_op(graph.body().op(i))))
        };
        for (kind, value) in collection_values(collection) {
            let def = match kind {
                NODE_LIST if known && is_variable(&value)? => {
                    VariableDef { variable_name: value, ..VariableDef::default() }
                }
                BYTES_LIST => match VariableDef::decode(&value) {
                    Ok(def) if def.variable_name.is_empty() => continue,
                    Ok(def) if known || is_variable(&def.variable_name)? => def,
                    _ => continue,
                },
                _ => continue,
            };
            let name = def.variable_name.strip_suffix(b":0").unwrap_or(&def.variable_name);
            let name = def.variable_name.slice_ref(name);
            if let Some(variable) = self.at(&name) {
                if !variable.collections.contains(key) {
                    variable.collections.push(key.clone());
                }
                if kind == BYTES_LIST {
                    variable.def.get_or_insert(def);
                }
            }
        }
        Ok(())
    }
}

const NODE_LIST: u32 = 1;
const BYTES_LIST: u32 = 2;

/// The values of a CollectionDef's list of names or of bytes, with which of the two it is.
fn collection_values(collection: &Bytes) -> Vec<(u32, Bytes)> {
    let lists = fields(collection).flatten().filter_map(|field| match field {
        (kind @ (NODE_LIST | BYTES_LIST), Value::Len(list)) => Some((kind, list)),
        _ => None,
    });
    let values = lists.flat_map(|(kind, list)| {
        fields(list).flatten().filter_map(move |field| match field {
            (1, Value::Len(value)) => Some((kind, collection.slice_ref(value))),
            _ => None,
        })
    });
    values.collect()
}
