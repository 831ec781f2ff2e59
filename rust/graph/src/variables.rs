//! The variables of a graph: what collections, nodes and the object graph say of each (FORMAT 7.5, 9.2).

use crate::attr::{Attr, PartialShape};
use crate::body::string_field;
use crate::meta_graph::MetaGraph;
use crate::objects::ObjectVariable;
use crate::variable_def::VariableDef;
use bytes::Bytes;
use std::collections::HashMap;
use tensorbundle_wire::dtype::DataType;
use tensorbundle_wire::pb::{Malformed, Value, fields};
use tensorbundle_wire::{Fault, Result, shown};

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

impl MetaGraph {
    /// The variables of the graph.
    pub fn variables(&self) -> Result<GraphVariables> {
        let mut found =
            Found { meta: self, list: Vec::new(), by_name: HashMap::new(), faults: Vec::new() };
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
        // A list that is damaged tells nothing.
        let sound = found.faults.is_empty();
        let tells = sound && (has(b"trainable_variables") || has(b"variables"));
        let mut variables =
            GraphVariables { list: found.list, faults: found.faults, ..GraphVariables::default() };
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
    faults: Vec<Fault>,
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
        let bad = |why: Malformed| {
            let part = format!("collection {}", shown(key));
            Fault::corrupt(part, why.to_string())
        };
        let values = match collection_values(collection) {
            Ok(values) => values,
            Err(why) => {
                self.faults.extend(known.then(|| bad(why)));
                return Ok(());
            }
        };
        for (kind, value) in values {
            let def = match kind {
                NODE_LIST if known && is_variable(&value)? => {
                    VariableDef { variable_name: value, ..VariableDef::default() }
                }
                BYTES_LIST => match VariableDef::decode(&value) {
                    Ok(def) if def.variable_name.is_empty() => continue,
                    Ok(def) if known || is_variable(&def.variable_name)? => def,
                    Err(why) if known => {
                        self.faults.push(bad(why));
                        continue;
                    }
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
fn collection_values(collection: &Bytes) -> Result<Vec<(u32, Bytes)>, Malformed> {
    let mut values = Vec::new();
    let mut lists = fields(collection);
    while let Some(list) = lists.next_field()? {
        let (kind @ (NODE_LIST | BYTES_LIST), Value::Len(list)) = list else {
            continue;
        };
        let mut all = fields(list);
        while let Some(value) = all.next_field()? {
            if let (1, Value::Len(value)) = value {
                values.push((kind, collection.slice_ref(value)));
            }
        }
    }
    Ok(values)
}
