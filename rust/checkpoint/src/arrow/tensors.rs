//! The tensors of checkpoints as columns.
//!
//! ```text
//! name dtype shape elements bytes            of every tensor
//! shard offset crc32c                        null if it is partitioned; in V1 there is neither offset nor crc32c
//! aligned                                    lies in its shard where its elements are aligned; null as above
//! slices                                     how many it is stored in; 0 if it is not partitioned
//! kind variable scope                        see `roles`
//! ```

use super::cells::{Lists, Numbers, Texts};
use super::{BATCH, BATCH_TEXT, Roles, Table, list_of, optional, text};
use arrow_array::builder::BooleanBuilder;
use arrow_array::types::{Int32Type, Int64Type, UInt32Type};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use std::ops::Range;
use std::sync::Arc;
use tensorbundle_store::{Format, Listing, in_order};
use tensorbundle_wire::bundle::elements;
use tensorbundle_wire::dtype::{self, Layout};

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
    let mut columns = TensorColumns::default();
    let mut batches = Vec::new();
    let mut left = rows;
    while !left.is_empty() {
        left.start += columns.append(listing, left.clone(), format, roles);
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
    name: Texts,
    dtype: Texts,
    shape: Lists,
    elements: Numbers<Int64Type>,
    bytes: Numbers<Int64Type>,
    shard: Numbers<Int32Type>,
    offset: Numbers<Int64Type>,
    crc32c: Numbers<UInt32Type>,
    aligned: BooleanBuilder,
    slices: Numbers<Int32Type>,
    kind: Texts,
    /// Not there while every variable is called like its tensor: it is the column of names then.
    variable: Option<Texts>,
    scope: Texts,
    rows: usize,
    text: usize,
}

impl TensorColumns {
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

    /// Appends as many rows of a listing as there is room for, at least one; says how many.
    pub(crate) fn append(
        &mut self,
        listing: &Listing,
        rows: Range<usize>,
        format: Format,
        roles: &Roles,
    ) -> usize {
        let rows = rows.start..rows.start + self.room(listing, &rows, roles);
        self.name_them(listing, rows.clone(), roles);
        for run in listing.dtypes().get(rows.clone()).unwrap_or_default().chunk_by(|a, b| a == b) {
            if let Some(dtype) = run.first() {
                match dtype.name() {
                    Some(known) => self.dtype.repeat(known, run.len()),
                    None => self.dtype.repeat(&dtype.to_string(), run.len()),
                }
            }
        }
        let dims = || rows.clone().map(|i| listing.dims(i).unwrap_or_default());
        self.shape.extend(dims().flatten().map(|&dim| signed(dim)), dims().map(<[u64]>::len));
        self.elements.extend(dims().map(|dims| signed(elements(dims))));
        for run in roles.kinds(rows.clone()).chunk_by(|a, b| a == b) {
            if let Some(kind) = run.first() {
                self.kind.repeat(kind.name(), run.len());
            }
        }
        match listing.places(rows.clone()).filter(|_| format == Format::V2) {
            Some(places) => {
                self.bytes.extend(places.sizes.iter().map(|&size| size.max(0)));
                self.shard.extend(places.shards.iter().copied());
                self.offset.extend(places.offsets.iter().copied());
                self.crc32c.extend(places.crcs.iter().map(|crc| crc.0));
                for (&dtype, &offset) in places.dtypes.iter().zip(places.offsets) {
                    self.aligned.append_option(is_aligned(dtype, offset));
                }
                self.slices.extend(places.shards.iter().map(|_| 0));
            }
            None => rows.clone().for_each(|i| self.place(listing, i, format)),
        }
        self.rows += rows.len();
        rows.len()
    }

    /// How many of these rows there is room for: one, if there is none.
    fn room(&self, listing: &Listing, rows: &Range<usize>, roles: &Roles) -> usize {
        let mut count = rows.len().min(BATCH.saturating_sub(self.rows)).max(1);
        let text = |count: usize| {
            let names = listing.name_bytes(rows.start..rows.start + count).len();
            // A name, its variable and its scope; what is not UTF-8 becomes four times as long.
            self.text + 12 * names + 2 * count * roles.longest()
        };
        while count > 1 && text(count) > BATCH_TEXT {
            count /= 2;
        }
        count
    }

    fn name_them(&mut self, listing: &Listing, rows: Range<usize>, roles: &Roles) {
        if self.variable.is_none() && !roles.are_by_name() {
            self.variable = Some(self.name.clone());
        }
        let names = rows.clone().map(|i| listing.name(i).unwrap_or_default());
        let bytes = listing.name_bytes(rows.clone());
        self.name.extend(bytes, names);
        self.scope.reserve(rows.len(), bytes.len());
        for (at, i) in (self.rows..).zip(rows) {
            let name = self.name.get(at);
            let other = roles.variable(i).map(|other| other.map(text));
            let variable = match &other {
                None => Some(name),
                Some(other) => other.as_deref(),
            };
            let whole = variable.unwrap_or(name);
            let scope = whole.rsplit_once('/').map_or("", |(scope, _)| scope);
            self.scope.push(scope);
            self.text += name.len() + whole.len() + scope.len();
            if let Some(column) = &mut self.variable {
                column.push_option(variable);
            }
        }
    }

    /// Appends where tensor `i` is, which may be in slices, or in a V1 checkpoint.
    fn place(&mut self, listing: &Listing, i: usize, format: Format) {
        let Some(row) = listing.row(i) else {
            return;
        };
        let piece = row.parts.is_empty();
        let placed = piece && format == Format::V2;
        self.bytes.push_option(Some(signed(row.stored_bytes())));
        self.shard.push_option(piece.then_some(row.shard));
        self.offset.push_option(placed.then_some(row.offset));
        self.crc32c.push_option(placed.then_some(row.crc.0));
        self.aligned.append_option(is_aligned(row.dtype, row.offset).filter(|_| placed));
        self.slices.push_option(Some(i32::try_from(row.parts.len()).unwrap_or(i32::MAX)));
    }

    /// The columns; it is empty then.
    pub(crate) fn arrays(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        (self.rows, self.text) = (0, 0);
        let name = self.name.finish()?;
        let variable = match self.variable.take() {
            Some(mut other) => other.finish()?,
            None => name.clone(),
        };
        Ok(vec![
            name,
            self.dtype.finish()?,
            self.shape.finish()?,
            self.elements.finish()?,
            self.bytes.finish()?,
            self.shard.finish()?,
            self.offset.finish()?,
            self.crc32c.finish()?,
            Arc::new(self.aligned.finish()),
            self.slices.finish()?,
            self.kind.finish()?,
            variable,
            self.scope.finish()?,
        ])
    }

    /// The columns as a batch; it is empty then.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        RecordBatch::try_new(Self::schema(), self.arrays()?)
    }
}

/// Are its elements aligned where it lies? `None` if they have no fixed width.
fn is_aligned(dtype: dtype::DataType, offset: i64) -> Option<bool> {
    match dtype.layout() {
        Layout::Fixed { unit, .. } => Some(offset % unit as i64 == 0),
        _ => None,
    }
}

/// Arrow's readers know signed numbers best; no file has more.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
