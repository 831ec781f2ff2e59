//! Any message of a file as a Python object: read-only, and taken apart only as far as it is asked.

use crate::errors;
use crate::names::Name;
use bytes::Bytes;
use pyo3::exceptions::{PyAttributeError, PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple, PyType};
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use tensorbundle_store::Error;
use tensorbundle_wire::limits::MAX_MESSAGE_DEPTH;
use tensorbundle_wire::message::{Message as Wire, Value};
use tensorbundle_wire::schema::{EnumType, Field, Kind, MessageType, schema};
use tensorbundle_wire::{Fault, Result, text_wire};

/// A message.
#[pyclass(frozen, eq, hash, module = "tensorbundle._native")]
pub(crate) struct Message {
    wire: Wire,
    /// The file it is from, for what errors say.
    path: Option<Arc<Path>>,
}

impl Message {
    pub(crate) fn new(wire: Wire, path: Option<Arc<Path>>) -> Self {
        Self { wire, path }
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        self.wire.bytes()
    }

    fn ty(&self) -> &'static MessageType {
        self.wire.ty()
    }

    fn ok<T>(&self, py: Python<'_>, result: Result<T>) -> PyResult<T> {
        result.map_err(|fault| to_python(py, self.path.as_deref(), fault))
    }

    /// The field that a caller names.
    fn field(&self, name: &str) -> PyResult<&'static Field> {
        self.ty().field_named(name).ok_or_else(|| PyValueError::new_err(self.no_field(name)))
    }

    fn no_field(&self, name: &str) -> String {
        let mut text = format!("{} has no field '{}'", self.ty().name(), cut(name));
        let near = self.ty().near(name);
        for (i, name) in near.iter().enumerate() {
            text.push_str(if i == 0 { "; did you mean " } else { " or " });
            text.push_str(&format!("'{name}'"));
        }
        if !near.is_empty() {
            text.push('?');
        }
        text
    }

    fn read<'py>(&self, py: Python<'py>, field: &'static Field) -> PyResult<Bound<'py, PyAny>> {
        if field.is_map() {
            return Ok(self.dict(py, field, &|value| self.object(py, value))?.into_any());
        }
        if field.is_repeated() {
            let list = self.list(py, field, &|value| self.object(py, value))?;
            return Ok(list.to_tuple().into_any());
        }
        match self.ok(py, self.wire.get(field))? {
            Some(value) => self.object(py, value),
            None if field.kind() == Kind::Message => Ok(py.None().into_bound(py)),
            None => self.object(py, Value::default_of(field)),
        }
    }

    /// Values go straight into the list: no second list of them is made.
    fn list<'py>(
        &self,
        py: Python<'py>,
        field: &Field,
        object: &dyn Fn(Value) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for value in self.wire.values(field) {
            list.append(object(self.ok(py, value)?)?)?;
        }
        Ok(list)
    }

    fn dict<'py>(
        &self,
        py: Python<'py>,
        field: &Field,
        object: &dyn Fn(Value) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        let Some((key_field, value_field)) = field.entry() else { return Ok(dict) };
        for entry in self.wire.values(field) {
            let Value::Message(entry) = self.ok(py, entry)? else { continue };
            let key = self.ok(py, entry.get_or_default(key_field))?;
            let value = self.ok(py, entry.get_or_default(value_field))?;
            dict.set_item(self.object(py, key)?, object(value)?)?;
        }
        Ok(dict)
    }

    fn object<'py>(&self, py: Python<'py>, value: Value) -> PyResult<Bound<'py, PyAny>> {
        Ok(match value {
            Value::Int(value) => value.into_pyobject(py)?.into_any(),
            Value::UInt(value) => value.into_pyobject(py)?.into_any(),
            Value::Float(value) => value.into_pyobject(py)?.into_any(),
            Value::Double(value) => value.into_pyobject(py)?.into_any(),
            Value::Bool(value) => value.into_pyobject(py)?.to_owned().into_any(),
            Value::Text(text) => Name(&text).into_pyobject(py)?.into_any(),
            Value::Bytes(bytes) => PyBytes::new(py, &bytes).into_any(),
            Value::Enum(number, _) => number.into_pyobject(py)?.into_any(),
            Value::Message(wire) => Bound::new(py, Self::new(wire, self.path.clone()))?.into_any(),
        })
    }

    fn plain<'py>(&self, py: Python<'py>, depth: usize) -> PyResult<Bound<'py, PyDict>> {
        let plain = PyDict::new(py);
        let object = |value| match value {
            Value::Message(_) if depth >= MAX_MESSAGE_DEPTH => {
                let what = format!("its messages nest deeper than {MAX_MESSAGE_DEPTH}");
                let fault = Fault::corrupt(self.ty().short_name(), what);
                Err(to_python(py, self.path.as_deref(), fault))
            }
            Value::Message(wire) => {
                Ok(Self::new(wire, self.path.clone()).plain(py, depth + 1)?.into_any())
            }
            value => self.object(py, value),
        };
        for field in self.ok(py, self.wire.present())? {
            if field.is_map() {
                plain.set_item(field.name(), self.dict(py, field, &object)?)?;
            } else if field.is_repeated() {
                plain.set_item(field.name(), self.list(py, field, &object)?)?;
            } else if let Some(value) = self.ok(py, self.wire.get(field))? {
                plain.set_item(field.name(), object(value)?)?;
            }
        }
        Ok(plain)
    }

    /// A field's value in a few letters.
    fn short(&self, py: Python<'_>, field: &Field) -> PyResult<String> {
        const MOST: usize = 40; // letters of a text
        if field.is_repeated() {
            return Ok(if field.is_map() { "{…}" } else { "[…]" }.into());
        }
        let value = match self.ok(py, self.wire.get_or_default(field))? {
            Value::Message(_) => return Ok("<…>".into()),
            Value::Enum(number, ty) => return Ok(enum_name(ty, number)),
            Value::Text(text) if text.len() > MOST => {
                Value::Text(Bytes::copy_from_slice(head(&text, MOST)))
            }
            Value::Bytes(bytes) if bytes.len() > MOST => Value::Bytes(bytes.slice(..MOST)),
            value => return Ok(self.object(py, value)?.repr()?.to_string()),
        };
        Ok(format!("{}…", self.object(py, value)?.repr()?))
    }
}

