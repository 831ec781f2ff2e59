"""The stub of the native module says all there is and nothing else; public names are documented."""

from __future__ import annotations

import ast
import inspect
import types
from pathlib import Path
from typing import Any, get_args, get_origin

import numpy as np
import pytest

import tensorbundle
from tensorbundle import _native

PACKAGE = Path(tensorbundle.__file__).parent
STUB = ast.parse((PACKAGE / "_native.pyi").read_text(encoding="utf-8"))
CLASSES = {node.name: node for node in STUB.body if isinstance(node, ast.ClassDef)}
# The interpreter shows the first two of a native class from Python 3.12 on, and never the third.
HIDDEN = {"__buffer__", "__release_buffer__", "__getattr__"}


def declared(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    names: dict[str, ast.stmt] = {}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names[node.name] = node
        elif isinstance(node, ast.AnnAssign):
            names[ast.unparse(node.target)] = node
    return names


def members(name: str) -> dict[str, ast.FunctionDef]:
    found = declared(CLASSES[name].body)
    functions = {key: node for key, node in found.items() if isinstance(node, ast.FunctionDef)}
    assert functions.keys() == found.keys()
    return functions


def decorators(node: ast.FunctionDef | ast.ClassDef) -> list[str]:
    return [ast.unparse(decorator) for decorator in node.decorator_list]


def special(name: str) -> bool:
    """One that the interpreter calls, and makes a slot of; Arrow's are methods like others."""
    if name.startswith("__arrow_c_"):
        return False
    return name.startswith("__") and name.endswith("__")


def public(name: str) -> bool:
    return name.startswith("__") or not name.startswith("_")


MEMBERS = [(name, key) for name in CLASSES for key in members(name) if key not in HIDDEN]


def test_the_module() -> None:
    names = declared(STUB.body).keys()
    assert names == set(_native.__all__)
    assert {name for name in vars(_native) if not name.startswith("_")} <= names
    assert {type(_native.__version__), type(_native.__debug_build__)} == {str, bool}


@pytest.mark.parametrize("name", CLASSES)
def test_a_class(name: str) -> None:
    cls = getattr(_native, name)
    native = {key for key in vars(cls) if public(key) and not hasattr(object, key)}
    assert members(name).keys() - HIDDEN == native - {"__module__"} - HIDDEN
    assert decorators(CLASSES[name]) == ["final"]
    with pytest.raises(TypeError, match="not an acceptable base type"):
        type("Derived", (cls,), {})


def test_buffers(data_dir: Path) -> None:
    exporters = [name for name in CLASSES if "__buffer__" in members(name)]
    assert exporters == ["TensorBuffer"]
    with tensorbundle.open(data_dir / "mnist_mlp") as ckpt:
        elements, *_ = ckpt._open.read("global_step", None, False, None)
    assert type(elements) is _native.TensorBuffer
    assert memoryview(elements).readonly


@pytest.mark.parametrize(("cls", "member"), MEMBERS)
def test_a_member_is_of_its_kind(cls: str, member: str) -> None:
    node = members(cls)[member]
    native = vars(getattr(_native, cls))[member]
    kinds = {
        "property": types.GetSetDescriptorType,
        "staticmethod": staticmethod,
        "": types.WrapperDescriptorType if special(member) else types.MethodDescriptorType,
    }
    assert type(native) is kinds["".join(decorators(node))]
    if type(native) is not types.GetSetDescriptorType:
        assert shape_of(getattr(getattr(_native, cls), member)) == arguments_of(node)


def arguments_of(node: ast.FunctionDef) -> list[tuple[str, bool, object]]:
    """Name, whether it goes by keyword only, and default of each argument of a stub."""
    assert node.args.vararg is None
    plain = [*node.args.posonlyargs, *node.args.args]
    defaults = [None] * (len(plain) - len(node.args.defaults)) + node.args.defaults
    found = [(argument, False, default) for argument, default in zip(plain, defaults, strict=True)]
    keyword = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    found += [(argument, True, default) for argument, default in keyword]
    empty = inspect.Parameter.empty
    return [
        (argument.arg, only, empty if default is None else ast.literal_eval(default))
        for argument, only, default in found
    ]


def shape_of(function: Any) -> list[tuple[str, bool, object]]:
    """The same of a native function. What a special method calls its one argument is its own."""
    parameters = inspect.signature(function).parameters.values()
    renamed = {"__contains__": {"key": "element"}}.get(function.__name__, {})
    only = inspect.Parameter.KEYWORD_ONLY
    return [(renamed.get(one.name, one.name), one.kind is only, one.default) for one in parameters]


FUNCTIONS = {node.name: node for node in STUB.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function(name: str) -> None:
    assert shape_of(getattr(_native, name)) == arguments_of(FUNCTIONS[name])
    assert ast.get_docstring(FUNCTIONS[name])


# Annotations, held against values.


def fits(value: object, annotation: Any) -> bool:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is types.UnionType:
        return any(fits(value, option) for option in inner)
    if annotation is None or annotation is Any:
        return annotation is Any or value is None
    if origin is np.dtype:
        return isinstance(value, np.dtype)
    if type(value) is not (origin or annotation):
        return False
    if origin is tuple and inner[-1:] != (...,):
        return len(value) == len(inner) and all(map(fits, value, inner))
    if origin is dict:
        key, item = inner
        return all(fits(k, key) and fits(v, item) for k, v in value.items())
    return origin is None or all(fits(item, inner[0]) for item in value)


def returns(cls: str, member: str) -> Any:
    annotation = members(cls)[member].returns
    assert annotation is not None
    names = {name: getattr(tensorbundle, name) for name in ("DType", "GraphColumns")}
    names = {"np": np, "Any": Any, **names, **vars(_native)}
    for alias in STUB.body:
        if isinstance(alias, ast.Assign):
            names[ast.unparse(alias.targets[0])] = eval(ast.unparse(alias.value), names)
    return eval(ast.unparse(annotation), names)


@pytest.fixture(params=["partitioned", "every_dtype"])
def reader(request: pytest.FixtureRequest, data_dir: Path) -> Any:
    return tensorbundle.open(data_dir / request.param)._open


def test_values_fit_what_is_declared(reader: Any) -> None:
    infos = reader.infos()
    slices = [piece for info in infos for piece in info.slices]
    for cls, owners in {"Reader": [reader], "TensorInfo": infos, "SliceInfo": slices}.items():
        for member, node in members(cls).items():
            if decorators(node) == ["property"]:
                values = [getattr(owner, member) for owner in owners]
                wanted = returns(cls, member)
                assert [value for value in values if not fits(value, wanted)] == [], member


@pytest.mark.parametrize("name", ["mnist_mlp/model.ckpt-1000.meta", "saved_model/saved_model.pb"])
def test_values_of_a_graph_fit_what_is_declared(name: str, data_dir: Path) -> None:
    graph = tensorbundle.load_meta_graph(data_dir / name)
    functions = list(graph.graph.functions.values())
    bodies = [graph.graph, *(function.graph for function in functions)]
    operations = [op for body in bodies for op in body.get_operations()]
    tensors = [tensor for op in operations for tensor in op.outputs]
    scopes = [graph.graph.scopes(), *graph.graph.scopes().children]
    with tensorbundle.open(data_dir / name.split("/")[0]) as ckpt:
        rows = [variable._row for variable in ckpt.variables]
    assert all((operations, tensors, scopes, rows))
    owners = {
        "Function": functions,
        "Graph": bodies,
        "MetaGraphReader": [graph._reader],
        "Operation": operations,
        "Scope": scopes,
        "Tensor": tensors,
        "VariableRow": rows,
    }
    for cls, values in owners.items():
        for member, node in members(cls).items():
            only_self = len(node.args.args) + len(node.args.posonlyargs) == 1
            if decorators(node) == ["property"]:
                results = [getattr(value, member) for value in values]
            elif only_self and not special(member):
                results = [getattr(value, member)() for value in values]
            else:
                continue
            wanted = returns(cls, member)
            assert [result for result in results if not fits(result, wanted)] == [], member


def test_results_fit_what_is_declared(reader: Any) -> None:
    for name in reader.names():
        arguments: dict[str, tuple[object, ...]] = {
            "open": (reader.prefix, True, False, False),
            "salvage": (reader.prefix, True, True, False, None),
            "verify": (None,),
            "shard_path": (0,),
            "read_ahead": (0, 0, 0),
            "contains": (name,),
            "has_key": (name,),
            "require_key": (name,),
            "info": (name,),
            "read": (name, None, False, None),
            "read_part": (name, [], None, None),
            "check": (name,),
            "to_arrow": (None, True),
        }
        for member, node in members("Reader").items():
            if decorators(node) != ["property"]:
                result = getattr(reader, member)(*arguments.get(member, ()))
                assert fits(result, returns("Reader", member)), member


@pytest.mark.parametrize(
    ("value", "annotation", "fitting"),
    [
        (1, int, True),
        (True, int, False),
        (None, int | None, True),
        ("1", int | None, False),
        ((), tuple[int, ...], True),
        ((1, 2), tuple[int, ...], True),
        ((1, "2"), tuple[int, ...], False),
        ([1], tuple[int, ...], False),
        ((1, "2"), tuple[int, str], True),
        ((1,), tuple[int, str], False),
        ({"a": (1,)}, dict[str, tuple[int, ...]], True),
        ({"a": 1}, dict[str, tuple[int, ...]], False),
        ([b"a"], list[bytes] | str, True),
        (["a"], list[bytes] | str, False),
        (np.dtype("i4"), np.dtype[Any], True),
        (int, np.dtype[Any], False),
    ],
)
def test_fits(value: object, annotation: Any, fitting: bool) -> None:
    assert fits(value, annotation) == fitting


# Documentation.


def test_every_public_name_is_documented() -> None:
    documented = [getattr(tensorbundle, n) for n in tensorbundle.__all__ if n != "__version__"]
    assert [value for value in documented if not value.__doc__] == []


def test_every_public_member_is_documented() -> None:
    bare = [
        f"{name}.{key}"
        for name in tensorbundle.__all__
        if inspect.isclass(value := getattr(tensorbundle, name)) and value.__name__ not in CLASSES
        for key, member in vars(value).items()
        if not key.startswith("_") and (callable(member) or isinstance(member, property))
        if not member.__doc__
    ]
    assert bare == []


@pytest.mark.parametrize("name", sorted(CLASSES.keys() & set(tensorbundle.__all__)))
def test_the_stub_documents_what_is_public(name: str) -> None:
    assert ast.get_docstring(CLASSES[name])
    bare = [key for key, node in members(name).items() if not ast.get_docstring(node)]
    assert bare == []
