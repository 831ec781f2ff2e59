//! From what a caller gives to what is in the graph: the rules of `tf.Graph` for names (FORMAT 7.4).

use super::{Operation, Place, Tensor};
use crate::errors;
use crate::names;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;
use tensorbundle_checkpoint::near_names;
use tensorbundle_graph::NoTensor;

/// An element of a graph.
pub(crate) enum Element {
    Operation(u32),
    Tensor(u32, u32),
}

/// Finds an operation or a tensor by its name, or makes sure that one is of this graph.
pub(crate) fn find(
    place: &Place,
    given: &Bound<'_, PyAny>,
    tensors: bool,
    operations: bool,
) -> PyResult<Element> {
    let kind = match (tensors, operations) {
        (true, true) => "a Tensor or an Operation",
        (true, false) => "a Tensor",
        _ => "an Operation",
    };
    if let Ok(name) = given.cast::<PyString>() {
        return by_name(place, name, tensors, operations);
    }
    let (of, element) = if let (Ok(operation), true) = (given.cast::<Operation>(), operations) {
        (&operation.get().place, Element::Operation(operation.get().i))
    } else if let (Ok(tensor), true) = (given.cast::<Tensor>(), tensors) {
        (&tensor.get().place, Element::Tensor(tensor.get().i, tensor.get().port))
    } else {
        let class = given.get_type().name()?;
        return Err(PyTypeError::new_err(format!("want {kind} or its name, got a {class}")));
    };
    if of != place {
        let text = format!("{} is not an element of this graph", given.repr()?);
        return Err(PyValueError::new_err(text));
    }
    Ok(element)
}

fn by_name(
    place: &Place,
    name: &Bound<'_, PyString>,
    tensors: bool,
    operations: bool,
) -> PyResult<Element> {
    let py = name.py();
    let Some(bytes) = names::from_python(name)? else {
        return Err(errors::not_in_graph(name, "no operation has this name", &[]));
    };
    let graph = place.graph(py)?;
    let shown = errors::short_repr(name)?;
    let missing = |wanted: &[u8], what: String| {
        let lossy = String::from_utf8_lossy(wanted).into_owned();
        let near = py.detach(|| {
            let body = graph.body();
            let names = (0..body.len() as u32).map(|i| body.name(i));
            near_names(&lossy, names).into_iter().map(<[u8]>::to_owned).collect::<Vec<_>>()
        });
        errors::not_in_graph(name, &what, &near)
    };
    if bytes.contains(&b':') && tensors {
        let found = py.detach(|| graph.tensor(&bytes));
        return match found.map_err(|fault| place.raise(py, fault))? {
            Ok((i, port)) => Ok(Element::Tensor(i, port)),
            Err(NoTensor::NotATensor) => Err(PyValueError::new_err(format!(
                "{shown} is no name of a tensor: want \"operation:number\", as in \"softmax:0\""
            ))),
            Err(NoTensor::NoOperation) => {
                let op = bytes.split(|&byte| byte == b':').next().unwrap_or_default();
                let op_shown = tensorbundle_wire::shown(op);
                Err(missing(op, format!("no tensor {shown}: there is no operation {op_shown}")))
            }
            Err(NoTensor::NoOutput(i, len)) => {
                let op = tensorbundle_wire::shown(graph.body().name(i));
                let outputs = if len == 1 { "1 output".into() } else { format!("{len} outputs") };
                let what = format!("no tensor {shown}: operation {op} has only {outputs}");
                Err(errors::not_in_graph(name, &what, &[]))
            }
        };
    }
    if bytes.contains(&b':') {
        return Err(PyValueError::new_err(format!(
            "{shown} is the name of a tensor, not of an operation: an operation's has no \":\""
        )));
    }
    let found = py.detach(|| graph.find(&bytes));
    match found.map_err(|fault| place.raise(py, fault))? {
        Some(i) if operations => Ok(Element::Operation(i)),
        Some(_) => Err(PyValueError::new_err(format!(
            "{shown} is the name of an operation, not of a tensor: its first output is \
             \"{}:0\"",
            name.to_string_lossy()
        ))),
        None if !operations => Err(PyValueError::new_err(format!(
            "{shown} is no name of a tensor, which has the form \"operation:number\"; nor is there \
             an operation of this name"
        ))),
        None => Err(missing(&bytes, format!("no operation {shown} in the graph"))),
    }
}
