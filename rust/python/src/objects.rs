//! The graph of a checkpoint's objects, below the `ObjectGraph` that users see: nodes by number.

use crate::errors;
use crate::message::Message;
use crate::names::{self, Name};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use std::collections::HashMap;
use std::ffi::OsString;
use std::sync::Arc;
use tensorbundle_checkpoint::{
    Miss, OBJECT_GRAPH_PART, ObjectGraph, State, Way, near_names, open_object_graph, unescaped,
};
use tensorbundle_store::{Error, Listing, Tensors};
use tensorbundle_wire::Fault;
use tensorbundle_wire::message::Message as Wire;
use tensorbundle_wire::schema::schema;

/// The objects of a bundle.
pub(crate) struct Objects {
    pub(crate) graph: ObjectGraph,
    tensors: Arc<Tensors>,
    states: PyOnceLock<States>,
}

/// State that optimizers keep, and which of it is whose.
struct States {
    list: Vec<State>,
    of: HashMap<u32, Vec<usize>>,
}

impl Objects {
    /// The objects of a checkpoint; `None` if it is a checkpoint of names.
    pub(crate) fn open(tensors: &Arc<Tensors>) -> Result<Option<Arc<Self>>, Error> {
        let graph = open_object_graph(tensors)?;
        let states = PyOnceLock::new;
        Ok(graph.map(|graph| Arc::new(Self { graph, tensors: tensors.clone(), states: states() })))
    }

    fn listing(&self, py: Python<'_>) -> PyResult<&Arc<Listing>> {
        py.detach(|| self.tensors.listing()).map_err(|error| errors::to_python(py, error))
    }

    /// The key of the tensor that a name of an object means.
    pub(crate) fn resolve(&self, py: Python<'_>, name: &[u8]) -> PyResult<Result<Vec<u8>, Miss>> {
        let listing = self.listing(py)?;
        Ok(py.detach(|| self.graph.resolve(name, listing).map(<[u8]>::to_vec)))
    }

    /// Says why a name leads to no tensor.
    pub(crate) fn missing(&self, wanted: &Bound<'_, PyString>, miss: Miss) -> PyErr {
        let (text, near) = match miss {
            Miss::Unclear(text, near) => (Some(text), near),
            Miss::Nothing => {
                let name = wanted.to_string_lossy();
                let near = || {
                    Some(self.graph.near(
                        name.as_bytes(),
                        true,
                        self.tensors.listing().ok().map(|it| &**it),
                    ))
                };
                (None, wanted.py().detach(near).unwrap_or_default())
            }
        };
        let near: Vec<&[u8]> = near.iter().map(Vec::as_slice).collect();
        errors::not_found(self.tensors.prefix(), wanted, text.as_deref(), &near)
    }

    fn states(&self, py: Python<'_>) -> PyResult<&States> {
        let listing = self.listing(py)?;
        Ok(self.states.get_or_init(py, || {
            py.detach(|| {
                let list = self.graph.states(Some(listing));
                let mut of: HashMap<u32, Vec<usize>> = HashMap::new();
                for (state, i) in list.iter().zip(0..) {
                    if let Some(owner) = state.of {
                        of.entry(owner).or_default().push(i);
                    }
                }
                States { list, of }
            })
        }))
    }
}

/// The graph of a checkpoint's objects.
#[pyclass(frozen, eq, hash, module = "tensorbundle._native")]
pub(crate) struct ObjectGraphReader(pub(crate) Arc<Objects>);

impl PartialEq for ObjectGraphReader {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl std::hash::Hash for ObjectGraphReader {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).addr().hash(state);
    }
}

type Named<'py> = Vec<(Bound<'py, PyString>, u32)>;
type Text<'py> = Bound<'py, PyString>;
/// Name, full name, recorded key, keys.
type AttributeRow<'py> = (Text<'py>, Text<'py>, Text<'py>, Bound<'py, PyTuple>);

impl ObjectGraphReader {
    fn graph(&self) -> &ObjectGraph {
        &self.0.graph
    }

    fn corrupt(&self, py: Python<'_>, what: String) -> PyErr {
        errors::to_python(py, Fault::corrupt(OBJECT_GRAPH_PART, what).into())
    }