/// The beginning of a text, not cut inside a letter.
fn head(text: &[u8], most: usize) -> &[u8] {
    let whole = |end: &usize| text.get(*end).is_none_or(|byte| byte & 0xc0 != 0x80);
    let end = (most.saturating_sub(3)..=most).rev().find(whole).unwrap_or(most);
    text.get(..end).unwrap_or(text)
}

fn cut(name: &str) -> &str {
    const MOST: usize = 100;
    name.char_indices().nth(MOST).and_then(|(end, _)| name.get(..end)).unwrap_or(name)
}

/// The name of an enum's number, or the number.
fn enum_name(ty: &EnumType, number: i32) -> String {
    ty.name_of(number).map_or_else(|| number.to_string(), str::to_owned)
}

fn to_python(py: Python<'_>, path: Option<&Path>, fault: Fault) -> PyErr {
    let error = Error::Fault { path: path.map(Path::to_owned), tensor: None, fault };
    errors::to_python(py, error)
}

fn known(type_name: &str) -> PyResult<&'static MessageType> {
    schema().message(type_name).ok_or_else(|| {
        let mut text = format!("no message type '{}' is known here", cut(type_name));
        if !type_name.contains('.') {
            text.push_str("; give its full name, as in 'tensorflow.NodeDef'");
        }
        PyValueError::new_err(text)
    })
}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.wire == other.wire
    }
}

impl Hash for Message {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.wire.hash(state);
    }
}

#[pymethods]
impl Message {
    /// A message from bytes of the wire, which are looked at when fields are asked for.
    #[staticmethod]
    fn parse(type_name: &str, data: PyBackedBytes) -> PyResult<Self> {
        Ok(Self::new(Wire::new(known(type_name)?, Bytes::from_owner(data)), None))
    }

