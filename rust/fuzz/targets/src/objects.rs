//! Any bytes as the objects of a checkpoint: what opens can be walked, and its paths lead back.

use tensorbundle_checkpoint::ObjectGraph;
use tensorbundle_store::Listing;

/// Any bytes as the objects of a checkpoint: what opens can be walked, and its paths lead back.
pub fn objects(data: &[u8]) {
    let Ok(graph) = ObjectGraph::parse(data.to_vec().into()) else {
        return;
    };
    let listing = Listing::default();
    for node in 0..(graph.len() as u32).min(50) {
        // A child without a name has the path of the root; slots of slots read in more ways than are tried.
        let plain =
            |path: &Vec<u8>| !path.is_empty() && !path.windows(5).any(|part| part == b"_SLOT");
        if let Some(path) = graph.short_path(node).filter(plain) {
            assert!(graph.find(&path).contains(&node), "node {node}");
        }
        let _ = (graph.children(node).count(), graph.slots(node).count());
        let _ = (graph.saver(node), graph.has_values(node));
        for attribute in graph.attributes(node) {
            assert!(graph.by_key(attribute.key).contains(&node));
            let _ = graph.resolve(attribute.full_name, &listing);
        }
    }
    let _ = graph.problems(Some(&listing));
    let _ = graph.states(Some(&listing));
    let _ = graph.near(b"model/w", true, Some(&listing));
}
