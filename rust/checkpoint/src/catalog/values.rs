//! What the values of tensors are like, as a table of its own: whoever does not ask for it does not pay for its columns.

use crate::arrow::{BATCH, BATCH_TEXT, optional, signed, text};
use crate::diff::check_shared;
use crate::stats::{Sums, stats};
use arrow_array::builder::{Float64Builder, Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use std::sync::Arc;
use tensorbundle_store::{Error, Listing, Result, Stopped, Tensors, Watch};

const COUNTS: [&str; 6] = ["elements", "nan", "pos_inf", "neg_inf", "zeros", "subnormals"];
const FIGURES: [&str; 5] = ["min", "max", "mean", "std", "norm"];

/// Columns that are being made.
#[derive(Default)]
pub(super) struct ValueColumns {
    path: StringBuilder,
    name: StringBuilder,
    counts: [Int64Builder; 6],
    figures: [Float64Builder; 5],
    rows: usize,
    text: usize,
}

impl ValueColumns {
    /// The columns of `stats`.
    pub(super) fn schema() -> SchemaRef {
        let mut fields = vec![Field::new("path", DataType::Utf8, false)];
        fields.push(Field::new("name", DataType::Utf8, false));
        fields.extend(COUNTS.iter().map(|name| optional(name, DataType::Int64)));
        fields.extend(FIGURES.iter().map(|name| optional(name, DataType::Float64)));
        Arc::new(Schema::new(fields))
    }

    pub(super) fn append(&mut self, path: &str, name: &[u8], sums: &Sums) {
        let name = text(name);
        self.path.append_value(path);
        self.name.append_value(&name);
        let Sums { elements, nan, pos_inf, neg_inf, zeros, subnormals, .. } = *sums;
        let counts = [elements, nan, pos_inf, neg_inf, zeros, subnormals];
        for (column, count) in self.counts.iter_mut().zip(counts) {
            column.append_value(signed(count));
        }
        let figures = sums
            .extremes
            .map(|(low, high)| [low.to_f64(), high.to_f64(), sums.mean, sums.std(), sums.norm()]);
        for (i, column) in self.figures.iter_mut().enumerate() {
            column.append_option(figures.and_then(|figures| figures.get(i).copied()));
        }
        self.rows += 1;
        self.text += path.len() + name.len();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// It is time to make a batch of them.
    pub(super) fn is_full(&self) -> bool {
        self.rows >= BATCH || self.text >= BATCH_TEXT
    }

    /// The columns as a batch; it is empty then.
    pub(super) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        (self.rows, self.text) = (0, 0);
        let mut arrays: Vec<ArrayRef> =
            vec![Arc::new(self.path.finish()), Arc::new(self.name.finish())];
        for column in &mut self.counts {
            arrays.push(Arc::new(column.finish()));
        }
        for column in &mut self.figures {
            arrays.push(Arc::new(column.finish()));
        }
        RecordBatch::try_new(Self::schema(), arrays)
    }
}

/// The values of all tensors of a checkpoint.
#[derive(Default)]
pub(super) struct Values {
    /// By row of the listing: `None` of what is no number, or cannot be read.
    pub(super) rows: Vec<Option<Sums>>,
    /// Why not all can be read.
    pub(super) error: Option<Error>,
}

impl Values {
    /// Of what can be read; the others cost an error at most.
    pub(super) fn of(tensors: &Tensors, watch: &mut Watch<'_>) -> Result<Self, Stopped> {
        let Ok(listing) = tensors.listing().cloned() else {
            return Ok(Self::default()); // a finding says why
        };
        let all: Vec<_> = (0..listing.len()).collect();
        let mut values = Self { rows: vec![None; listing.len()], error: None };
        let error = match stats(tensors, &all, 0, watch) {
            Ok(made) => {
                values.take(made?.into_iter().map(|one| (one.row, one.sums)));
                return Ok(values);
            }
            Err(error) => error,
        };
        values.error = Some(error);
        // Each by itself, unless they are so many of the same bytes that this would take forever.
        if check_shared(tensors, &listing, all.iter().copied()).is_ok() {
            for row in all {
                if let Ok(made) = stats(tensors, &[row], 0, watch) {
                    values.take(made?.into_iter().map(|one| (one.row, one.sums)));
                }
            }
        }
        Ok(values)
    }

    fn take(&mut self, made: impl Iterator<Item = (usize, Option<Sums>)>) {
        for (row, sums) in made {
            if let Some(place) = self.rows.get_mut(row) {
                *place = sums;
            }
        }
    }

    /// Those that there are, with their names.
    pub(super) fn named<'a>(
        &'a self,
        listing: &'a Listing,
    ) -> impl Iterator<Item = (&'a [u8], &'a Sums)> {
        let rows = self.rows.iter().enumerate();
        rows.filter_map(|(i, sums)| Some((listing.name(i)?, sums.as_ref()?)))
    }

    /// How many elements are NaN, and how many are infinite.
    pub(super) fn bad(&self) -> (i64, i64) {
        let sums = self.rows.iter().flatten();
        sums.fold((0, 0), |(nan, inf), sums| {
            (
                nan.saturating_add(signed(sums.nan)),
                inf.saturating_add(signed(sums.pos_inf.saturating_add(sums.neg_inf))),
            )
        })
    }
}
