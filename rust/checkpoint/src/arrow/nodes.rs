//! The nodes of a graph, and of its functions, as columns.
//!
//! ```text
//! function     the name of the function whose body it is in; null in the graph itself
//! name op device scope
//! inputs       as stored: `x`, `x:1`
//! controls     the nodes it waits for
//! ```

use super::{BATCH, BATCH_TEXT, Table, list_of, optional, text};
use arrow_array::RecordBatch;
use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use std::sync::Arc;
use tensorbundle_graph::{Graph, MetaGraph};
use tensorbundle_wire::Fault;

#[derive(Default)]
struct Columns {
    function: StringBuilder,
    name: StringBuilder,
    op: StringBuilder,
    device: StringBuilder,
    scope: StringBuilder,
    inputs: ListBuilder<StringBuilder>,
    controls: ListBuilder<StringBuilder>,
    rows: usize,
    text: usize,
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        optional("function", DataType::Utf8),
        Field::new("name", DataType::Utf8, false),
        Field::new("op", DataType::Utf8, false),
        optional("device", DataType::Utf8),
        optional("scope", DataType::Utf8),
        list_of("inputs", DataType::Utf8),
        list_of("controls", DataType::Utf8),
    ]))
}

/// All nodes of one body, or of a graph and all its functions.
pub fn nodes_table(
    meta: &MetaGraph,
    only: Option<Option<u32>>,
) -> Result<Result<Table, ArrowError>, Fault> {
    let mut columns = Columns::default();
    let mut batches = Vec::new();
    let functions = u32::try_from(meta.library().len()).unwrap_or(u32::MAX);
    let all = std::iter::once(None).chain((0..functions).map(Some));
    for function in all.filter(|function| only.is_none_or(|only| only == *function)) {
        let graph = meta.graph_of(function)?;
        let name = function.map(|i| meta.library().name(i));
        for i in 0..u32::try_from(graph.body().len()).unwrap_or(u32::MAX) {
            columns.append(&graph, name, i);
            if columns.rows >= BATCH || columns.text >= BATCH_TEXT {
                match columns.finish() {
                    Ok(batch) => batches.push(batch),
                    Err(error) => return Ok(Err(error)),
                }
            }
        }
    }
    Ok(columns.finish().map(|last| {
        batches.extend((last.num_rows() > 0).then_some(last));
        Table { schema: schema(), batches }
    }))
}

impl Columns {
    fn append(&mut self, graph: &Graph<'_>, function: Option<&[u8]>, i: u32) {
        let Some(node) = graph.body().node(i) else {
            return;
        };
        let name = text(graph.body().name(i));
        self.function.append_option(function.map(text));
        self.scope.append_value(name.rsplit_once('/').map_or("", |(scope, _)| scope));
        self.op.append_value(text(graph.body().op(i)));
        self.device.append_value(text(node.device()));
        self.text += name.len();
        self.name.append_value(name);
        for input in node.inputs() {
            self.text += input.len();
            match input.strip_prefix(b"^") {
                Some(control) => self.controls.values().append_value(text(control)),
                None => self.inputs.values().append_value(text(input)),
            }
        }
        self.inputs.append(true);
        self.controls.append(true);
        self.rows += 1;
    }

    fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        (self.rows, self.text) = (0, 0);
        RecordBatch::try_new(
            schema(),
            vec![
                Arc::new(self.function.finish()),
                Arc::new(self.name.finish()),
                Arc::new(self.op.finish()),
                Arc::new(self.device.finish()),
                Arc::new(self.scope.finish()),
                Arc::new(self.inputs.finish()),
                Arc::new(self.controls.finish()),
            ],
        )
    }
}
