"""Makes rust/graph/src/ops.txt: TensorFlow's own ops and what their outputs are.

Run `python tests/make_op_list.py` to make it again, on x86-64 Linux with a C compiler. It takes
the newest release from the TensorFlow of this environment, the others from PyPI: 4 GB of wheels,
read one after the other and kept in a temporary folder no longer than that.

No one place of a release has all ops. The registry in its library has the built-in ones, those with
no Python included; `contrib` and a few others are libraries of their own, whose ops are in their
generated Python. RELEASES are those without which an op would be missing, and some to tell first
and last versions by: no other minor release from 0.12 to 2.20 adds a name.
"""

from __future__ import annotations

import ast
import ctypes
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

OPS = Path(__file__).parent.parent / "rust/graph/src/ops.txt"

# Version, Python of the wheels, packages. Builds for CPUs, and some for GPUs too, for the ops of
# TensorRT: `tensorflow` of 1.15.0 and 2.15.0, which load without CUDA, and `tensorflow-gpu`, which
# do not, so that only their Python is read.
RELEASES: list[tuple[str, ...]] = [
    ("0.12.1", "3.5", "tensorflow"),
    ("1.0.0", "3.5", "tensorflow"),
    ("1.2.1", "3.6", "tensorflow"),
    ("1.3.0", "3.6", "tensorflow"),
    ("1.4.0", "3.6", "tensorflow"),
    ("1.6.0", "3.6", "tensorflow"),
    ("1.7.0", "3.6", "tensorflow", "tensorflow-gpu"),
    ("1.10.0", "3.6", "tensorflow", "tensorflow-gpu"),
    ("1.11.0", "3.6", "tensorflow", "tensorflow-gpu"),
    ("1.12.0", "3.6", "tensorflow", "tensorflow-gpu"),
    ("1.13.1", "3.7", "tensorflow"),
    ("1.15.0", "3.7", "tensorflow"),
    ("2.0.0", "3.7", "tensorflow"),
    ("2.3.0", "3.8", "tensorflow-cpu"),
    ("2.6.0", "3.9", "tensorflow-cpu"),
    ("2.9.0", "3.10", "tensorflow-cpu"),
    ("2.12.0", "3.11", "tensorflow-cpu"),
    ("2.13.0", "3.11", "tensorflow-cpu"),
    ("2.15.0", "3.11", "tensorflow"),
    ("2.18.0", "3.11", "tensorflow-cpu"),
]
PLATFORMS = ["manylinux1", "manylinux2010", "manylinux2014", "manylinux_2_17"]

HEADER = """\
# TensorFlow's own ops: names, the versions that have them, what their outputs are.
# Made by `python tests/make_op_list.py` from TensorFlow's wheels for x86-64 Linux. Do not edit.
# versions: {versions}
#
# A line per op, in the order of their names, of four fields with tabs between them: the name; the
# first and the last of these versions that has the op; its outputs, by the newest of these versions
# to give a definition.
#
#   outputs = "" | "?" | output {{ "," output }}      none | not known | these
#   output  = argument ":" type [ "&" ]             &: a reference
#   type    = [ "$" attr "*" ] one                  as many as the attr, an int, says
#           | "*$" attr                             one of each type in the attr, a list
#   one     = dtype | "$" attr                      the attr is a type
"""

Found = dict[str, Any]
"""Ops by name: an OpDef, or None where there is but the name."""


def export(library: str, stub: str, out: str) -> None:
    """Writes the registry of some TensorFlow's library, whatever Python that was built for.

    Needs a process of its own: two TensorFlows in one do not go well.
    """
    ctypes.CDLL(stub, mode=ctypes.RTLD_GLOBAL)
    lib = ctypes.CDLL(library, mode=os.RTLD_LAZY | os.RTLD_GLOBAL)

    def call(name: str, result: Any, *args: Any) -> Any:
        function = lib[name]
        function.restype = result
        return function(*args)

    class Buffer(ctypes.Structure):
        _fields_ = (
            ("data", ctypes.c_void_p),
            ("length", ctypes.c_size_t),
            ("deallocator", ctypes.c_void_p),
        )

    if hasattr(lib, "TF_GetAllOpList"):
        buffer = call("TF_GetAllOpList", ctypes.POINTER(Buffer)).contents
        data = ctypes.string_at(buffer.data, buffer.length)
    else:  # before 1.4 only C++ has it: OpRegistry::Global()->Export(true, &ops), into bytes
        ops = ctypes.create_string_buffer(1024)
        call("_ZN10tensorflow6OpListC1Ev", None, ops)
        registry = call("_ZN10tensorflow10OpRegistry6GlobalEv", ctypes.c_void_p)
        export_ops = "_ZNK10tensorflow10OpRegistry6ExportEbPNS_6OpListE"
        call(export_ops, None, ctypes.c_void_p(registry), True, ops)
        size = call("_ZNK10tensorflow6OpList12ByteSizeLongEv", ctypes.c_size_t, ops)
        serialized = ctypes.create_string_buffer(size)
        serialize = "_ZNK10tensorflow6OpList39InternalSerializeWithCachedSizesToArrayEbPh"
        call(serialize, ctypes.c_void_p, ops, False, serialized)
        data = serialized.raw
    Path(out).write_bytes(data)
    os._exit(0)  # not through destructors that were made for another Python


