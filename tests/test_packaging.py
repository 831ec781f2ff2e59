"""What is shipped: the sdist and wheels build without protoc, hold what they should, and work."""

from __future__ import annotations

import email
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import tensorbundle

ROOT = Path(__file__).parents[1]
NATIVE = (".so", ".pyd", ".dylib", ".dll")
# A cold build compiles every dependency, and the time of fixtures counts.
pytestmark = pytest.mark.timeout(900)

USE_IT = """
import importlib.metadata, pathlib, sys
import tensorbundle as tb

folder, checkpoint = pathlib.Path(sys.argv[1]), sys.argv[2]
for module in (tb, tb._native):
    assert pathlib.Path(module.__file__).parent.parent == folder, module.__file__
distribution = importlib.metadata.distribution("tensorbundle")
assert pathlib.Path(distribution.locate_file("")) == folder
(script,) = distribution.entry_points.select(group="console_scripts", name="tensorbundle")
assert callable(script.load())
step = tb.open(checkpoint)["global_step"]
print(tb.__version__, distribution.version, step.dtype, step, tb._native.__debug_build__)
"""


def run(*arguments: object, **options: object) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def version() -> str:
    return tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]


def needed_crates() -> set[str]:
    """The folders of the native module's crate and of those it is made of."""
    found, ahead = set(), ["python"]
    while ahead:
        crate = ahead.pop()
        found.add(crate)
        manifest = tomllib.loads((ROOT / "rust" / crate / "Cargo.toml").read_text())
        names = {name.removeprefix("tensorbundle-") for name in manifest["dependencies"]}
        ahead += [name for name in names - found if (ROOT / "rust" / name).is_dir()]
    return found


def pins(lock: Path) -> set[tuple[str, str]]:
    packages = tomllib.loads(lock.read_text())["package"]
    return {(package["name"], package["version"]) for package in packages}


def unpack(sdist: dict[str, bytes], folder: Path) -> None:
    """Writes only what differs: cargo goes by times, and those in an sdist never change."""
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder).as_posix() not in sdist:
            path.unlink()
    for name, content in sdist.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