    /// A message from text format.
    #[staticmethod]
    fn parse_text(py: Python<'_>, type_name: &str, text: PyBackedBytes) -> PyResult<Self> {
        let ty = known(type_name)?;
        let bytes = text_wire::encode(&text, ty).map_err(|fault| to_python(py, None, fault))?;
        Ok(Self::new(Wire::new(ty, bytes.into()), None))
    }

    /// The full name of its type.
    #[getter]
    fn type_name(&self) -> &'static str {
        self.ty().name()
    }

    /// The names of all fields that its type has.
    #[getter]
    fn fields<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.ty().fields().iter().map(Field::name))
    }

    /// Whether a field is set; a repeated field or a map, whether it has values.
    fn has(&self, py: Python<'_>, field: &str) -> PyResult<bool> {
        self.ok(py, self.wire.has(self.field(field)?))
    }

    /// Which field of a oneof is set.
    fn which(&self, py: Python<'_>, oneof: &str) -> PyResult<Option<&'static str>> {
        if self.ty().oneof(oneof).next().is_none() {
            let what = format!("{} has no oneof '{}'", self.ty().name(), cut(oneof));
            return Err(PyValueError::new_err(what));
        }
        Ok(self.ok(py, self.wire.which(oneof))?.map(Field::name))
    }

    /// The name of an enum field's value, or of all its values.
    fn enum_name<'py>(&self, py: Python<'py>, field: &str) -> PyResult<Bound<'py, PyAny>> {
        let field = self.field(field)?;
        if field.enum_type().is_none() {
            let what = format!("{} of {} is no enum", field.name(), self.ty().name());
            return Err(PyValueError::new_err(what));
        }
        let name = |value| match value {
            Value::Enum(number, ty) => Ok(enum_name(ty, number).into_pyobject(py)?.into_any()),
            value => self.object(py, value),
        };
        if field.is_repeated() {
            return Ok(self.list(py, field, &name)?.to_tuple().into_any());
        }
        name(self.ok(py, self.wire.get_or_default(field))?)
    }

    /// Its bytes, as they are stored.
    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.wire.bytes())
    }

    /// What is set, as plain objects, messages as dicts.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.plain(py, 0)
    }

    /// The message inside a `google.protobuf.Any`.
    fn unpack(&self, py: Python<'_>) -> PyResult<Self> {
        if self.ty().name() != "google.protobuf.Any" {
            let what = format!("a {} holds no packed message", self.ty().name());
            return Err(PyTypeError::new_err(what));
        }
        let wire = self.ok(py, self.wire.unpack())?;
        Ok(Self::new(wire, self.path.clone()))
    }

    fn __getattr__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        match self.ty().field_named(name) {
            Some(field) => self.read(py, field),
            None => Err(PyAttributeError::new_err(self.no_field(name))),
        }
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: &str) -> PyResult<Bound<'py, PyAny>> {
        match self.ty().field_named(key) {
            Some(field) => self.read(py, field),
            None => Err(PyKeyError::new_err(self.no_field(key))),
        }
    }

    fn __dir__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let names = py.get_type::<Self>().dir()?;
        for field in self.ty().fields() {
            names.append(field.name())?;
        }
        Ok(names)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        const MOST: usize = 160;
        let mut text = format!("<{}", self.ty().name());
        let present = match self.wire.present() {
            Ok(present) => present,
            // Who looks for what is wrong must not be stopped by it.
            Err(_) => return Ok(format!("{text} of {} broken bytes>", self.wire.bytes().len())),
        };
        for field in present {
            let value = self.short(py, field)?;
            if text.len() + field.name().len() + value.len() > MOST {
                text.push_str(" …");
                break;
            }
            text.push_str(&format!(" {}={value}", field.name()));
        }
        text.push('>');
        Ok(text)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let state = (self.ty().name(), self.to_bytes(py));
        (py.get_type::<Self>().getattr("_restore")?, state).into_pyobject(py)
    }

    /// Makes a message again from what `__reduce__` gave.
    #[classmethod]
    fn _restore(
        _class: &Bound<'_, PyType>,
        type_name: &str,
        data: PyBackedBytes,
    ) -> PyResult<Self> {
        Self::parse(type_name, data)
    }
}
