//! The tensors of checkpoints as columns.
//!
//! ```text
//! name dtype shape elements bytes            of every tensor
//! shard offset crc32c                        null if it is partitioned; in V1 there is neither offset nor crc32c
//! aligned                                    lies in its shard where its elements are aligned; null as above
//! slices                                     how many it is stored in; 0 if it is not partitioned
//! kind variable scope                        see `roles`
//! ```

use super::{BATCH, BATCH_TEXT, Roles, Table, list_of, optional, text};
use arrow_array::builder::{
    BooleanBuilder, Int32Builder, Int64Builder, ListBuilder, StringBuilder, UInt32Builder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use std::ops::Range;
use std::sync::Arc;
use tensorbundle_store::{Format, Listing, Row, in_order};
use tensorbundle_wire::bundle::elements;
use tensorbundle_wire::dtype::Layout;

/// So many rows are one piece of work, and a batch.
const PIECE: usize = 1 << 14;

/// All tensors of a listing, with all cores if they are many.
pub fn tensors_table(
    listing: &Listing,
    format: Format,
    roles: &Roles,
) -> Result<Table, ArrowError> {
    let rows = listing.len();
    let jobs = rows.div_ceil(PIECE);
    // Work is counted in bytes there; a row has some two hundred.
    let bytes = rows as u64 * 200;
    let made = in_order(jobs, bytes, |job| {
        let piece = job * PIECE..rows.min((job + 1) * PIECE);
        batches_of(listing, piece, format, roles)
    });
    let mut batches = Vec::with_capacity(jobs);
    for made in made {
        batches.extend(made?);
    }
    Ok(Table { schema: TensorColumns::schema(), batches })
}

/// Some of the rows.
fn batches_of(
    listing: &Listing,
    rows: Range<usize>,
    format: Format,
    roles: &Roles,
) -> Result<Vec<RecordBatch>, ArrowError> {
    let mut columns = TensorColumns::with_capacity(rows.len());
    let mut batches = Vec::new();
    for i in rows {
        if let Some(row) = listing.row(i) {
            columns.append(&row, i, format, roles);
        }
        if columns.is_full() {
            batches.push(columns.finish()?);
        }
    }
    if columns.len() > 0 {
        batches.push(columns.finish()?);
    }
    Ok(batches)
}

/// Columns that are being made.
#[derive(Default)]
pub(crate) struct TensorColumns {
    name: StringBuilder,
    dtype: StringBuilder,
    shape: ListBuilder<Int64Builder>,
    elements: Int64Builder,
    bytes: Int64Builder,
    shard: Int32Builder,
    offset: Int64Builder,
    crc32c: UInt32Builder,
    aligned: BooleanBuilder,
    slices: Int32Builder,
    kind: StringBuilder,
    variable: StringBuilder,
    scope: StringBuilder,
    rows: usize,
    text: usize,
}

impl TensorColumns {
    /// With room for so many rows.
    pub(crate) fn with_capacity(rows: usize) -> Self {
        let text = |bytes: usize| StringBuilder::with_capacity(rows, rows * bytes);
        Self {
            name: text(32),
            dtype: text(8),
            shape: ListBuilder::with_capacity(Int64Builder::with_capacity(rows * 2), rows),
            elements: Int64Builder::with_capacity(rows),
            bytes: Int64Builder::with_capacity(rows),
            shard: Int32Builder::with_capacity(rows),
            offset: Int64Builder::with_capacity(rows),
            crc32c: UInt32Builder::with_capacity(rows),
            aligned: BooleanBuilder::with_capacity(rows),
            slices: Int32Builder::with_capacity(rows),
            kind: text(6),
            variable: text(32),
            scope: text(24),
            rows: 0,
            text: 0,
        }
    }

    /// The columns.
    pub(crate) fn fields() -> Vec<Field> {
        vec![
            Field::new("name", DataType::Utf8, false),
            Field::new("dtype", DataType::Utf8, false),
            list_of("shape", DataType::Int64),
            optional("elements", DataType::Int64),
            optional("bytes", DataType::Int64),
            optional("shard", DataType::Int32),
            optional("offset", DataType::Int64),
            optional("crc32c", DataType::UInt32),
            optional("aligned", DataType::Boolean),
            optional("slices", DataType::Int32),
            optional("kind", DataType::Utf8),
            optional("variable", DataType::Utf8),
            optional("scope", DataType::Utf8),
        ]
    }

    /// The columns, as the schema of a batch.
    pub(crate) fn schema() -> SchemaRef {
        Arc::new(Schema::new(Self::fields()))
    }

    /// How many rows there are by now.
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// It is time to make a batch of them.
    pub(crate) fn is_full(&self) -> bool {
        self.rows >= BATCH || self.text >= BATCH_TEXT
    }

    /// Appends tensor `i` of a listing.
    pub(crate) fn append(&mut self, row: &Row<'_>, i: usize, format: Format, roles: &Roles) {
        let name = text(row.name);
        self.name.append_value(&name);
        match row.dtype.name() {
            Some(known) => self.dtype.append_value(known),
            None => self.dtype.append_value(row.dtype.to_string()),
        }
        for &dim in row.dims {
            self.shape.values().append_value(signed(dim));
        }
        self.shape.append(true);
        self.elements.append_value(signed(elements(row.dims)));
        self.bytes.append_value(signed(row.stored_bytes()));
        let piece = row.parts.is_empty();
        let placed = piece && format == Format::V2;
        self.shard.append_option(piece.then_some(row.shard));
        self.offset.append_option(placed.then_some(row.offset));
        self.crc32c.append_option(placed.then_some(row.crc.0));
        let aligned = match row.dtype.layout() {
            Layout::Fixed { unit, .. } if placed => Some(row.offset % unit as i64 == 0),
            _ => None,
        };
        self.aligned.append_option(aligned);
        self.slices.append_value(i32::try_from(row.parts.len()).unwrap_or(i32::MAX));
        self.kind.append_option(roles.kind(i).map(|kind| kind.name()));
        let other = roles.variable(i);
        let variable = match other {
            Some(Some(other)) => Some(text(other)),
            Some(None) => None,
            None => Some(name.clone()),
        };
        let whole = variable.as_deref().unwrap_or(&name);
        let scope = whole.rsplit_once('/').map_or("", |(scope, _)| scope);
        self.scope.append_value(scope);
        self.text += name.len() + whole.len() + scope.len();
        self.variable.append_option(variable);
        self.rows += 1;
    }

    /// The columns; it is empty then.
    pub(crate) fn arrays(&mut self) -> Vec<ArrayRef> {
        (self.rows, self.text) = (0, 0);
        vec![
            Arc::new(self.name.finish()),
            Arc::new(self.dtype.finish()),
            Arc::new(self.shape.finish()),
            Arc::new(self.elements.finish()),
            Arc::new(self.bytes.finish()),
            Arc::new(self.shard.finish()),
            Arc::new(self.offset.finish()),
            Arc::new(self.crc32c.finish()),
            Arc::new(self.aligned.finish()),
            Arc::new(self.slices.finish()),
            Arc::new(self.kind.finish()),
            Arc::new(self.variable.finish()),
            Arc::new(self.scope.finish()),
        ]
    }

    /// The columns as a batch; it is empty then.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        RecordBatch::try_new(Self::schema(), self.arrays())
    }
}

/// Arrow's readers know signed numbers best; no file has more.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
