//! Graphs made byte by byte: sound ones, and those that no TensorFlow writes.

use super::*;
use proptest::prelude::*;
use tensorbundle_wire::varint::put_varint;

fn number(field: u64, value: i32) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, field << 3);
    put_varint(&mut out, i64::from(value) as u64);
    out
}

fn text(field: u64, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, field << 3 | 2);
    put_varint(&mut out, value.len() as u64);
    out.extend(value);
    out
}

fn child(name: &str, node: i32) -> Vec<u8> {
    text(1, &[number(1, node), text(2, name.as_bytes())].concat())
}

fn attribute(name: &str, full_name: &str, key: &str) -> Vec<u8> {
    let parts = [name, full_name, key].map(str::as_bytes);
    text(2, &[text(1, parts[0]), text(2, parts[1]), text(3, parts[2])].concat())
}

fn slot(original: i32, name: &str, variable: i32) -> Vec<u8> {
    text(3, &[number(1, original), text(2, name.as_bytes()), number(3, variable)].concat())
}

fn graph(nodes: &[&[Vec<u8>]]) -> ObjectGraph {
    let nodes: Vec<_> = nodes.iter().map(|parts| text(1, &parts.concat())).collect();
    ObjectGraph::parse(nodes.concat().into()).unwrap()
}

fn path(graph: &ObjectGraph, node: u32) -> Option<String> {
    graph.path(node).map(|path| String::from_utf8(path).unwrap())
}

/// alias and model.x are one variable, of which `opt` keeps a slot.
fn small() -> ObjectGraph {
    graph(&[
        &[child("alias", 1), child("model", 2), child("opt", 3)],
        &[attribute("VARIABLE_VALUE", "w", "alias/.ATTRIBUTES/VARIABLE_VALUE")],
        &[child("x", 1), child("up", 0), text(4, &[text(1, b"p.S"), text(2, b"model")].concat())],
        &[slot(1, "m", 4), text(5, &number(1, 1))],
        &[attribute("VARIABLE_VALUE", "w/Adam", "k"), text(5, b"")],
    ])
}

#[test]
fn nodes_say_what_is_recorded() {
    let graph = small();
    assert_eq!(graph.len(), 5);
    let names: Vec<_> = graph.children(0).map(|child| (child.name, child.node)).collect();
    assert_eq!(names, [(&b"alias"[..], 1), (b"model", 2), (b"opt", 3)]);
    let one = graph.attributes(1).next().unwrap();
    assert_eq!((one.name, one.full_name), (VALUE, &b"w"[..]));
    assert_eq!(graph.value_key(4), Some(&b"k"[..]));
    let kept: Vec<_> = graph.slots(3).collect();
    assert_eq!(kept, [Slot { original: 1, name: b"m", variable: 4 }]);
    assert_eq!(graph.saver(2), Some(Saver { name: b"p.S", object_name: b"model" }));
    let said: Vec<_> = (2..5).map(|node| graph.has_values(node)).collect();
    assert_eq!(said, [None, Some(true), Some(false)]);
    assert!(graph.children(9).next().is_none() && graph.saver(9).is_none());
}

#[test]
fn paths_are_the_first_ways() {
    let graph = small();
    assert_eq!(path(&graph, 0).as_deref(), Some(""));
    assert_eq!(path(&graph, 1).as_deref(), Some("alias"));
    assert_eq!(path(&graph, 4).as_deref(), Some("alias/.OPTIMIZER_SLOT/opt/m"));
    for (wanted, node) in [
        ("", 0),
        ("alias", 1),
        ("model/x", 1),
        ("model/up/model/up/alias", 1),
        ("alias/.OPTIMIZER_SLOT/opt/m", 4),
        ("model/x/.OPTIMIZER_SLOT/model/up/opt/m", 4),
    ] {
        assert_eq!(graph.find(wanted.as_bytes()), [node], "{wanted}");
    }
    for wanted in ["model/y", "alias/", "/", "/alias", "model/.OPTIMIZER_SLOT/opt/m"] {
        assert_eq!(graph.find(wanted.as_bytes()), [0; 0], "{wanted}");
    }
}

#[test]
fn names_with_slashes_are_split_in_all_ways() {
    let graph = graph(&[
        &[child("a", 1), child("a/b", 2), child("", 4)],
        &[child("b", 3), child("b/c", 2)],
        &[],
        &[],
        &[child("", 2)],
    ]);
    assert_eq!(graph.find(b"a/b"), [2, 3]);
    assert_eq!(graph.find(b"a/b/c"), [2]);
    assert_eq!(graph.find(b"/"), [2]);
}

#[test]
fn full_names_and_keys() {
    let graph = graph(&[
        &[child("a", 1), child("b", 2)],
        &[attribute("t", "", "a/.ATTRIBUTES/t"), attribute("u", "same", "a/.ATTRIBUTES/u")],
        &[attribute("VARIABLE_VALUE", "same", "b")],
    ]);
    assert_eq!(graph.by_full_name(b"same"), [1, 2]);
    assert_eq!(graph.by_full_name(b""), [0; 0]);
    assert_eq!(graph.by_key(b"b"), [2]);
    assert_eq!(graph.by_key(b"a/.ATTRIBUTES/t-keys"), [1]);
    assert_eq!(graph.by_key(b"a/.ATTRIBUTES/t/keys"), [0; 0]);
    assert_eq!(graph.by_key(b"bb"), [0; 0]);
}

