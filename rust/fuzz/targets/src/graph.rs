//! Any bytes as a graph file: whatever opens is touched all over, and written out again.

use tensorbundle_graph::{File, Graph, Walk};

/// Any bytes as a graph file: whatever opens is touched all over, and written out again.
pub fn graph(data: &[u8]) {
    let Ok(file) = File::parse(data.to_vec().into()) else {
        return;
    };
    for i in 0..file.len().min(4) {
        let _ = file.tags(i);
        let Ok(meta) = file.meta_graph(i) else {
            continue;
        };
        touch(meta.graph());
        for function in 0..meta.library().len() as u32 {
            if let Ok(Some(graph)) = meta.function(function) {
                touch(graph);
            }
            let _ = (meta.library().attrs(function), meta.library().returns(function, false));
        }
        let _ = (meta.collections(), meta.variables(), meta.saver_def());
        let links = meta.links();
        let nodes = meta.graph().body().len() as u32;
        assert!(links.links.iter().all(|link| link.target < nodes));
        let all: Vec<u32> = (0..nodes).collect();
        if let Ok(bytes) = meta.graph_def_of(&all) {
            assert!(bytes.len() <= data.len() * 12 + 1024);
        }
    }
}

fn touch(graph: Graph<'_>) {
    let body = graph.body();
    for i in 0..(body.len() + body.num_args()) as u32 {
        let _ = (graph.attrs(i), graph.inputs(i), graph.functions_of(i));
        if let Ok(ports) = graph.all_ports(i) {
            for port in 0..ports.len().min(8) {
                let _ = (ports.dtype(port), graph.shape(i, port));
            }
        }
        let _ = graph.find(body.name(i));
    }
    let _ = graph.ancestors(&[0], Walk { control: true, colocated: true, ..Walk::default() });
    let _ = graph.descendants(&[0], Walk::default());
    assert!(body.scopes().iter().all(|scope| scope.nodes as usize <= body.len()));
}