def parsed(serialized: bytes) -> Found:
    from tensorflow.core.framework.op_def_pb2 import OpList

    return {op.name: op for op in OpList.FromString(serialized).op}


def generated(sources: Iterable[str]) -> Found:
    """The ops of generated Python. Until 2.0 it has definitions: as text, as bytes from 1.4 on."""
    from google.protobuf import text_format
    from tensorflow.core.framework.op_def_pb2 import OpList

    found: Found = {}
    for source in sources:
        if "MACHINE GENERATED" not in source[:400]:
            continue
        for name in re.findall(r'apply_op(?:_helper)?\(\s*"([\w>]+)"', source):
            found.setdefault(name, None)
        if text := re.search(r'op_list_ascii = ("""(?s:.*?)""")', source):
            ops = text_format.Parse(ast.literal_eval(text[1]), OpList())
            found |= {op.name: op for op in ops.op}
        if serialized := re.search(r'_InitOpDefLibrary\((b".*")\)', source):
            found |= parsed(ast.literal_eval(serialized[1]))
    return found


def download(version: str, python: str, package: str, folder: Path) -> Path:
    abi = "cp" + python.replace(".", "") + ("m" if python in ("3.5", "3.6", "3.7") else "")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", "--implementation=cp"]
    command += [f"--platform={platform}_x86_64" for platform in PLATFORMS]
    command += [f"--python-version={python}", f"--abi={abi}", f"{package}=={version}"]
    subprocess.run([*command, "--dest", str(folder)], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def of_wheel(path: Path, folder: Path, stub: Path | None) -> Found:
    """The ops of a release, by its wheel; without a stub, by the Python in it alone."""
    libraries = re.compile(r"(.*/)?(lib[^/]+\.so[^/]*|python/_pywrap_tensorflow(_internal)?\.so)")
    entry = re.compile(r"[^/]*(/purelib/tensorflow)?/python/_pywrap_tensorflow(_internal)?\.so")
    with ZipFile(path) as wheel:
        names = wheel.namelist()
        found = generated(
            wheel.read(name).decode(errors="replace") for name in names if name.endswith(".py")
        )
        if not stub:
            return found
        wheel.extractall(folder, [name for name in names if libraries.fullmatch(name)])
    (library,) = (folder / name for name in names if entry.fullmatch(name))
    out = folder / "registry"
    export_it = [sys.executable, __file__, "--export", str(library), str(stub), str(out)]
    subprocess.run(export_it, check=True)
    return found | parsed(out.read_bytes())


def registry() -> Found:
    """The registry of the TensorFlow of this environment."""
    from tensorflow.python.client import pywrap_tf_session as session

    return parsed(session.TF_GetBuffer(session.TF_GetAllOpList()))


def of_environment() -> tuple[str, Found]:
    import tensorflow as tf

    files = Path(tf.__file__).parent.rglob("*.py")
    return tf.__version__, generated(
        file.read_text(errors="replace") for file in files
    ) | registry()


def of_releases() -> Iterator[tuple[str, Found]]:
    """Every release, oldest first."""
    with tempfile.TemporaryDirectory() as scratch:
        # Needed by the libraries until 2.3, gone from Python since 3.9.
        stub = Path(scratch, "stub.so")
        compiler = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(stub)]
        subprocess.run(compiler, check=True, input=b"int _Py_CheckRecursionLimit = 1000;")
        for version, python, *packages in RELEASES:
            found: Found = {}
            for package in packages:
                needs_cuda = package == "tensorflow-gpu"
                with tempfile.TemporaryDirectory(dir=scratch) as folder:
                    wheel = download(version, python, package, Path(folder))
                    ops = of_wheel(wheel, Path(folder), None if needs_cuda else stub)
                found = ops | found
            yield version, found
    yield of_environment()


def outputs(op: Any) -> str:
    """The outputs of an OpDef; the head of ops.txt has the grammar."""
    from tensorflow.dtypes import as_dtype

    def one(arg: Any) -> str:
        if arg.type_list_attr:
            kind = f"*${arg.type_list_attr}"
        else:
            kind = f"${arg.type_attr}" if arg.type_attr else as_dtype(arg.type).name
        number = f"${arg.number_attr}*" if arg.number_attr else ""
        return f"{arg.name}:{number}{kind}{'&' if arg.is_ref else ''}"

    return ",".join(one(arg) for arg in op.output_arg)


def main() -> None:
    versions: list[str] = []
    first: dict[str, str] = {}
    last: dict[str, str] = {}
    known: dict[str, str] = {}
    for version, found in of_releases():
        versions.append(version)
        last |= dict.fromkeys(found, version)
        first = dict.fromkeys(found, version) | first
        known |= {name: outputs(op) for name, op in found.items() if op is not None}
        print(f"{version}: {len(found)} ops, {len(last)} so far", file=sys.stderr)
    with OPS.open("w", encoding="ascii", newline="\n") as file:
        file.write(HEADER.format(versions=" ".join(versions)))
        for name in sorted(last):
            print(name, first[name], last[name], known.get(name, "?"), sep="\t", file=file)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--export"]:
        export(*sys.argv[2:])
    else:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        main()
