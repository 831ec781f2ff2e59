//! The vocabulary of `tf.Graph`, read-only, and what it lacks.

use super::columns::Columns;
use super::dot::dot;
use super::element::{Element, find};
use super::operation::number_of;
use super::{Function, Operation, Place, Scope, Tensor, collections};
use crate::arrow::{self, ArrowTable};
use crate::buffer::TensorBuffer;
use crate::errors;
use crate::names::Name;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyDict, PyList, PyString, PyTuple};
use std::collections::BTreeMap;
use tensorbundle_graph::{Graph as Core, Walk, known};
use tensorbundle_wire::Fault;

/// A graph, or the body of a function.
#[pyclass(frozen, eq, hash, module = "tensorbundle._native")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Graph(pub(crate) Place);

const PLACEHOLDERS: [&[u8]; 3] = [b"Placeholder", b"PlaceholderV2", b"PlaceholderWithDefault"];

/// Outputs of one graph that are listed as its results: each is an object, and a node claims many at no cost.
const MAX_OUTPUTS: usize = 1 << 20;

/// Constants: their values are in the file.
fn is_constant(op: &[u8]) -> bool {
    matches!(op, b"Const" | b"HostConst")
}

/// What nobody takes the output of, though it is no result: state, feeds and what changes state.
fn is_no_result(op: &[u8]) -> bool {
    const OPS: [&[u8]; 10] = [
        b"Const",
        b"HostConst",
        b"VarHandleOp",
        b"VariableV2",
        b"Variable",
        b"ReadVariableOp",
        b"VarIsInitializedOp",
        b"IsVariableInitialized",
        b"ShardedFilename",
        b"MergeV2Checkpoints",
    ];
    let starts = |prefix: &&[u8]| op.starts_with(prefix);
    OPS.contains(&op)
        || PLACEHOLDERS.contains(&op)
        || [&b"Assign"[..], b"Restore", b"Save", b"Scatter", b"ResourceScatter"].iter().any(starts)
        || [&b"Apply"[..], b"SparseApply", b"ResourceApply", b"ResourceSparseApply"]
            .iter()
            .any(starts)
}

impl Graph {
    fn numbers(&self, given: &Bound<'_, PyAny>) -> PyResult<Vec<u32>> {
        let one = given.is_instance_of::<PyString>()
            || given.is_instance_of::<Operation>()
            || given.is_instance_of::<Tensor>();
        if one {
            return Ok(vec![number_of(&self.0, given)?]);
        }
        given.try_iter()?.map(|item| number_of(&self.0, &item?)).collect()
    }

    fn maybe(&self, given: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<u32>> {
        given.map_or(Ok(Vec::new()), |given| self.numbers(given))
    }

    /// Operations that a core function finds, in the order of the file, arguments behind.
    fn found<'py>(
        &self,
        py: Python<'py>,
        work: impl FnOnce(Core<'_>) -> tensorbundle_wire::Result<Vec<u32>> + Send,
    ) -> PyResult<Bound<'py, PyList>> {
        let found = self.0.detached(py, work)?;
        self.0.operations(py, found)
    }

    /// Every place that has nodes: this graph, and, asked of the whole graph, the functions.
    fn places(&self, functions: bool) -> Vec<Place> {
        let len = self.0.shared.meta.library().len() as u32;
        let below = if functions && self.0.function.is_none() { 0..len } else { 0..0 };
        let below = below.map(|i| Place { shared: self.0.shared.clone(), function: Some(i) });
        std::iter::once(self.0.clone()).chain(below).collect()
    }
}

#[pymethods]
impl Graph {
    // Its nodes as columns.

    /// The nodes as an Arrow table, those of all functions too if `functions` says so.
    #[pyo3(signature = (*, functions=false))]
    fn to_arrow(&self, py: Python<'_>, functions: bool) -> PyResult<ArrowTable> {
        arrow::nodes(py, &self.0, functions)
    }