@pytest.fixture(scope="module")
def without_protoc(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment where calling protoc fails, whether the machine has it or not."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "protoc").write_text("#!/bin/sh\nexit 1\n")
    (folder / "protoc").chmod(0o755)
    path = [str(folder), str(Path(sys.executable).parent), os.environ["PATH"]]
    left_out = {"PROTOC", "PROTOC_INCLUDE", "MATURIN_PEP517_ARGS", "PYTHONPATH"}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return {**kept, "PATH": os.pathsep.join(path), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


@pytest.fixture(scope="module")
def sdist(
    tmp_path_factory: pytest.TempPathFactory, without_protoc: dict[str, str]
) -> dict[str, bytes]:
    """The sdist's files."""
    folder = tmp_path_factory.mktemp("sdist")
    run("-m", "maturin", "sdist", "--out", folder, cwd=ROOT, env=without_protoc)
    (archive,) = folder.iterdir()
    top = f"tensorbundle-{version()}"
    assert archive.name == f"{top}.tar.gz"
    files = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is not None:
                files[Path(member.name).relative_to(top).as_posix()] = content.read()
    return files


@pytest.fixture(scope="module", params=["checkout", "sdist"])
def wheel(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    without_protoc: dict[str, str],
) -> Path:
    source, env = ROOT, without_protoc
    if request.param == "sdist":
        target = ROOT / "target" / "packaging"
        source, env = target / "sdist", {**env, "CARGO_TARGET_DIR": str(target)}
        unpack(request.getfixturevalue("sdist"), source)
    out = tmp_path_factory.mktemp("wheel")
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", out)
    run("-m", "pip", "wheel", *options, source, cwd=out, env=env)
    assert pins(source / "Cargo.lock") <= pins(ROOT / "Cargo.lock")
    (built,) = out.iterdir()
    return built


def test_the_sdist_holds_all_that_is_needed(sdist: dict[str, bytes]) -> None:
    crates = needed_crates()
    assert {"python", "wire"} <= crates
    wanted = {"LICENSE", "README.md", "Cargo.lock", "Cargo.toml", "pyproject.toml"}
    folders = [ROOT / "python", *(ROOT / "rust" / crate / "src" for crate in crates)]
    for pattern in ("*.py", "*.pyi", "py.typed", "*.rs"):
        paths = [path for folder in folders for path in folder.rglob(pattern)]
        wanted |= {path.relative_to(ROOT).as_posix() for path in paths}
    assert {"rust/wire/src/proto/tensorflow.rs", "python/tensorbundle/py.typed"} <= wanted
    assert wanted - sdist.keys() == set()
    assert sdist["LICENSE"] == (ROOT / "LICENSE").read_bytes()


def test_the_sdist_holds_nothing_else(sdist: dict[str, bytes]) -> None:
    folders = {name.partition("/")[0] for name in sdist if "/" in name}
    assert folders == {"python", "rust"}
    assert [name for name in sdist if name.endswith((*NATIVE, ".pyc", ".index"))] == []
    assert sum(map(len, sdist.values())) < 3 << 20


def test_the_native_module_needs_no_proto_compiler() -> None:
    command = ["cargo", "tree", "--package=tensorbundle-python", "--edges=normal,build"]
    done = subprocess.run(
        [*command, "--locked", "--prefix=none", "--format={lib}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    crates = set(done.stdout.split())
    assert {"prost", "tensorbundle_wire"} <= crates
    assert crates & {"prost_build", "protobuf", "protobuf_src", "protoc_bin_vendored"} == set()


def test_the_wheel_is_abi3_and_complete(wheel: Path) -> None:
    name, number, tags = wheel.name.split("-", 2)
    assert (name, number) == ("tensorbundle", version())
    assert tags.startswith("cp311-abi3-")
    info = f"tensorbundle-{number}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        licence = archive.read(f"{info}/licenses/LICENSE")
        scripts = archive.read(f"{info}/entry_points.txt").decode().split()
        metadata = email.message_from_bytes(archive.read(f"{info}/METADATA"))

    assert licence == (ROOT / "LICENSE").read_bytes()
    assert scripts == ["[console_scripts]", "tensorbundle=tensorbundle.cli:run"]
    assert len(names) == len(set(names))
    assert {name.partition("/")[0] for name in names} == {"tensorbundle", info}
    package = ROOT / "python" / "tensorbundle"
    sources = [path for kind in ("*.py", "*.pyi", "py.typed") for path in package.rglob(kind)]
    wanted = {path.relative_to(package.parent).as_posix() for path in sources}
    (native,) = (name for name in names if name.endswith(NATIVE))
    assert {name for name in names if name.startswith("tensorbundle/")} == {*wanted, native}
    assert native.startswith("tensorbundle/_native.")

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert metadata["Version"] == version()
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == project["requires-python"]
    wants = [need.replace("-", "_") for need in metadata.get_all("Requires-Dist", [])]
    extras = {
        f"{need} ; extra == '{extra}'"
        for extra, needs in project["optional-dependencies"].items()
        for need in needs
    }
    assert set(wants) == {*project["dependencies"], *extras}
    assert len(wants) == len(set(wants))
    text = io.StringIO(metadata.get_payload()).readline()
    assert text.strip() == "# tensorbundle"


def test_the_installed_wheel_works(
    wheel: Path, tmp_path: Path, data_dir: Path, without_protoc: dict[str, str]
) -> None:
    installed, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    elsewhere.mkdir()
    options = ("--no-deps", "--no-index", "--target", installed)
    run("-m", "pip", "install", *options, wheel, env=without_protoc)

    checkpoint = shutil.copytree(data_dir / "mnist_mlp", elsewhere / "mnist")
    place = {"cwd": elsewhere, "env": {**without_protoc, "PYTHONPATH": str(installed)}}
    out = run("-c", USE_IT, installed, checkpoint, **place)
    assert out.split() == [version(), version(), "int64", "1000", "False"]
    lines = run("-m", "tensorbundle", "ls", "mnist", **place).splitlines()
    assert lines[0].split() == ["name", "dtype", "shape", "bytes"]
    assert lines[-1].startswith("21 tensors, ")


def test_the_versions_agree() -> None:
    assert tensorbundle.__version__ == version()
    manifests = [ROOT / "rust" / crate / "Cargo.toml" for crate in needed_crates()]
    for manifest in manifests:
        assert tomllib.loads(manifest.read_text())["package"]["version"] == {"workspace": True}
