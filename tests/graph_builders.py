"""Graphs of many kinds, built with TensorFlow 1's API: what the tests of names are run over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Builder = Callable[[Any, Any], None]
BUILDERS: dict[str, Builder] = {}


def builder(build: Builder) -> Builder:
    BUILDERS[build.__name__] = build
    return build


@contextmanager
def control_flow_v1(v1: Any) -> Iterator[None]:
    """With Switch, Merge, Enter, Exit and NextIteration nodes."""
    was = v1.control_flow_v2_enabled()
    v1.disable_control_flow_v2()
    try:
        yield
    finally:
        if was:
            v1.enable_control_flow_v2()


@builder
def loops(tf: Any, v1: Any) -> None:
    with control_flow_v1(v1):
        x = v1.placeholder(tf.float32, [2, None], "x")
        w = v1.get_variable("w", [3], use_resource=False)

        def inner(i: Any, y: Any) -> tuple[Any, Any]:
            return i + 1, tf.sin(y) * tf.reduce_sum(w)

        def outer(i: Any, y: Any) -> tuple[Any, Any]:
            _, y = v1.while_loop(lambda j, _: j < i, inner, [0, y], name="inner")
            return i + 1, v1.cond(i > 2, lambda: y * 2, lambda: tf.cos(y))

        _, y = v1.while_loop(lambda i, _: i < 4, outer, [0, x], name="outer")
        v1.gradients(y, [x, w])


@builder
def conditions(tf: Any, v1: Any) -> None:
    with control_flow_v1(v1):
        p = v1.placeholder(tf.bool, [], "p")
        v = v1.get_variable("v", [2], use_resource=False)
        r = v1.get_variable("r", [2], use_resource=True)
        a = v1.cond(p, lambda: v.assign_add([1.0, 2.0]), lambda: v + 1, name="a")
        b = v1.cond(p, lambda: (r + 1, a), lambda: (r.read_value(), a * 2), name="b")
        v1.case([(p, lambda: b[0])], default=lambda: b[1])
        with tf.control_dependencies([v1.assert_positive(v), tf.no_op("gate")]):
            tf.identity(b[0], "result")


@builder
def functional_control_flow(tf: Any, v1: Any) -> None:
    p = v1.placeholder(tf.bool, [], "p")
    x = v1.placeholder(tf.float32, None, "x")
    y = tf.cond(p, lambda: x + 1, lambda: x * x)
    z = tf.while_loop(lambda i, _: i < 3, lambda i, v: (i + 1, v * 2), [0, y])
    tf.switch_case(z[0], [lambda: x, lambda: y, lambda: z[1]])
    v1.gradients(z[1], x)


@builder
def many_outputs(tf: Any, v1: Any) -> None:
    x = v1.placeholder(tf.float32, [4, 6], "x")
    parts = tf.split(x, 3, axis=1, name="split")
    rows = tf.unstack(x, name="rows")
    tf.add_n(parts, "sum")
    tf.stack([rows[3], rows[0], rows[0]], name="again")
    y, _, counts = tf.unique_with_counts(tf.reshape(x, [-1]), name="unique")
    tf.identity_n([y, counts, x], "several")
    tf.raw_ops.Switch(data=x, pred=True, name="switch")
    tf.nn.moments(x, [0])
    v1.nn.fused_batch_norm(x[None, :, :, None], [1.0], [0.0], is_training=True)
    tf.meshgrid([1.0, 2.0], [3.0, 4.0, 5.0])
    tf.linalg.svd(x, name="svd")
    tf.raw_ops.Unpack(value=x[:, :0], num=0, axis=1, name="none")


@builder
def datasets(tf: Any, v1: Any) -> None:
    data = tf.data.Dataset.from_tensor_slices({"a": [1, 2, 3], "b": ["x", "y", "z"]})
    data = data.map(lambda row: (row["a"] * 2, row["b"])).batch(2).repeat()
    iterator = v1.data.make_initializable_iterator(data)
    number, _ = iterator.get_next("next")
    tf.identity(number, "number")
    v1.data.make_one_shot_iterator(data).get_next()


@builder
def training(tf: Any, v1: Any) -> None:
    x = v1.placeholder(tf.float32, [None, 5], "x")
    with v1.variable_scope("dense"):
        w = v1.get_variable("w", [5, 3], use_resource=False)
        b = v1.get_variable("b", [3], use_resource=True, trainable=False)
    step = v1.train.get_or_create_global_step()
    loss = tf.reduce_mean(tf.nn.relu(tf.matmul(x, w, name="mul") + b), name="loss")
    v1.losses.add_loss(loss)
    train = v1.train.AdamOptimizer(0.1).minimize(loss, step, name="train")
    ema = v1.train.ExponentialMovingAverage(0.9, step)
    with tf.control_dependencies([train]):
        ema.apply([w, b])
    v1.summary.scalar("loss", loss)
    v1.summary.histogram("weights", w)
    v1.summary.merge_all()
    v1.add_to_collection("numbers", 1)
    v1.add_to_collection("numbers", -7)
    v1.add_to_collection("fractions", 0.1)
    v1.add_to_collection("ops", train.op if hasattr(train, "op") else train)
    v1.add_to_collection("ops", loss)
    v1.add_to_collection("texts", b"raw\xff")
    v1.global_variables_initializer()
    v1.train.Saver({"renamed": w, "b": b})
    v1.train.Saver(sharded=True, save_relative_paths=True)
    v1.add_to_collection("savers", v1.train.Saver())


@builder
def partitions(tf: Any, v1: Any) -> None:
    cut = v1.fixed_size_partitioner(3)
    with v1.variable_scope("s", partitioner=cut):
        ref = v1.get_variable("ref", [7, 2], use_resource=False)
        resource = v1.get_variable("resource", [6], use_resource=True)
    v1.nn.embedding_lookup(ref, v1.placeholder(tf.int64, [None], "ids"))
    tf.identity(resource, "whole")
    v1.train.Saver()


@builder
def queues(tf: Any, v1: Any) -> None:
    names = v1.train.string_input_producer(["a", "b"], num_epochs=1)
    key, value = v1.WholeFileReader().read(names)
    v1.train.shuffle_batch([key, value], 2, 10, 2, shapes=[[], []])
    v1.train.batch([tf.constant(1.0), tf.constant([1, 2])], 3, dynamic_pad=True)
    queue = v1.PaddingFIFOQueue(5, [tf.float32, tf.int32], [[None], []])
    queue.dequeue_many(2)
    v1.sparse_placeholder(tf.string, [None, 3], "sparse")
    v1.placeholder_with_default([[1.0]], [None, 1], "default")


@builder
def functions(tf: Any, v1: Any) -> None:
    from tensorflow.python.framework.function import Defun

    @tf.function
    def helper(a: Any, b: Any) -> tuple[Any, Any, Any]:
        parts = tf.split(a, 2)
        return parts[1], parts[0] + b, tf.concat(parts, 0)

    @tf.function
    def outer(a: Any) -> Any:
        low, _, both = helper(a, 1.0)
        return tf.map_fn(lambda row: row * 2, both), low

    @Defun(tf.float32, tf.int32, func_name="Legacy")
    def legacy(a: Any, n: Any) -> tuple[Any, Any]:
        return a * tf.cast(n, tf.float32), tf.range(n)

    @Defun(tf.float32, tf.float32, func_name="Gradient")
    def gradient(a: Any, dy: Any) -> Any:
        return dy * a

    @Defun(tf.float32, func_name="Forward", grad_func=gradient)
    def forward(a: Any) -> Any:
        return a * 2

    x = v1.placeholder(tf.float32, [4], "x")
    v1.gradients(forward(x), x)
    outer(x)
    tf.add(*helper(x, x[:2])[:2])
    legacy(x, 3)
    tf.raw_ops.SymbolicGradient(input=[x, 3, x, [1]], Tout=[tf.float32, tf.int32], f=legacy)


@builder
def tables(tf: Any, v1: Any) -> None:
    init = tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([1, 2], tf.int64))
    table = tf.lookup.StaticVocabularyTable(init, 3)
    table.lookup(v1.placeholder(tf.string, None, "words"))
    v1.tables_initializer()
    tf.io.parse_example(
        v1.placeholder(tf.string, [None], "examples"),
        {"f": tf.io.FixedLenFeature([2], tf.float32), "v": tf.io.VarLenFeature(tf.int64)},
    )


@builder
def places_and_names(tf: Any, v1: Any) -> None:
    with tf.device("/job:ps/task:1/cpu:0"):
        a = tf.constant([[1, 2]], tf.uint8, name="odd.Name-1/x>y")
    with tf.device("/gpu:3"), v1.colocate_with(a):
        tf.bitcast(a, tf.int8, name="b")
    with v1.name_scope("scope/"), v1.name_scope("deep"):
        tf.identity(a, "b")
    for dtype in (tf.bfloat16, tf.complex64, tf.half, tf.qint8, tf.bool, tf.string):
        v1.placeholder(dtype, [None, 2], dtype.name)
    tf.constant(float("nan"), name="nan")
    tf.constant([b"a", b"\xff\0"], name="texts")
    tf.zeros([0, 3], name="empty")
    tf.debugging.Assert(True, [a], name="check")


@builder
def odd_ops(tf: Any, v1: Any) -> None:
    """Ops whose attributes look like shapes of their outputs and are not, among others."""
    from tensorflow.python.ops.data_flow_ops import RecordInput

    v1.ConditionalAccumulator(tf.float32, [3, 4]).take_grad(1)
    v1.SparseConditionalAccumulator(tf.float32, [5, None])
    double = tf.function(lambda row: row * 2)
    body = double.get_concrete_function(tf.TensorSpec([2], tf.float32))
    body.add_to_graph(v1.get_default_graph())
    rows = tf.zeros([6, 2])
    tf.raw_ops.MapDefun(
        arguments=[rows], captured_inputs=[], output_types=[tf.float32], output_shapes=[[2]], f=body
    )
    x = v1.placeholder(tf.float32, [2, None], "x")
    tf.raw_ops.AccumulateNV2(inputs=[x, x], shape=[2, 3])
    tf.raw_ops.ParallelConcat(values=[rows[:1], rows[1:2]], shape=[2, 2])
    tf.raw_ops.TemporaryVariable(shape=[7], dtype=tf.float32)
    tf.raw_ops.ImmutableConst(dtype=tf.float32, shape=[8], memory_region_name="m")
    tf.raw_ops.Barrier(component_types=[tf.float32], shapes=[[2]])
    tf.raw_ops.Unstage(dtypes=[tf.float32, tf.int32])
    tf.raw_ops.OrderedMapUnstage(key=1, indices=[0], dtypes=[tf.string], capacity=1)
    RecordInput("files*").get_yield_op()
    array = v1.TensorArray(tf.float32, 3, element_shape=[2]).write(0, [1.0, 2.0])
    array.stack()
    items = tf.raw_ops.EmptyTensorList(
        element_shape=[2], max_num_elements=3, element_dtype=tf.float32
    )
    tf.raw_ops.TensorListStack(input_handle=items, element_shape=[2], element_dtype=tf.float32)
    ragged = tf.RaggedTensor.from_row_lengths([1, 2, 3], [2, 1])
    tf.raw_ops.RaggedTensorToVariant(
        rt_nested_splits=ragged.nested_row_splits, rt_dense_values=ragged.values, batched_input=True
    )
    tf.raw_ops.CollectiveBcastRecv(
        T=tf.float32, group_size=2, group_key=1, instance_key=1, shape=[2, 2]
    )
    tf.io.decode_csv(["1,a"], [[0], [""]])
    tf.strings.split(["a b"]).to_tensor()
    tf.image.resize(tf.zeros([1, 4, 4, 3]), [2, 2])
    tf.raw_ops.PyFunc(input=[x], token="t", Tout=[tf.float32, tf.int64])
    tf.nn.ctc_greedy_decoder(tf.zeros([3, 1, 4]), [3])
    tf.raw_ops.StatelessRandomUniform(shape=[2], seed=[1, 2])