    /// The nodes as an ArrowArrayStream.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        arrow::nodes(py, &self.0, false)?.__arrow_c_stream__(py, requested_schema)
    }

    // The vocabulary of tf.Graph.

    /// All operations, in the order of the file.
    fn get_operations<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let len = self.0.graph(py)?.body().len() as u32;
        self.0.operations(py, 0..len)
    }

    /// The operation of this name.
    fn get_operation_by_name(&self, name: &Bound<'_, PyAny>) -> PyResult<Operation> {
        let name = named(name, "an operation")?;
        match find(&self.0, name, false, true)? {
            Element::Operation(i) | Element::Tensor(i, _) => Ok(self.0.operation(i)),
        }
    }

    /// The tensor of this name, `operation:number`.
    fn get_tensor_by_name(&self, name: &Bound<'_, PyAny>) -> PyResult<Tensor> {
        let name = named(name, "a tensor")?;
        match find(&self.0, name, true, false)? {
            Element::Tensor(i, port) => Ok(self.0.tensor(i, port)),
            Element::Operation(i) => Ok(self.0.tensor(i, 0)),
        }
    }

    /// The operation or tensor that `obj` names, or is.
    #[pyo3(signature = (obj, allow_tensor = true, allow_operation = true))]
    fn as_graph_element<'py>(
        &self,
        py: Python<'py>,
        obj: &Bound<'py, PyAny>,
        allow_tensor: bool,
        allow_operation: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        if !allow_tensor && !allow_operation {
            return Err(PyValueError::new_err("neither tensors nor operations are allowed"));
        }
        match find(&self.0, obj, allow_tensor, allow_operation)? {
            Element::Operation(i) => Ok(Bound::new(py, self.0.operation(i))?.into_any()),
            Element::Tensor(i, port) => Ok(Bound::new(py, self.0.tensor(i, port))?.into_any()),
        }
    }

    /// The items of a collection, those whose name begins with a match of `scope`.
    #[pyo3(signature = (key, scope = None))]
    fn get_collection<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyString>,
        scope: Option<&Bound<'py, PyString>>,
    ) -> PyResult<Bound<'py, PyList>> {
        collections::items(py, &self.0, key, scope)
    }

    /// The keys of all collections.
    fn get_all_collection_keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let found = match self.0.function {
            Some(_) => Vec::new(),
            None => self.0.shared.meta.collections().map_err(|fault| self.0.raise(py, fault))?,
        };
        PyList::new(py, found.iter().map(|(key, _)| Name(key)).collect::<Vec<_>>())
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.0.graph(py)?.body().len())
    }

    /// Is there an operation or tensor of this name, or is it one of this graph?
    fn __contains__(&self, py: Python<'_>, element: &Bound<'_, PyAny>) -> PyResult<bool> {
        if let Ok(operation) = element.cast::<Operation>() {
            return Ok(operation.get().place == self.0);
        }
        if let Ok(tensor) = element.cast::<Tensor>() {
            return Ok(tensor.get().place == self.0);
        }
        let Ok(name) = element.cast::<PyString>() else {
            return Ok(false);
        };
        let Some(bytes) = crate::names::from_python(name)? else {
            return Ok(false);
        };
        self.0.detached(py, |graph| {
            Ok(if bytes.contains(&b':') {
                graph.tensor(&bytes)?.is_ok()
            } else {
                graph.find(&bytes)?.is_some()
            })
        })
    }

    // What tf.Graph lacks.

    /// The name of the function it is the body of; `None` for the graph.
    #[getter]
    fn function_name<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyString>>> {
        let library = self.0.shared.meta.library();
        self.0.function.map(|i| Name(library.name(i)).into_pyobject(py)).transpose()
    }

    /// The functions of the library, by name.
    #[getter]
    fn functions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let library = self.0.shared.meta.library();
        if let Some(&(first, next)) = library.duplicates().first() {
            let what = format!("functions {first} and {next} have the same name");
            let name = tensorbundle_wire::shown(library.name(first));
            return Err(self.0.raise(py, Fault::corrupt(format!("function {name}"), what)));
        }
        let all = PyDict::new(py);
        for i in 0..library.len() as u32 {
            all.set_item(Name(library.name(i)), Function::new(&self.0.shared, i))?;
        }
        Ok(all)
    }

    /// How many nodes there are of each op, the most frequent first.
    #[pyo3(signature = (functions = false))]
    fn op_counts<'py>(&self, py: Python<'py>, functions: bool) -> PyResult<Bound<'py, PyDict>> {
        let mut counts: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        for place in self.places(functions) {
            for (op, count) in place.graph(py)?.body().ops() {
                match counts.get_mut(op) {
                    Some(sum) => *sum += u64::from(count),
                    None => {
                        counts.insert(op.to_owned(), u64::from(count));
                    }
                }
            }
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        let all = PyDict::new(py);
        for (op, count) in counts {
            all.set_item(Name(&op), count)?;
        }
        Ok(all)
    }

    /// The operations that are fed.
    #[getter]
    fn placeholders<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.found(py, |graph| Ok(graph.body().nodes_of(|op| PLACEHOLDERS.contains(&op))))
    }

    /// The tensors that look like results: nobody takes them, and they are neither state nor a change of it.
    #[getter]
    fn outputs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let found = self.0.detached(py, |graph| {
            let edges = graph.edges()?;
            let candidates = graph.body().nodes_of(|op| !is_no_result(op));
            let saves = graph.body().nodes_of(|op| op.starts_with(b"Save"));
            let saved = graph.descendants(&saves, Walk { control: true, ..Walk::default() })?;
            let mut found = Vec::new();
            for i in candidates {
                if edges.users(i).is_empty() && saved.binary_search(&i).is_err() {
                    let ports = graph.all_ports(i)?;
                    if found.len() + ports.len() as usize > MAX_OUTPUTS {
                        let what = format!("more than {MAX_OUTPUTS} outputs that nobody takes");
                        return Err(Fault::unsupported("graph", what));
                    }
                    found.extend((0..ports.len()).map(|port| (i, port)));
                }
            }
            Ok(found)
        })?;
        PyList::new(py, found.into_iter().map(|(i, port)| self.0.tensor(i, port)))
    }

    /// The nodes of each op that no TensorFlow has, in functions too, by the op's name.
    #[getter]
    fn custom_ops<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let library = self.0.shared.meta.library();
        let all = PyDict::new(py);
        for place in self.places(true) {
            let nodes = place.detached(py, |graph| {
                let custom = |op: &[u8]| known::find(op).is_none() && library.is_none(op);
                Ok(graph.body().nodes_of(custom))
            })?;
            for i in nodes {
                let op = Name(place.graph(py)?.body().op(i)).into_pyobject(py)?;
                let list = match all.get_item(&op)? {
                    Some(list) => list.cast_into::<PyList>()?,
                    None => {
                        let list = PyList::empty(py);
                        all.set_item(&op, &list)?;
                        list
                    }
                };
                list.append(place.operation(i))?;
            }
        }
        Ok(all)
    }

    /// The constants, in functions too, the largest first.
    fn constants<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let mut all = Vec::new();
        for place in self.places(true) {
            let nodes = place.detached(py, |graph| {
                let body = graph.body();
                let nodes = body.nodes_of(is_constant);
                Ok(nodes.into_iter().map(|i| (body.node_len(i), i)).collect::<Vec<_>>())
            })?;
            all.extend(nodes.into_iter().map(|(len, i)| (len, place.operation(i))));
        }
        all.sort_by_key(|&(len, _)| std::cmp::Reverse(len));
        PyList::new(py, all.into_iter().map(|(_, operation)| operation).collect::<Vec<_>>())
    }

    /// What `elements` depend on, they themselves included.
    #[pyo3(signature = (elements, *, control = true, stop = None))]
    fn ancestors<'py>(
        &self,
        py: Python<'py>,
        elements: &Bound<'py, PyAny>,
        control: bool,
        stop: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let (from, stop) = (self.numbers(elements)?, self.maybe(stop)?);
        self.found(py, |graph| {
            graph.ancestors(&from, Walk { control, stop: &stop, ..Walk::default() })
        })
    }

    /// What depends on `elements`, they themselves included.
    #[pyo3(signature = (elements, *, control = true, stop = None))]
    fn descendants<'py>(
        &self,
        py: Python<'py>,
        elements: &Bound<'py, PyAny>,
        control: bool,
        stop: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let (from, stop) = (self.numbers(elements)?, self.maybe(stop)?);
        self.found(py, |graph| {
            graph.descendants(&from, Walk { control, stop: &stop, ..Walk::default() })
        })
    }

    /// What lies on the ways from `sources` to `sinks`, both included.
    #[pyo3(signature = (sources, sinks, *, control = true))]
    fn between<'py>(
        &self,
        py: Python<'py>,
        sources: &Bound<'py, PyAny>,
        sinks: &Bound<'py, PyAny>,
        control: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let (from, to) = (self.numbers(sources)?, self.numbers(sinks)?);
        self.found(py, |graph| graph.between(&from, &to, control))
    }

    /// The name scopes as a tree: its root.
    fn scopes(&self, py: Python<'_>) -> PyResult<Scope> {
        Scope::root(py, &self.0)
    }

    /// The graph, or what `outputs` need of it, as a serialized GraphDef.
    #[pyo3(signature = (outputs = None, *, inputs = None))]
    fn to_graph_def_bytes<'py>(
        &self,
        py: Python<'py>,
        outputs: Option<&Bound<'py, PyAny>>,
        inputs: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        if self.0.function.is_some() {
            return Err(PyValueError::new_err("the body of a function is no GraphDef"));
        }
        let meta = &self.0.shared.meta;
        let Some(outputs) = outputs else {
            return Ok(PyBytes::new(py, &py.detach(|| meta.graph_def())));
        };
        let (outputs, stop) = (self.numbers(outputs)?, self.maybe(inputs)?);
        let bytes = self.0.detached(py, |graph| {
            let walk = Walk { control: true, stop: &stop, colocated: true };
            meta.graph_def_of(&graph.ancestors(&outputs, walk)?)
        })?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// The graph, or some operations of it, in the DOT language.
    #[pyo3(signature = (operations = None))]
    fn to_dot(&self, py: Python<'_>, operations: Option<&Bound<'_, PyAny>>) -> PyResult<String> {
        let chosen = operations.map(|given| self.numbers(given)).transpose()?;
        self.0.detached(py, |graph| dot(graph, chosen))
    }

    /// Names, ops and edges of all nodes, as arrays.
    fn columns<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let Columns { starts, names, numbers, edges } = self.0.detached(py, Columns::of)?;
        let buffer = |bytes: Vec<u8>| Bound::new(py, TensorBuffer(bytes.into()));
        let ops = self.0.graph(py)?.body().ops().map(|(op, _)| Name(op));
        let ops = PyTuple::new(py, ops.collect::<Vec<_>>())?;
        let edges = edges.map(buffer).into_iter().collect::<PyResult<Vec<_>>>()?;
        let edges = PyTuple::new(py, edges)?;
        let arguments = (ops, buffer(numbers)?, buffer(starts)?, buffer(names)?, edges);
        py.import("tensorbundle._columns")?.call_method1("GraphColumns", arguments)
    }

    /// What is wrong with the graph, as far as its nodes, functions and inputs go: a sentence each.
    fn problems(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let mut all = Vec::new();
        for place in self.places(true) {
            match place.detached(py, |graph| graph.problems()) {
                Ok(found) => all.extend(found),
                Err(error) => all.push(error.value(py).str()?.to_string()),
            }
        }
        Ok(all)
    }

    /// The version of graphs that its producer wrote; 0 if the file does not say.
    #[getter]
    fn producer(&self) -> i32 {
        self.0.shared.meta.producer()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        // Who looks for what is wrong must not be stopped by it.
        let nodes = match self.0.graph(py) {
            Ok(graph) => format!("{} nodes", graph.body().len()),
            Err(_) => "damaged".to_owned(),
        };
        Ok(match self.function_name(py)? {
            Some(name) => {
                format!("<tensorbundle.Graph of function {} {nodes}>", errors::short_repr(&name)?)
            }
            None => format!("<tensorbundle.Graph {nodes}>"),
        })
    }
}

fn named<'a, 'py>(name: &'a Bound<'py, PyAny>, what: &str) -> PyResult<&'a Bound<'py, PyAny>> {
    if name.is_instance_of::<PyString>() {
        return Ok(name);
    }
    let class = name.get_type().name()?;
    let text = format!("the name of {what} is a str, not a {class}");
    Err(pyo3::exceptions::PyTypeError::new_err(text))
}
