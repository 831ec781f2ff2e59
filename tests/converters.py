"""Scripts in the style of the converters that people run on old checkpoints.

Each is the text of a program whose only line to change is `IMPORT`.
They are written for these tests, after the shape of the converters of BERT, GPT-2 and ELECTRA.
"""

from __future__ import annotations

BERT = """
IMPORT
import re
import sys

import numpy as np


def convert(folder):
    path = tf.train.latest_checkpoint(folder)
    skip = {"adam_v", "adam_m", "AdamWeightDecayOptimizer", "global_step"}
    state = {}
    for name, shape in tf.train.list_variables(path):
        print(f"Loading TF weight {name} with shape {shape}")
        parts = name.split("/")
        if any(part in skip for part in parts):
            continue
        array = tf.train.load_variable(path, name)
        assert list(array.shape) == shape
        target = []
        for part in parts:
            found = re.fullmatch(r"([A-Za-z]+)_(\\d+)", part)
            target.append(found[1] + "." + found[2] if found else part)
        if target[-1] in ("kernel", "gamma"):
            target[-1] = "weight"
        elif target[-1] in ("output_bias", "beta"):
            target[-1] = "bias"
        if parts[-1] == "kernel":
            array = np.transpose(array)
        array *= 1  # converters write to what they were given
        state[".".join(target)] = array
    return state


np.savez(sys.argv[2], **convert(sys.argv[1]))
"""

GPT2 = """
IMPORT
import os
import sys

import numpy as np

path = os.path.abspath(sys.argv[1])
names, arrays = [], []
for name, shape in tf.train.list_variables(path):
    array = tf.train.load_variable(path, name)
    names.append(name)
    arrays.append(array.squeeze())
state = {}
for name, array in zip(names, arrays):
    name = name[6:].split("/")
    scope = []
    for part in name:
        scope += ["h", part[1:]] if part[0] == "h" and part[1:].isdigit() else [part]
    key = ".".join(scope).replace(".w", ".weight").replace(".b", ".bias").replace(".g", ".weight")
    state[key] = np.asarray(array, dtype=np.float32)
np.savez(sys.argv[2], **state)
"""

READER = """
IMPORT
import sys

import numpy as np

try:
    tf.train.load_checkpoint(sys.argv[1] + "/no/such/place")
    raise SystemExit("that is not there")
except Exception as error:
    print("as expected:", type(error).__name__)
reader = tf.train.load_checkpoint(sys.argv[1])
shapes = reader.get_variable_to_shape_map()
dtypes = reader.get_variable_to_dtype_map()
state = {}
for name in sorted(shapes):
    if not reader.has_tensor(name) or dtypes[name].name == "string":
        continue
    value = reader.get_tensor(name)
    value = value.astype(dtypes[name].as_numpy_dtype)
    state[name + "|" + dtypes[name].name] = np.reshape(value, shapes[name])
np.savez(sys.argv[2], **state)
"""
