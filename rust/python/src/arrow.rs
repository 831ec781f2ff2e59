//! Arrow tables for Python: handed over by the PyCapsule protocol, so that nobody needs PyArrow.

use crate::errors;
use crate::graph::{MetaGraphReader, Place};
use crate::reader::Reader;
use crate::variables::joined;
use arrow_array::builder::{
    BooleanBuilder, Float64Builder, Int64Builder, ListBuilder, StringBuilder, UInt64Builder,
};
use arrow_array::cast::AsArray;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{ArrowError, DataType, Field, Schema};
use pyo3::exceptions::{PyOSError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList, PyString};
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::Arc;
use tensorbundle_checkpoint::{Roles, Table, nodes_table, tensors_table};

/// Rows and columns in Arrow's format.
#[pyclass(frozen, module = "tensorbundle._native")]
pub(crate) struct ArrowTable(pub(crate) Table);

pub(crate) fn failed(error: ArrowError) -> PyErr {
    match error {
        ArrowError::IoError(text, source) => match source.raw_os_error() {
            Some(number) => PyOSError::new_err((number, text)),
            None => PyOSError::new_err(text),
        },
        other => PyValueError::new_err(other.to_string()),
    }
}

#[pymethods]
impl ArrowTable {
    /// A table of columns: name, kind and values of each. Kinds are `str`, `int`, `uint`, `float`, `bool`, `list[int]`,
    /// `list[float]` and `list[str]`; a value can be `None`.
    #[staticmethod]
    fn from_columns(columns: Vec<(String, String, Bound<'_, PyAny>)>) -> PyResult<Self> {
        let (mut fields, mut arrays) = (Vec::new(), Vec::new());
        for (name, kind, values) in columns {
            let array = to_array(&kind, &values)?;
            fields.push(Field::new(name, array.data_type().clone(), true));
            arrays.push(array);
        }
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(schema.clone(), arrays).map_err(failed)?;
        Ok(Self(Table { schema, batches: vec![batch] }))
    }

    /// The rows as an ArrowArrayStream. Nothing is copied; no other schema can be asked for.
    #[pyo3(signature = (requested_schema=None))]
    pub(crate) fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema; // a wish that may be left open
        let stream = FFI_ArrowArrayStream::new(self.0.reader());
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }

    /// The columns as an ArrowSchema.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = FFI_ArrowSchema::try_from(&*self.0.schema).map_err(failed)?;
        PyCapsule::new_with_value(py, schema, c"arrow_schema")
    }

    fn __len__(&self) -> usize {
        self.0.rows()
    }

    /// How many rows.
    #[getter]
    fn num_rows(&self) -> usize {
        self.0.rows()
    }

    /// The names of the columns.
    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.0.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    /// A column as a list of Python objects.
    fn column<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyList>> {
        let at = self.0.schema.index_of(name).map_err(failed)?;
        let out = PyList::empty(py);
        for batch in &self.0.batches {
            for i in 0..batch.num_rows() {
                out.append(value(py, batch.column(at), i)?)?;
            }
        }
        Ok(out)
    }

    /// All columns as lists of Python objects, by name.
    fn to_pydict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let out = PyDict::new(py);
        for name in self.column_names() {
            out.set_item(&name, self.column(py, &name)?)?;
        }
        Ok(out)
    }

    /// Writes a file in Arrow's own format ("Feather", IPC).
    fn write(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| {
            let file = File::create(&path)?;
            self.0.write(BufWriter::new(file))
        })
        .map_err(failed)
    }

    fn __repr__(&self) -> String {
        let columns = self.column_names().join(", ");
        format!("ArrowTable({} rows: {columns})", self.0.rows())
    }
}

