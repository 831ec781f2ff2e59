"""SavedModels as TensorFlow writes them, of its first version and of its second."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np


def of_the_old_builder(tf: Any, folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Three graphs with tags, an asset, a main op and one that trains; the variables' values."""
    v1 = tf.compat.v1
    words = folder.parent / "words.txt"
    words.write_text("one\ntwo\n")
    with tf.Graph().as_default(), v1.Session() as session, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = v1.placeholder(tf.float32, [None, 2], name="x")
        sparse = v1.sparse_placeholder(tf.float32, [None, 2], name="sp")
        w = v1.get_variable("w", [2, 3], use_resource=False)
        r = v1.get_variable("r", [3], use_resource=True, trainable=False)
        y = tf.add(tf.matmul(x, w) + v1.sparse_tensor_dense_matmul(sparse, w), r, name="y")
        path = tf.constant(str(words), name="words")
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, path)
        session.run(v1.global_variables_initializer())
        main = tf.no_op(name="main")
        v1.add_to_collection("saved_model_train_op", tf.no_op(name="train_step"))
        info = v1.saved_model.build_tensor_info
        signs = {
            "serving_default": v1.saved_model.build_signature_def(
                {"x": info(x), "sp": info(sparse)}, {"y": info(y)}, "tensorflow/serving/predict"
            ),
            "other": v1.saved_model.build_signature_def({"words": info(path)}, {}, ""),
        }
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            signs,
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            main_op=main,
        )
        builder.add_meta_graph(["train"])
        builder.add_meta_graph(["tpu", "serve"], {"other": signs["other"]})
        builder.save()
        return {name: np.asarray(value) for name, value in session.run({"w": w, "r": r}).items()}


def of_a_module(tf: Any, folder: Path) -> Any:
    """Several signatures and functions, a table with an asset, ragged and sparse arguments."""
    words = folder.parent / "vocab.txt"
    words.write_text("a\nb\n")
    file = tf.lookup.TextFileInitializer(
        str(words),
        tf.string,
        tf.lookup.TextFileIndex.WHOLE_LINE,
        tf.int64,
        tf.lookup.TextFileIndex.LINE_NUMBER,
    )

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = tf.Variable([1.0, 2.0], name="weight")
            self.fixed = tf.Variable([b"x", b"\xff"], trainable=False)
            self.table = tf.lookup.StaticHashTable(file, -1)
            self.odd = {"a/b": tf.Variable(3, name="c")}

        @tf.function
        def scale(self, x: Any, flag: bool = True, options: Any = None) -> Any:
            assert options is None or len(options) == 2
            found = self.table.lookup(tf.constant(["a"]))
            return {"y": x * self.weight if flag else x, "k": found}

        @tf.function
        def both(self, ragged: Any, sparse: Any) -> Any:
            return ragged, tf.sparse.to_dense(sparse)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def __call__(self, text: Any) -> Any:
            return tf.strings.length(text)

    model = Model()
    model.scale(tf.ones([2]), options={"a": 1.5, "b": [1, "z", None]})
    model.scale(tf.ones([3, 2]), flag=False)
    concrete = {
        "serving_default": model.__call__,
        "both": model.both.get_concrete_function(
            tf.RaggedTensorSpec([None, None], tf.float32), tf.SparseTensorSpec([None, 3], tf.int64)
        ),
        "scale": model.scale.get_concrete_function(tf.TensorSpec([None, 2], tf.float32)),
    }
    tf.saved_model.save(model, str(folder), signatures=concrete)
    return model


def of_nothing(tf: Any, folder: Path) -> None:
    """A function without a variable."""

    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
        def twice(self, x: Any) -> Any:
            return x * 2

    tf.saved_model.save(Model(), str(folder))


def exported_by_keras(tf: Any, folder: Path) -> Any:
    import keras

    assert tf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layers = [keras.layers.Dense(4), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input([3]), *layers])
        model.export(str(folder), verbose=False)
    return model
