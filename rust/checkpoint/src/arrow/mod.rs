//! Columns in Arrow's format, which DuckDB, Polars, pandas and PyArrow read as they are.
//!
//! ```text
//! tensors    the tensors of checkpoints
//! nodes      the nodes of graphs
//! cells      columns that are being made
//! roles      what each tensor is for: kind, variable, scope
//! ```
//!
//! Text is UTF-8 there. A byte that is not becomes `\xNN`.

mod cells;
mod nodes;
mod roles;
mod tensors;

pub(crate) use cells::Texts;
pub use nodes::nodes_table;
pub use roles::Roles;
pub use tensors::tensors_table;
pub(crate) use tensors::{TensorColumns, signed};

use arrow_array::{RecordBatch, RecordBatchIterator, RecordBatchReader};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, DataType, Field, SchemaRef};
use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;

/// Rows in a batch. Consumers take as many at a time, and what is being built is bounded by it.
pub(crate) const BATCH: usize = 1 << 16;

/// Bytes of text in a batch: far below the 2 GiB that its offsets can count.
pub(crate) const BATCH_TEXT: usize = 64 << 20;

/// Record batches of one schema.
#[derive(Debug, Clone)]
pub struct Table {
    /// What the columns are.
    pub schema: SchemaRef,
    /// The rows.
    pub batches: Vec<RecordBatch>,
}

impl Table {
    /// How many rows.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The batches, one after the other. Nothing is copied.
    pub fn reader(&self) -> Box<dyn RecordBatchReader + Send> {
        let batches = self.batches.clone().into_iter().map(Ok);
        Box::new(RecordBatchIterator::new(batches, self.schema.clone()))
    }

    /// Writes a file in Arrow's own format.
    pub fn write(&self, out: impl Write) -> Result<(), ArrowError> {
        let mut writer = FileWriter::try_new(out, &self.schema)?;
        for batch in &self.batches {
            writer.write(batch)?;
        }
        writer.finish()
    }
}

/// A name as text.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            let mut out = String::with_capacity(bytes.len() + 16);
            for chunk in bytes.utf8_chunks() {
                out.push_str(chunk.valid());
                for byte in chunk.invalid() {
                    out.push_str(&format!("\\x{byte:02x}"));
                }
            }
            Cow::Owned(out)
        }
    }
}

/// A column that may lack values.
pub(crate) fn optional(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

/// A column of lists.
pub(crate) fn list_of(name: &str, data_type: DataType) -> Field {
    Field::new(name, DataType::List(Arc::new(Field::new("item", data_type, true))), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_text() {
        assert_eq!(text("wörd".as_bytes()), "wörd");
        assert_eq!(text(b"a\xff/\xc3"), "a\\xff/\\xc3");
    }
}
