//! What the values of tensors are like, as columns of `tensors`; all null unless that was asked for.

use crate::arrow::{optional, signed};
use crate::diff::check_shared;
use crate::stats::{Sums, stats};
use arrow_array::ArrayRef;
use arrow_array::builder::{Float64Builder, Int64Builder};
use arrow_schema::{DataType, Field};
use std::sync::Arc;
use tensorbundle_store::{Error, Result, Stopped, Tensors, Watch};

const COUNTS: [&str; 5] = ["nan", "pos_inf", "neg_inf", "zeros", "subnormals"];
const FIGURES: [&str; 5] = ["min", "max", "mean", "std", "norm"];

/// Columns that are being made.
#[derive(Default)]
pub(super) struct ValueColumns {
    counts: [Int64Builder; 5],
    figures: [Float64Builder; 5],
}

impl ValueColumns {
    pub(super) fn fields() -> impl Iterator<Item = Field> {
        let counts = COUNTS.iter().map(|name| optional(name, DataType::Int64));
        counts.chain(FIGURES.iter().map(|name| optional(name, DataType::Float64)))
    }

    pub(super) fn append(&mut self, sums: Option<&Sums>) {
        let counts = sums.map(|it| [it.nan, it.pos_inf, it.neg_inf, it.zeros, it.subnormals]);
        for (i, column) in self.counts.iter_mut().enumerate() {
            column.append_option(counts.and_then(|counts| counts.get(i).copied().map(signed)));
        }
        let figures = sums.and_then(|sums| {
            let (low, high) = sums.extremes?;
            Some([low.to_f64(), high.to_f64(), sums.mean, sums.std(), sums.norm()])
        });
        for (i, column) in self.figures.iter_mut().enumerate() {
            column.append_option(figures.and_then(|figures| figures.get(i).copied()));
        }
    }

    pub(super) fn arrays(&mut self) -> impl Iterator<Item = ArrayRef> {
        let counts = self.counts.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef);
        counts.chain(self.figures.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef))
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