#[test]
fn numbers_that_lead_nowhere_are_said() {
    let graph = graph(&[
        &[child("gone", 7), child("back", -1), child("me", 0), child("a", 1), child("a", 0)],
        &[slot(9, "m", 0)],
        &[attribute("VARIABLE_VALUE", "", "k")],
    ]);
    assert_eq!(
        graph.problems(None),
        [
            "node 0: child \"gone\" is node 7, and there are 3",
            "node 0: child \"back\" is node -1, and there are 3",
            "node 0: two children are called \"a\": 1 and 0",
            "node 1: variable \"m\" is node 9, and there are 3",
            "node 2: it has tensors, and no way leads to it",
        ]
    );
    assert_eq!(graph.path(2), None);
    assert_eq!(graph.find(b"a"), [0, 1]);
    assert_eq!(graph.find(b"gone"), [0; 0]);
}

#[test]
fn slots_of_slots_do_not_grow_without_end() {
    let mut nodes = vec![vec![child("w", 1)], vec![]];
    for i in 0..60 {
        nodes[i + 1].push(slot(i as i32 + 1, "s", i as i32 + 2));
        nodes.push(Vec::new());
    }
    let nodes: Vec<&[Vec<u8>]> = nodes.iter().map(Vec::as_slice).collect();
    let graph = graph(&nodes);
    assert_eq!(path(&graph, 2).as_deref(), Some("w/.OPTIMIZER_SLOT/w/s"));
    assert_eq!(graph.path(60), None);
}

#[test]
fn a_chain_is_walked_without_recursion() {
    let len = 100_000;
    let nodes: Vec<_> = (1..=len).map(|i| text(1, &child("c", i))).collect();
    let graph = ObjectGraph::parse([nodes.concat(), text(1, b"")].concat().into()).unwrap();
    let path = graph.path(len as u32).unwrap();
    assert_eq!(path.len(), 2 * len as usize - 1);
    assert_eq!(graph.find(&path), [len as u32]);
    assert_eq!(graph.short_path(len as u32), None);
    assert_eq!(graph.problems(None), [""; 0]);
}

#[test]
fn what_is_no_graph() {
    let bad = |bytes: &[u8]| ObjectGraph::parse(bytes.to_vec().into()).err().unwrap().to_string();
    assert_eq!(
        bad(&[text(1, b""), vec![0x0a, 5]].concat()),
        "object graph: behind its first 1 nodes: not a protobuf message: the bytes end too early"
    );
    assert_eq!(
        bad(&[text(1, b""), text(1, &[0x0a, 2, 0x08])].concat()),
        "object graph: node 1, at byte 4 of the tensor: not a protobuf message: \
         the bytes end too early"
    );
    assert_eq!(ObjectGraph::parse(Bytes::new()).unwrap().problems(None).len(), 1);
}

#[test]
fn whose_state_it_is() {
    // Keras 3: what cannot be told is nobody's.
    let value = |name: &str| vec![attribute("VARIABLE_VALUE", name, name)];
    let graph = graph(&[
        &[child("opt", 1), child("w", 5)],
        &[
            child("_variables", 2),
            child("_trainable_variables", 3),
            child("_iterations", 4),
            child("_momentums", 6),
        ],
        &[child("0", 4), child("1", 7)],
        &[child("0", 5)],
        &value("step"),
        &value("w"),
        &[child("0", 7)],
        &value("m"),
    ]);
    let states = graph.states(None);
    let said: Vec<_> = states.iter().map(|state| (state.node, state.of, &*state.name)).collect();
    // Without a listing no shapes are known.
    assert_eq!(said, [(4, None, &b"_iterations"[..]), (7, None, b"momentums")]);
    let states = small().states(None);
    assert_eq!(states.len(), 1);
    assert_eq!((states[0].optimizer, states[0].node, states[0].of), (3, 4, Some(1)));
}

proptest! {
    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        if let Ok(graph) = ObjectGraph::parse(bytes.into()) {
            let _ = graph.problems(None);
            let _ = graph.states(None);
        }
    }

    /// Every node that there is a way to is found by its path.
    #[test]
    fn any_edges(edges: Vec<(u8, u8, u8)>, slots: Vec<(u8, u8, u8)>) {
        const LEN: usize = 16;
        let names = ["a", "b", "a/b", "", ".", "a/.OPTIMIZER_SLOT/b"];
        let mut nodes = vec![Vec::new(); LEN];
        let name = |i: u8| names[i as usize % names.len()];
        for (from, to, by) in edges {
            nodes[from as usize % LEN].push(child(name(by), i32::from(to % 20)));
        }
        for (from, to, of) in slots {
            nodes[from as usize % LEN].push(slot(i32::from(of % 20), "m", i32::from(to % 20)));
        }
        let nodes: Vec<&[Vec<u8>]> = nodes.iter().map(Vec::as_slice).collect();
        let graph = graph(&nodes);
        for &node in graph.order() {
            if let (Some(path), Way::Child { .. }) = (graph.path(node), graph.way(node))
                && !path.is_empty()
                && graph.depth(node) < 4
                && !is_below_a_slot(&graph, node)
            {
                prop_assert!(graph.find(&path).contains(&node));
            }
        }
        let _ = (graph.problems(None), graph.states(None));
    }
}

fn is_below_a_slot(graph: &ObjectGraph, mut node: u32) -> bool {
    while let Way::Child { parent, .. } = graph.way(node) {
        node = parent;
    }
    matches!(graph.way(node), Way::Slot { .. })
}
