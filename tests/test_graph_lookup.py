"""Looking things up by name, and collections: what `tf.Graph` does, errors and all (FORMAT 7.4)."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import tensorbundle as tb
from graph_builders import BUILDERS
from graph_maker import (
    FLOAT,
    bytes_list,
    const,
    float_list,
    floats,
    graph_def,
    int64_list,
    meta_graph,
    node,
    node_list,
    of_int,
    of_type,
    opened,
    tensor,
)

# What tf.Graph takes too, but is no name of a tensor by the rules of the format.
LENIENT = ["s:-1", "s:01", "s: 1", "s:+1", "s:0_1", "s:1 ", "s:\u0661"]
# No names of tensors by those rules, where TensorFlow looks for a tensor before it says no.
NO_NAMES = {":0", "^s:0", "s:-4"}
NAMES = [
    *("s", "s:0", "s:2", "s:3", "s:99999999999999999999", "x", "x:0", "x:1", "n", "n:0"),
    *("a/b", "a/b:0", "a", "a:0", "a/", "a/:0", "no", "no:0", "no:x", "", ":", ":0", "s:"),
    *("^s", "^s:0", "^", "s:0:0", "s::0", "s:0x1", "s:one", "s:1.0", " s", "s ", "s :0"),
    *("s:-4", "s:0:", ":s", "S", "S:0", "é", "é:0", "s\0", "s:0\0"),
]


@pytest.fixture(scope="module")
def pair(tf: Any) -> tuple[Any, tb.Graph]:
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [6], "x")
        tf.split(x, 3, name="s")
        tf.no_op("n")
        tf.identity(x, "a/b")
        proto = tf.compat.v1.train.export_meta_graph()
    return graph, tb.load_meta_graph(proto.SerializeToString()).graph


def outcome(call: Any, *args: Any) -> str | type[Exception]:
    """The name of what is found, or the error's builtin class."""
    try:
        return str(call(*args).name)
    except Exception as error:
        return next(kind for kind in (KeyError, ValueError, TypeError) if isinstance(error, kind))


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_as_in_tensorflow(pair: Any, name: str) -> None:
    theirs, ours = pair
    for method in ("get_tensor_by_name", "get_operation_by_name", "as_graph_element"):
        want = outcome(getattr(theirs, method), name)
        if name in NO_NAMES and want is KeyError:
            want = ValueError
        assert outcome(getattr(ours, method), name) == want, method
    for allowed in ((True, False), (False, True)):
        want = outcome(theirs.as_graph_element, name, *allowed)
        assert outcome(ours.as_graph_element, name, *allowed) in (want, ValueError)
    assert (name in ours) == isinstance(outcome(theirs.as_graph_element, name), str)


@pytest.mark.parametrize("name", LENIENT, ids=ascii)
def test_stricter_than_tensorflow(pair: Any, name: str) -> None:
    theirs, ours = pair
    assert outcome(theirs.get_tensor_by_name, name) == ("s:2" if "-" in name else "s:1")
    if name == "s:01":  # nothing but digits
        assert ours.get_tensor_by_name(name).name == "s:1"
        return
    with pytest.raises(ValueError, match="is no name of a tensor"):
        ours.get_tensor_by_name(name)
    assert name not in ours


@pytest.mark.parametrize("thing", [None, 0, 1.5, b"s", b"s:0", ["s"], object(), ("s", 0)], ids=repr)
def test_what_is_no_name(pair: Any, thing: Any) -> None:
    theirs, ours = pair
    for method in ("get_tensor_by_name", "get_operation_by_name", "as_graph_element"):
        if not isinstance(thing, bytes):  # TensorFlow looks those up, in one of the three
            with pytest.raises(TypeError):
                getattr(theirs, method)(thing)
        with pytest.raises(TypeError):
            getattr(ours, method)(thing)
    assert thing not in ours