    /// The exception for an object that is not there.
    fn none(&self, py: Python<'_>, wanted: &Bound<'_, PyString>, what: &str) -> PyErr {
        let said = || -> PyResult<String> {
            let wanted = errors::short_repr(wanted)?;
            Ok(format!("no object {what} {wanted} in {}", self.0.tensors.prefix().display()))
        };
        let name = wanted.to_string_lossy();
        let near = py.detach(|| match what {
            "with the full name" => {
                let nodes = 0..self.graph().len() as u32;
                let attributes = nodes.flat_map(|node| self.graph().attributes(node));
                let names = attributes.map(|attribute| attribute.full_name);
                near_names(&name, names).into_iter().map(<[u8]>::to_vec).collect()
            }
            _ => self.graph().near(name.as_bytes(), false, None),
        });
        said().map_or_else(|error| error, |said| errors::not_in_graph(wanted, &said, &near))
    }

    /// The one node of several, or the exception that says which there are.
    fn only(
        &self,
        py: Python<'_>,
        wanted: &Bound<'_, PyString>,
        what: &str,
        nodes: &[u32],
    ) -> PyResult<u32> {
        const SHOWN: usize = 5;
        match nodes {
            [] => Err(self.none(py, wanted, what)),
            [node] => Ok(*node),
            several => {
                let path = |&node| self.graph().short_path(node);
                let paths: Vec<_> = several.iter().take(SHOWN).filter_map(path).collect();
                let number = several.len();
                let said = format!("{number} objects {what} {}", errors::short_repr(wanted)?);
                let nodes: Vec<_> =
                    several.iter().take(SHOWN).map(|node| format!("node {node}")).collect();
                let said = format!("{said}: {}", nodes.join(", "));
                Err(errors::not_in_graph(wanted, &said, &paths))
            }
        }
    }
}

#[pymethods]
impl ObjectGraphReader {
    fn __len__(&self) -> usize {
        self.graph().len()
    }

    /// The checkpoint it is of.
    #[getter]
    fn prefix(&self) -> OsString {
        self.0.tensors.prefix().into()
    }

    /// The TrackableObjectGraph.
    #[getter]
    fn message(&self, py: Python<'_>) -> PyResult<Message> {
        const NAME: &str = "tensorflow.TrackableObjectGraph";
        let ty = schema().message(NAME);
        let ty = ty.ok_or_else(|| self.corrupt(py, format!("the schema has no {NAME}")))?;
        Ok(Message::new(Wire::new(ty, self.graph().bytes().clone()), None))
    }

