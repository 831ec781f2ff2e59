//! A name scope of a graph.

use super::Place;
use crate::names::Name;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};
use std::sync::Arc;
use tensorbundle_graph::Scope as Core;

/// A scope: the part of names before a `/`.
#[pyclass(frozen, module = "tensorbundle._native")]
pub(crate) struct Scope {
    place: Place,
    tree: Arc<Tree>,
    i: u32,
}

/// All scopes of a graph, and for each where those in it begin.
struct Tree {
    scopes: Vec<Core>,
    starts: Vec<u32>,
    children: Vec<u32>,
}

impl Scope {
    pub(crate) fn root(py: Python<'_>, place: &Place) -> PyResult<Self> {
        let tree = place.detached(py, |graph| {
            let scopes = graph.body().scopes();
            let mut children: Vec<u32> = (1..scopes.len() as u32).collect();
            let parent = |i: u32| scopes.get(i as usize).map_or(0, |scope| scope.parent);
            children.sort_by_key(|&i| parent(i)); // stable: in order of names
            let mut starts = vec![0_u32; scopes.len() + 1];
            for &i in &children {
                if let Some(start) = starts.get_mut(parent(i) as usize + 1) {
                    *start += 1;
                }
            }
            let mut sum = 0;
            for start in &mut starts {
                sum += *start;
                *start = sum;
            }
            Ok(Tree { scopes, starts, children })
        })?;
        Ok(Self { place: place.clone(), tree: Arc::new(tree), i: 0 })
    }

    fn core(&self) -> Core {
        let none = Core { parent: 0, node: 0, len: 0, nodes: 0, bytes: 0 };
        self.tree.scopes.get(self.i as usize).copied().unwrap_or(none)
    }
}

#[pymethods]
impl Scope {
    /// Its name, with those of the scopes it lies in; `""` for the root.
    #[getter]
    fn name<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        let scope = self.core();
        let name = self.place.graph(py)?.body().name(scope.node);
        Name(name.get(..scope.len as usize).unwrap_or_default()).into_pyobject(py)
    }

    /// How many operations are in it, at any depth.
    #[getter]
    fn num_operations(&self) -> u32 {
        self.core().nodes
    }

    /// How many bytes of the file they take.
    #[getter]
    fn nbytes(&self) -> u64 {
        self.core().bytes
    }

    /// The scopes right in it, in order of their names.
    #[getter]
    fn children<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let bound = |i: usize| self.tree.starts.get(i).map_or(0, |&start| start as usize);
        let range = bound(self.i as usize)..bound(self.i as usize + 1);
        let children = self.tree.children.get(range).unwrap_or_default();
        let scope = |&i: &u32| Self { place: self.place.clone(), tree: self.tree.clone(), i };
        PyList::new(py, children.iter().map(scope).collect::<Vec<_>>())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let operations = self.num_operations();
        Ok(format!("<tensorbundle.Scope {} {operations} operations>", self.name(py)?.repr()?))
    }
}
