//! The tables of a catalog.
//!
//! ```text
//! checkpoints   one row each: what it is, what it holds, whether it is sound
//! tensors       path, and what `arrow` says of each tensor
//! findings      path, and what is wrong
//! stats         path, name, and what the values are like: see `values`
//! ```

use super::values::ValueColumns;
use crate::arrow::{BATCH_TEXT, Roles, TensorColumns, Texts, optional, text};
use crate::stats::Sums;
use arrow_array::builder::{Int64Builder, StringBuilder, UInt32Builder, UInt64Builder};
use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use std::path::Path;
use std::sync::Arc;
use tensorbundle_store::{Format, Listing};

/// What a catalog says of one checkpoint.
#[derive(Debug, Default, Clone)]
pub(crate) struct Facts {
    pub(crate) path: String,
    pub(crate) directory: String,
    pub(crate) name: String,
    pub(crate) step: Option<i64>,
    pub(crate) status: &'static str,
    pub(crate) reason: Option<String>,
    pub(crate) format: Option<&'static str>,
    pub(crate) style: Option<&'static str>,
    pub(crate) tensors: Option<i64>,
    pub(crate) elements: Option<i64>,
    pub(crate) bytes: Option<i64>,
    pub(crate) partitioned: Option<i64>,
    pub(crate) shards: Option<i64>,
    pub(crate) producer: Option<i64>,
    pub(crate) endianness: Option<&'static str>,
    pub(crate) fingerprint: Option<String>,
    pub(crate) structure: Option<String>,
    pub(crate) graph: Option<String>,
    pub(crate) nodes: Option<i64>,
    pub(crate) tensorflow: Option<String>,
    pub(crate) files: i64,
    pub(crate) file_bytes: i64,
    pub(crate) mtime_ns: Option<i64>,
    pub(crate) signature: String,
    pub(crate) checked: &'static str,
    pub(crate) stats: bool,
    pub(crate) nan: Option<i64>,
    pub(crate) inf: Option<i64>,
}

/// Something that is wrong, as a row.
#[derive(Debug, Default, Clone)]
pub(crate) struct Wrong {
    pub(crate) kind: &'static str,
    pub(crate) part: Option<String>,
    pub(crate) tensor: Option<String>,
    pub(crate) file: Option<String>,
    pub(crate) shard: Option<u32>,
    pub(crate) start: Option<u64>,
    pub(crate) end: Option<u64>,
    pub(crate) text: String,
}

/// Tables that are being made.
#[derive(Default)]
pub struct Tables {
    pub(crate) checkpoints: Vec<Facts>,
    findings: Findings,
    tensor_paths: Texts,
    tensor_text: usize,
    tensors: TensorColumns,
    made: Vec<RecordBatch>,
    values: ValueColumns,
    made_values: Vec<RecordBatch>,
}

#[derive(Default)]
struct Findings {
    path: StringBuilder,
    kind: StringBuilder,
    part: StringBuilder,
    tensor: StringBuilder,
    file: StringBuilder,
    shard: UInt32Builder,
    start: UInt64Builder,
    end: UInt64Builder,
    text: StringBuilder,
}

const TEXTS: [&str; 9] =
    ["path", "directory", "name", "status", "reason", "format", "style", "checked", "signature"];

impl Tables {
    /// The columns of `checkpoints`.
    pub fn checkpoints_schema() -> SchemaRef {
        let text = |name: &str| optional(name, DataType::Utf8);
        let int = |name: &str| optional(name, DataType::Int64);
        let mut fields: Vec<_> = TEXTS.iter().map(|name| text(name)).collect();
        fields.extend(
            ["step", "tensors", "elements", "bytes", "partitioned", "shards", "producer"].map(int),
        );
        fields.extend(["endianness", "fingerprint", "structure", "graph"].map(text));
        fields.push(int("nodes"));
        fields.push(text("tensorflow"));
        fields.extend(["files", "file_bytes", "mtime_ns"].map(int));
        fields.push(optional("stats", DataType::Boolean));
        fields.extend(["nan", "inf"].map(int));
        Arc::new(Schema::new(fields))
    }

    /// The columns of `tensors`.
    pub fn tensors_schema() -> SchemaRef {
        let mut fields = vec![Field::new("path", DataType::Utf8, false)];
        fields.extend(TensorColumns::fields());
        Arc::new(Schema::new(fields))
    }