def test_elements_of_this_graph_and_of_others(pair: Any) -> None:
    _, ours = pair
    other = opened(node("n"), const("s", tensor(FLOAT, [], more=floats(1))))
    op, out = ours.get_operation_by_name("s"), ours.get_tensor_by_name("s:1")
    assert ours.as_graph_element(op) == op
    assert ours.as_graph_element(out) == out
    assert op in ours
    assert out in ours
    for element in (other.get_operation_by_name("s"), other.get_tensor_by_name("s:0")):
        with pytest.raises(ValueError, match="is not an element of this graph"):
            ours.as_graph_element(element)
        assert element not in ours
    with pytest.raises(TypeError, match="want a Tensor or its name, got a"):
        ours.as_graph_element(op, allow_operation=False)
    with pytest.raises(TypeError, match="want an Operation or its name, got a"):
        ours.as_graph_element(out, allow_tensor=False)


def test_nothing_is_allowed(pair: Any) -> None:
    theirs, ours = pair
    for graph in (theirs, ours):
        with pytest.raises(ValueError):  # noqa: PT011
            graph.as_graph_element("s", False, False)


@pytest.mark.parametrize(
    ("method", "name", "text", "near"),
    [
        ("get_tensor_by_name", "s", "is the name of an operation, not of a tensor: its first", ()),
        ("get_tensor_by_name", "s", '"s:0"', ()),
        ("get_tensor_by_name", "s:3", 'operation "s" has only 3 outputs', ()),
        ("get_tensor_by_name", "x:7", "has only 1 output", ()),
        ("get_tensor_by_name", "n:0", "has only 0 outputs", ()),
        ("get_tensor_by_name", "a/bb:0", 'there is no operation "a/bb"; did you mean', ("a/b",)),
        ("get_operation_by_name", "a/B", "no operation 'a/B' in the graph; did you", ("a/b",)),
        ("get_operation_by_name", "s:0", "is the name of a tensor, not of an operation", ()),
        ("get_tensor_by_name", "s:x", 'want "operation:number"', ()),
        ("get_tensor_by_name", "q", "nor is there an operation of this name", ()),
    ],
)
def test_errors_help(pair: Any, method: str, name: str, text: str, near: tuple[str, ...]) -> None:
    with pytest.raises((KeyError, ValueError)) as caught:
        getattr(pair[1], method)(name)
    assert text in str(caught.value)
    if isinstance(caught.value, KeyError):
        assert type(caught.value) is tb.NotInGraphError
        assert (caught.value.name, caught.value.near) == (name, near)
        again = pickle.loads(pickle.dumps(caught.value))
        assert (str(again), again.name, again.near) == (str(caught.value), name, near)


def test_long_names_are_cut_in_messages(pair: Any) -> None:
    for name in ("y" * 10**6, "y" * 10**6 + ":0"):
        with pytest.raises(KeyError) as caught:
            pair[1].as_graph_element(name)
        assert len(str(caught.value)) < 1000


def test_names_are_bytes() -> None:
    graph = opened(
        node("é"), node(b"a\xff/\0b", "Const", value=of_int(1)), node("c", "NoOp", ["^é"])
    )
    assert [op.name for op in graph.get_operations()] == ["é", "a\udcff/\0b", "c"]
    assert graph.get_operation_by_name("a\udcff/\0b").index == 1
    out = graph.get_tensor_by_name("a\udcff/\0b:0")
    assert (out.name, out.op.index) == ("a\udcff/\0b:0", 1)
    (waited,) = graph.get_operation_by_name("c").control_inputs
    assert waited.name == "é"
    for odd in ("\ud800", "a\ud8ff/\0b", "\ud800:0"):
        assert odd not in graph
        with pytest.raises(KeyError):
            graph.get_operation_by_name(odd.removesuffix(":0"))


# Collections.


@pytest.fixture(scope="module", params=BUILDERS)
def collections(tf: Any, request: pytest.FixtureRequest) -> tuple[Any, tb.Graph]:
    """TensorFlow's graph and ours, both from the same MetaGraphDef."""
    with tf.Graph().as_default():
        BUILDERS[request.param](tf, tf.compat.v1)
        proto = tf.compat.v1.train.export_meta_graph()
    with tf.Graph().as_default() as graph:
        tf.compat.v1.train.import_meta_graph(proto)
    return graph, tb.load_meta_graph(proto.SerializeToString()).graph