    /// The children of a node that are nodes, by name.
    fn children<'py>(&self, py: Python<'py>, node: u32) -> PyResult<Named<'py>> {
        if let Some(lost) = self.graph().children(node).find(|child| !self.graph().has(child.node))
        {
            let what = self.graph().nowhere(node, "child", lost.name, lost.node);
            return Err(self.corrupt(py, what));
        }
        if let Some(what) = self.graph().twice_said(node) {
            return Err(self.corrupt(py, what));
        }
        let children = self.graph().children(node);
        children.map(|child| Ok((Name(child.name).into_pyobject(py)?, child.node))).collect()
    }

    /// The children of a node as they are recorded, without those that lead nowhere: name, node, and whether this
    /// is the first way to it.
    fn edges<'py>(&self, py: Python<'py>, node: u32) -> PyResult<Vec<(Text<'py>, u32, bool)>> {
        let edge = |(edge, child): (u32, tensorbundle_checkpoint::Child<'_>)| {
            let first = self.graph().way(child.node) == Way::Child { parent: node, edge };
            Ok((Name(child.name).into_pyobject(py)?, child.node, first))
        };
        let edges = self.graph().edges(node).filter(|(_, child)| self.graph().has(child.node));
        edges.map(edge).collect()
    }

    /// The attributes of a node.
    fn attributes<'py>(&self, py: Python<'py>, node: u32) -> PyResult<Vec<AttributeRow<'py>>> {
        let listing = self.0.listing(py)?;
        let row = |attribute: tensorbundle_checkpoint::Attribute<'_>| {
            let name = unescaped(attribute.name);
            let keys = self.graph().keys(&attribute, listing);
            Ok((
                Name(&name).into_pyobject(py)?,
                Name(attribute.full_name).into_pyobject(py)?,
                Name(attribute.key).into_pyobject(py)?,
                PyTuple::new(py, keys.into_iter().map(Name))?,
            ))
        };
        self.graph().attributes(node).map(row).collect()
    }

    /// The key of a node's only tensor.
    fn key<'py>(&self, py: Python<'py>, node: u32) -> PyResult<Option<Text<'py>>> {
        match &*self.graph().node_keys(node, self.0.listing(py)?) {
            [key] => Ok(Some(Name(key).into_pyobject(py)?)),
            _ => Ok(None),
        }
    }

    /// The path of a node.
    fn path<'py>(&self, py: Python<'py>, node: u32) -> PyResult<Option<Text<'py>>> {
        let path = py.detach(|| self.graph().path(node));
        path.map(|path| Name(&path).into_pyobject(py)).transpose()
    }

    /// The path of a node, if it is one that somebody could type.
    fn short_path<'py>(&self, py: Python<'py>, node: u32) -> PyResult<Option<Text<'py>>> {
        let path = self.graph().short_path(node);
        path.map(|path| Name(&path).into_pyobject(py)).transpose()
    }

    /// The slots that a node records: name, variable, state.
    fn slots<'py>(&self, py: Python<'py>, node: u32) -> PyResult<Vec<(Text<'py>, u32, u32)>> {
        let slots = self.graph().slots(node).map(|slot| {
            for (what, number) in [("variable", slot.original), ("slot variable", slot.variable)] {
                if !self.graph().has(number) {
                    let what = self.graph().nowhere(node, what, slot.name, number);
                    return Err(self.corrupt(py, what));
                }
            }
            Ok((Name(slot.name).into_pyobject(py)?, slot.original, slot.variable))
        });
        slots.collect()
    }

    /// The state that optimizers keep of a node, as far as it can be told.
    fn states<'py>(&self, py: Python<'py>, node: u32) -> PyResult<Named<'py>> {
        let states = self.0.states(py)?;
        let own = states.of.get(&node).into_iter().flatten();
        let own = own.filter_map(|&i| states.list.get(i));
        own.map(|state| Ok((Name(&state.name).into_pyobject(py)?, state.node))).collect()
    }

    /// Who saves a node in a way of its own: its name, and the object's.
    fn saver<'py>(&self, py: Python<'py>, node: u32) -> PyResult<Option<(Text<'py>, Text<'py>)>> {
        let saver = self.graph().saver(node);
        let text = |text| Name(text).into_pyobject(py);
        saver.map(|saver| Ok((text(saver.name)?, text(saver.object_name)?))).transpose()
    }

    /// Whether there are values for a node or below it.
    fn has_values(&self, node: u32) -> Option<bool> {
        self.graph().has_values(node)
    }

    /// The nodes that a path leads to.
    fn find(&self, py: Python<'_>, path: &Bound<'_, PyString>) -> PyResult<Vec<u32>> {
        let Some(path) = names::from_python(path)? else {
            return Ok(Vec::new());
        };
        Ok(py.detach(|| self.graph().find(&path)))
    }

    /// The node that a path leads to.
    fn by_path(&self, py: Python<'_>, path: &Bound<'_, PyString>) -> PyResult<u32> {
        self.only(py, path, "with the path", &self.find(py, path)?)
    }

    /// The node that has a tensor.
    fn by_key(&self, py: Python<'_>, key: &Bound<'_, PyString>) -> PyResult<u32> {
        let bytes = names::from_python(key)?.unwrap_or_default();
        self.only(py, key, "with the tensor", &py.detach(|| self.graph().by_key(&bytes)))
    }

    /// The node that has a variable's full name.
    fn by_full_name(&self, py: Python<'_>, name: &Bound<'_, PyString>) -> PyResult<u32> {
        let bytes = names::from_python(name)?.unwrap_or_default();
        let nodes = py.detach(|| self.graph().by_full_name(&bytes));
        self.only(py, name, "with the full name", &nodes)
    }

    /// The key of the one tensor that a key, a path or a full name means.
    fn resolve<'py>(&self, py: Python<'py>, name: &Bound<'py, PyString>) -> PyResult<Text<'py>> {
        let bytes = names::from_python(name)?.unwrap_or_default();
        if self.0.listing(py)?.contains(&bytes) {
            return Ok(name.clone());
        }
        match self.0.resolve(py, &bytes)? {
            Ok(key) => Name(&key).into_pyobject(py),
            Err(miss) => Err(self.0.missing(name, miss)),
        }
    }

    /// The path of the object of each tensor, by the tensor's key; of tensors that no object has, nothing.
    fn paths<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let listing = self.0.listing(py)?;
        let paths = PyDict::new(py);
        let found = py.detach(|| self.graph().tensor_paths(listing));
        for (key, path) in found.map_err(|fault| errors::to_python(py, fault.into()))? {
            paths.set_item(Name(key), Name(&path))?;
        }
        Ok(paths)
    }

    /// What is wrong with it.
    fn problems<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let listing = self.0.listing(py)?;
        PyList::new(py, py.detach(|| self.graph().problems(Some(listing))))
    }
}