    /// The columns of `findings`.
    pub fn findings_schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("path", DataType::Utf8, false),
            optional("kind", DataType::Utf8),
            optional("part", DataType::Utf8),
            optional("tensor", DataType::Utf8),
            optional("file", DataType::Utf8),
            optional("shard", DataType::UInt32),
            optional("start", DataType::UInt64),
            optional("end", DataType::UInt64),
            optional("text", DataType::Utf8),
        ]))
    }

    /// The columns of `stats`.
    pub fn stats_schema() -> SchemaRef {
        ValueColumns::schema()
    }

    /// Appends what the values of a tensor are like.
    pub(crate) fn value(&mut self, path: &str, name: &[u8], sums: &Sums) -> Result<(), ArrowError> {
        self.values.append(path, name, sums);
        if self.values.is_full() {
            self.made_values.push(self.values.finish()?);
        }
        Ok(())
    }

    /// Appends all tensors of a checkpoint.
    pub(crate) fn listed(
        &mut self,
        path: &str,
        listing: &Listing,
        format: Format,
        roles: &Roles,
    ) -> Result<(), ArrowError> {
        let mut left = 0..listing.len();
        while !left.is_empty() {
            let count = self.tensors.append(listing, left.clone(), format, roles);
            self.tensor_paths.repeat(path, count);
            self.tensor_text += path.len() * count;
            left.start += count;
            if self.tensors.is_full() || self.tensor_text > BATCH_TEXT {
                self.cut()?;
            }
        }
        Ok(())
    }

    fn cut(&mut self) -> Result<(), ArrowError> {
        self.tensor_text = 0;
        let mut arrays = vec![self.tensor_paths.finish()?];
        arrays.extend(self.tensors.arrays()?);
        self.made.push(RecordBatch::try_new(Self::tensors_schema(), arrays)?);
        Ok(())
    }

    /// Appends a finding.
    pub(crate) fn wrong(&mut self, path: &str, wrong: &Wrong) {
        let rows = &mut self.findings;
        rows.path.append_value(path);
        rows.kind.append_value(wrong.kind);
        rows.part.append_option(wrong.part.as_deref());
        rows.tensor.append_option(wrong.tensor.as_deref());
        rows.file.append_option(wrong.file.as_deref());
        rows.shard.append_option(wrong.shard);
        rows.start.append_option(wrong.start);
        rows.end.append_option(wrong.end);
        rows.text.append_value(&wrong.text);
    }

    /// Appends a directory that could not be walked.
    pub fn trouble(&mut self, trouble: &super::Trouble) {
        let path = path_text(&trouble.path);
        let (kind, text) = (trouble.kind, trouble.text.clone());
        self.wrong(&path, &Wrong { kind, file: Some(path.clone()), text, ..Wrong::default() });
    }

    /// Record batches of `checkpoints`, `tensors`, `findings` and `stats`.
    pub fn finish(mut self) -> Result<[Vec<RecordBatch>; 4], ArrowError> {
        if self.tensors.len() > 0 {
            self.cut()?;
        }
        let rows = &self.checkpoints;
        let text = |of: &dyn Fn(&Facts) -> Option<&str>| -> ArrayRef {
            let mut builder = StringBuilder::new();
            rows.iter().for_each(|row| builder.append_option(of(row)));
            Arc::new(builder.finish())
        };
        let int = |of: &dyn Fn(&Facts) -> Option<i64>| -> ArrayRef {
            let mut builder = Int64Builder::with_capacity(rows.len());
            rows.iter().for_each(|row| builder.append_option(of(row)));
            Arc::new(builder.finish())
        };
        let arrays = vec![
            text(&|row| Some(&row.path)),
            text(&|row| Some(&row.directory)),
            text(&|row| Some(&row.name)),
            text(&|row| Some(row.status)),
            text(&|row| row.reason.as_deref()),
            text(&|row| row.format),
            text(&|row| row.style),
            text(&|row| Some(row.checked)),
            text(&|row| Some(&row.signature)),
            int(&|row| row.step),
            int(&|row| row.tensors),
            int(&|row| row.elements),
            int(&|row| row.bytes),
            int(&|row| row.partitioned),
            int(&|row| row.shards),
            int(&|row| row.producer),
            text(&|row| row.endianness),
            text(&|row| row.fingerprint.as_deref()),
            text(&|row| row.structure.as_deref()),
            text(&|row| row.graph.as_deref()),
            int(&|row| row.nodes),
            text(&|row| row.tensorflow.as_deref()),
            int(&|row| Some(row.files)),
            int(&|row| Some(row.file_bytes)),
            int(&|row| row.mtime_ns),
            Arc::new(rows.iter().map(|row| Some(row.stats)).collect::<BooleanArray>()),
            int(&|row| row.nan),
            int(&|row| row.inf),
        ];
        let checkpoints = RecordBatch::try_new(Self::checkpoints_schema(), arrays)?;
        let mut found = self.findings;
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(found.path.finish()),
            Arc::new(found.kind.finish()),
            Arc::new(found.part.finish()),
            Arc::new(found.tensor.finish()),
            Arc::new(found.file.finish()),
            Arc::new(found.shard.finish()),
            Arc::new(found.start.finish()),
            Arc::new(found.end.finish()),
            Arc::new(found.text.finish()),
        ];
        let findings = RecordBatch::try_new(Self::findings_schema(), arrays)?;
        if !self.values.is_empty() {
            self.made_values.push(self.values.finish()?);
        }
        Ok([vec![checkpoints], self.made, vec![findings], self.made_values])
    }
}

/// A path as text.
pub(crate) fn path_text(path: &Path) -> String {
    text(path.as_os_str().as_encoded_bytes()).into_owned()
}