fn to_array(kind: &str, values: &Bound<'_, PyAny>) -> PyResult<ArrayRef> {
    macro_rules! build {
        ($builder:ty, $value:ty) => {{
            let mut builder = <$builder>::new();
            for value in values.try_iter()? {
                builder.append_option(value?.extract::<Option<$value>>()?);
            }
            Arc::new(builder.finish())
        }};
    }
    macro_rules! lists {
        ($builder:ty, $value:ty) => {{
            let mut builder = ListBuilder::new(<$builder>::new());
            for value in values.try_iter()? {
                let list = value?.extract::<Option<Vec<$value>>>()?;
                let there = list.is_some();
                for item in list.unwrap_or_default() {
                    builder.values().append_value(item);
                }
                builder.append(there);
            }
            Arc::new(builder.finish())
        }};
    }
    Ok(match kind {
        "str" => {
            let mut builder = StringBuilder::new();
            for value in values.try_iter()? {
                let value = value?.extract::<Option<Bound<'_, PyString>>>()?;
                builder.append_option(value.as_ref().map(plain).transpose()?);
            }
            Arc::new(builder.finish())
        }
        "int" => build!(Int64Builder, i64),
        "uint" => build!(UInt64Builder, u64),
        "float" => build!(Float64Builder, f64),
        "bool" => build!(BooleanBuilder, bool),
        "list[int]" => lists!(Int64Builder, i64),
        "list[float]" => lists!(Float64Builder, f64),
        "list[str]" => lists!(StringBuilder, String),
        other => {
            return Err(PyTypeError::new_err(format!("no kind of column is called {other:?}")));
        }
    })
}

/// A `str` whose bytes may not be UTF-8, as other columns have it.
fn plain(text: &Bound<'_, PyString>) -> PyResult<String> {
    match text.to_str() {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => {
            let bytes = crate::names::from_python(text)?.unwrap_or_default();
            Ok(tensorbundle_checkpoint::text(&bytes).into_owned())
        }
    }
}

/// One value as a Python object.
fn value<'py>(py: Python<'py>, array: &ArrayRef, i: usize) -> PyResult<Bound<'py, PyAny>> {
    if array.is_null(i) {
        return Ok(py.None().into_bound(py));
    }
    Ok(match array.data_type() {
        DataType::Utf8 => PyString::new(py, array.as_string::<i32>().value(i)).into_any(),
        DataType::Boolean => array.as_boolean().value(i).into_pyobject(py)?.to_owned().into_any(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(i).into_pyobject(py)?.into_any(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(i).into_pyobject(py)?.into_any(),
        DataType::UInt32 => {
            array.as_primitive::<UInt32Type>().value(i).into_pyobject(py)?.into_any()
        }
        DataType::UInt64 => {
            array.as_primitive::<UInt64Type>().value(i).into_pyobject(py)?.into_any()
        }
        DataType::Float64 => {
            array.as_primitive::<Float64Type>().value(i).into_pyobject(py)?.into_any()
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(i);
            let list = PyList::empty(py);
            for k in 0..items.len() {
                list.append(value(py, &items, k)?)?;
            }
            list.into_any()
        }
        DataType::Struct(fields) => {
            let out = PyDict::new(py);
            for (field, column) in fields.iter().zip(array.as_struct().columns()) {
                out.set_item(field.name(), value(py, column, i)?)?;
            }
            out.into_any()
        }
        other => return Err(PyTypeError::new_err(format!("a column of type {other}"))),
    })
}

/// The tensors of a checkpoint, with what a graph says of them, if there is one.
pub(crate) fn tensors(
    py: Python<'_>,
    reader: &Reader,
    graph: Option<&MetaGraphReader>,
    asked: bool,
) -> PyResult<ArrowTable> {
    let listing = reader.shared_listing(py)?;
    let objects = || reader.load_objects(py).map_err(|error| errors::to_python(py, error));
    let named = graph.is_none() && !(asked && objects()?.is_some());
    let roles = if named {
        py.detach(|| Roles::by_name(&listing))
    } else {
        let join = joined(py, Some(reader), graph)?;
        py.detach(|| Roles::of(&join, &listing))
    };
    let format = reader.core_format();
    let table = py.detach(|| tensors_table(&listing, format, &roles));
    Ok(ArrowTable(table.map_err(failed)?))
}

/// The nodes of a graph, or of a function's body; of a graph also those of all its functions, if `all` says so.
pub(crate) fn nodes(py: Python<'_>, place: &Place, all: bool) -> PyResult<ArrowTable> {
    let only = (!all).then_some(place.function);
    let table = py.detach(|| nodes_table(&place.shared.meta, only));
    let table = table.map_err(|fault| place.raise(py, fault))?;
    Ok(ArrowTable(table.map_err(failed)?))
}
