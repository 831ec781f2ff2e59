//! Collections, with the protos that are known by their key decoded (FORMAT 7.5).

use super::Place;
use super::element::{Element, find};
use crate::message::Message;
use crate::names::{self, Name};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};
use std::borrow::Cow;
use tensorbundle_wire::message::{Message as Wire, Value};
use tensorbundle_wire::{Fault, shown};

/// What the bytes of a collection are, by its key; and the field that TensorFlow calls the name of the object.
fn type_of(key: &[u8]) -> Option<(&'static str, &'static str)> {
    Some(match key {
        b"variables"
        | b"trainable_variables"
        | b"local_variables"
        | b"model_variables"
        | b"metric_variables"
        | b"moving_average_variables"
        | b"global_step" => ("tensorflow.VariableDef", "variable_name"),
        b"while_context" => ("tensorflow.WhileContextDef", "context_name"),
        b"cond_context" => ("tensorflow.CondContextDef", "context_name"),
        b"queue_runners" => ("tensorflow.QueueRunnerDef", "queue_name"),
        b"savers" => ("tensorflow.SaverDef", ""),
        _ => return None,
    })
}

/// The items of a collection; none if there is no such collection.
pub(crate) fn items<'py>(
    py: Python<'py>,
    place: &Place,
    key: &Bound<'py, PyString>,
    scope: Option<&Bound<'py, PyString>>,
) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    let wanted = names::from_python(key)?.unwrap_or(Cow::Borrowed(b"\xff"));
    if place.function.is_some() {
        return Ok(list);
    }
    let all = place.shared.meta.collections().map_err(|fault| place.raise(py, fault))?;
    let Some((_, value)) = all.into_iter().find(|(key, _)| key[..] == wanted[..]) else {
        return Ok(list);
    };
    let pattern = match scope {
        Some(scope) => Some(py.import("re")?.call_method1("compile", (scope,))?),
        None => None,
    };
    let keep = |name: Option<Bound<'py, PyAny>>| match (&pattern, name) {
        (None, _) => Ok(true),
        (Some(_), None) => Ok(false),
        (Some(pattern), Some(name)) => {
            Ok::<_, PyErr>(!pattern.call_method1("match", (name,))?.is_none())
        }
    };
    let raise = |fault: Fault| place.raise(py, fault);
    let def = place.wire("tensorflow.CollectionDef", value).map_err(raise)?;
    let Some(kind) = def.which("kind").map_err(raise)? else {
        return Ok(list);
    };
    let Some(Value::Message(values)) = def.get(kind).map_err(raise)? else {
        return Ok(list);
    };
    let field = values.field("value").map_err(raise)?;
    for value in values.values(field) {
        let (item, name) = match (kind.name(), value.map_err(raise)?) {
            ("node_list", Value::Text(text)) => {
                let item = element(py, place, key, &text)?;
                let name = Some(item.getattr("name")?);
                (item, name)
            }
            ("bytes_list", Value::Bytes(bytes)) => match known(py, place, &wanted, &bytes)? {
                Some((message, name)) => (message, name),
                None => (PyBytes::new(py, &bytes).into_any(), None),
            },
            ("any_list", Value::Message(any)) => {
                let message = any.unpack().unwrap_or(any);
                let message = Message::new(message, place.shared.path.clone());
                (Bound::new(py, message)?.into_any(), None)
            }
            (_, Value::Int(int)) => (int.into_pyobject(py)?.into_any(), None),
            (_, Value::Float(float)) => (f64::from(float).into_pyobject(py)?.into_any(), None),
            _ => continue,
        };
        if keep(name)? {
            list.append(item)?;
        }
    }
    Ok(list)
}

/// A message of the type that belongs to the key, and its name; `None` if the bytes are not one.
#[allow(clippy::type_complexity, reason = "an item and the name of it")]
fn known<'py>(
    py: Python<'py>,
    place: &Place,
    key: &[u8],
    bytes: &bytes::Bytes,
) -> PyResult<Option<(Bound<'py, PyAny>, Option<Bound<'py, PyAny>>)>> {
    let Some((ty, name)) = type_of(key) else {
        return Ok(None);
    };
    let wire = place.wire(ty, bytes.clone()).map_err(|fault| place.raise(py, fault))?;
    if !is_sound(&wire, 0) {
        return Ok(None);
    }
    let name = match name {
        "" => None,
        field => {
            let text = wire.text(field).map_err(|fault| place.raise(py, fault))?;
            Some(Name(&text).into_pyobject(py)?.into_any())
        }
    };
    let message = Message::new(wire, place.shared.path.clone());
    Ok(Some((Bound::new(py, message)?.into_any(), name)))
}

/// Can all of a message be read, however deep?
fn is_sound(message: &Wire, depth: usize) -> bool {
    let Ok(present) = message.present() else {
        return false;
    };
    depth <= tensorbundle_wire::limits::MAX_MESSAGE_DEPTH
        && present.into_iter().all(|field| {
            message.values(field).all(|value| match value {
                Ok(Value::Message(inner)) => is_sound(&inner, depth + 1),
                value => value.is_ok(),
            })
        })
}

/// The operation or tensor that a collection names.
fn element<'py>(
    py: Python<'py>,
    place: &Place,
    key: &Bound<'py, PyString>,
    text: &[u8],
) -> PyResult<Bound<'py, PyAny>> {
    let name = Name(text).into_pyobject(py)?;
    match find(place, name.as_any(), true, true) {
        Ok(Element::Operation(i)) => Ok(Bound::new(py, place.operation(i))?.into_any()),
        Ok(Element::Tensor(i, port)) => Ok(Bound::new(py, place.tensor(i, port))?.into_any()),
        Err(_) => {
            let part = format!("collection {}", crate::errors::short_repr(key)?);
            let what = format!("it names {}, which is not in the graph", shown(text));
            Err(place.raise(py, Fault::corrupt(part, what)))
        }
    }
}