def name_of(item: Any) -> Any:
    if isinstance(item, tb.Message):
        for field in ("variable_name", "context_name", "queue_name"):
            if field in item.fields:
                return item[field]
        return None
    return getattr(item, "name", None if hasattr(item, "to_proto") else item)


def test_collections_as_in_tensorflow(collections: Any) -> None:
    theirs, ours = collections
    keys = set(ours.get_all_collection_keys())
    assert keys == {key for key in theirs.get_all_collection_keys() if not isinstance(key, tuple)}
    for key in [*keys, "nonesuch"]:
        for scope in (None, "", "s", "dense", "outer/while", ".*/", "s/ref", "^x|^w"):
            got = ours.get_collection(key, scope)
            want = theirs.get_collection(key, scope)
            assert [name_of(item) for item in got] == [name_of(item) for item in want], (key, scope)


def test_scope_is_a_regular_expression() -> None:
    nodes = [node(name, "Const", dtype=of_type(FLOAT)) for name in ("a/x", "a/y", "b")]
    items = {"k": node_list("a/x:0", "b", "a/y"), "n": int64_list(1, 2), "f": float_list(0.5)}
    graph = opened(*nodes, collections=items)
    assert [item.name for item in graph.get_collection("k", "a/")] == ["a/x:0", "a/y"]
    assert [item.name for item in graph.get_collection("k", scope="[b-z]|.*y$")] == ["b", "a/y"]
    assert graph.get_collection("k", "x") == []
    assert graph.get_collection("n") == [1, 2]
    assert graph.get_collection("n", "1") == []
    assert graph.get_collection("f") == [0.5]
    with pytest.raises(Exception, match="unterminated character set"):
        graph.get_collection("k", "[")
    assert graph.get_all_collection_keys() == ["f", "k", "n"]
    with pytest.raises(TypeError):
        graph.get_collection(1)  # type: ignore[arg-type]


def test_collections_that_do_not_fit() -> None:
    """Bytes of a well-known key that are no such proto stay bytes; names of nothing are a fault."""
    kept = [b"", b"\xff\xff", b"\x0a\x03w:0", b"\x0a\x05cut"]
    items = {
        "variables": bytes_list(*kept),
        "mine": bytes_list(*kept),
        "lost": node_list("a", "gone:0"),
        "port": node_list("a:5"),
        "empty": b"",
        "trainable_variables": node_list("a:0"),
        "savers": int64_list(3),
    }
    graph = opened(node("a", "Const", dtype=of_type(FLOAT)), collections=items)
    first, second, third, fourth = graph.get_collection("variables")
    assert (second, fourth) == (kept[1], kept[3])
    assert (first.variable_name, third.variable_name) == ("", "w:0")
    assert graph.get_collection("mine") == kept
    assert graph.get_collection("empty") == []
    assert graph.get_collection("savers") == [3]
    assert [item.name for item in graph.get_collection("trainable_variables")] == ["a:0"]
    for key, what in (("lost", "gone:0"), ("port", "a:5")):
        with pytest.raises(tb.CorruptionError, match=f'names "{what}", which is not in the') as e:
            graph.get_collection(key)
        assert e.value.part == f"collection {key!r}"


def test_the_last_of_equal_keys_counts() -> None:
    one = meta_graph(graph_def([node("a")]), collections={"k": int64_list(1), "l": int64_list(9)})
    two = meta_graph(b"", collections={"k": int64_list(2, 3)})
    graph = tb.load_meta_graph(one + two).graph
    assert graph.get_collection("k") == [2, 3]
    assert graph.get_all_collection_keys() == ["k", "l"]


def test_a_graph_def_has_no_collections() -> None:
    graph = tb.load_meta_graph(graph_def([node("a"), node("b")])).graph
    assert graph.get_all_collection_keys() == []
    assert graph.get_collection("variables") == []
