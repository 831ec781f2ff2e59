//! A graph in the DOT language.

use std::fmt::Write;
use tensorbundle_graph::Graph;
use tensorbundle_wire::Result;

/// Some nodes, or all: boxes with name and op; edges up, those of control dashed.
pub(crate) fn dot(graph: Graph<'_>, chosen: Option<Vec<u32>>) -> Result<String> {
    let body = graph.body();
    let mut chosen = chosen.unwrap_or_else(|| (0..body.len() as u32).collect());
    chosen.sort_unstable();
    chosen.dedup();
    let quoted = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).replace('\\', "\\\\").replace('"', "\\\"");
        text.replace(char::is_control, "?")
    };
    let mut out = String::from("digraph {\n  rankdir=BT;\n  node [shape=box];\n");
    for &i in &chosen {
        let (name, op) = (quoted(body.name(i)), quoted(body.op(i)));
        let _ = writeln!(out, "  n{i} [label=\"{name}\\n{op}\"];");
    }
    let edges = graph.edges()?;
    for &i in &chosen {
        for edge in edges.inputs(i) {
            if chosen.binary_search(&edge.src).is_err() {
                continue;
            }
            let _ = match edge.port {
                0 => writeln!(out, "  n{} -> n{i};", edge.src),
                port if port > 0 => {
                    writeln!(out, "  n{} -> n{i} [taillabel=\"{port}\"];", edge.src)
                }
                _ => writeln!(out, "  n{} -> n{i} [style=dashed];", edge.src),
            };
        }
    }
    out.push_str("}\n");
    Ok(out)
}
