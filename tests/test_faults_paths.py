"""What people give as a path: any file of the set, a directory, a copy, or a mistake."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorbundle as tb
from encoding import header_proto
from faults import refused, sound
from tensorbundle.errors import CheckpointError, CorruptionError, UnsupportedError
from writer import Bundle


def numbered(folder: Path, *steps: int) -> None:
    """Checkpoints model.ckpt-<step>, each with its step in it."""
    for step in steps:
        bundle = Bundle()
        bundle.add("global_step", np.int64(step))
        bundle.write(folder / f"model.ckpt-{step}")


def step_of(path: str | os.PathLike[str]) -> int:
    with tb.open(path) as ckpt:
        return int(ckpt["global_step"])


def state(folder: Path, text: str | bytes) -> Path:
    file = folder / "checkpoint"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


# Any file of the set, and the prefix in any form.


@pytest.mark.parametrize("suffix", ["", ".index", ".data-00000-of-00001", ".meta"])
def test_any_file_of_the_set(tmp_path: Path, suffix: str) -> None:
    prefix = sound().write(tmp_path / "b")
    Path(prefix + ".meta").write_bytes(b"")
    for path in (prefix + suffix, Path(prefix + suffix)):
        ckpt = tb.open(path)
        assert (ckpt.path, ckpt.prefix) == (prefix + suffix, prefix)
        assert ckpt.index_path == prefix + ".index"
        assert ckpt["bias"].tolist() == [1, 2, 3]


def test_index_given_for_what_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "b", tmp_path / "b.index", tmp_path / "b.data-00000-of-00001"):
        with pytest.raises(FileNotFoundError) as caught:
            tb.open(path)
        assert caught.value.errno == errno.ENOENT
        assert Path(caught.value.filename).name.startswith("b")


def test_data_without_index(tmp_path: Path) -> None:
    prefix = sound().write(tmp_path / "b")
    Path(prefix + ".index").unlink()
    for path in (prefix, prefix + ".data-00000-of-00001"):
        with pytest.raises(FileNotFoundError, match=r"\.index") as caught:
            tb.open(path)
        assert caught.value.filename.startswith(prefix)


def test_the_nearest_names_are_said(tmp_path: Path) -> None:
    numbered(tmp_path, 100, 200)
    with pytest.raises(FileNotFoundError, match=r"model\.ckpt-100"):
        tb.open(tmp_path / "model.ckpt")


def test_a_component_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError) as caught:
        tb.open(tmp_path / "file" / "model.ckpt")
    assert caught.value.filename is not None


def test_a_name_too_long(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="x" * 40) as caught:
        tb.open(tmp_path / ("x" * 300))
    assert caught.value.errno == errno.ENAMETOOLONG


def test_a_path_with_nul(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"(?i)nul"):
        tb.open(str(tmp_path) + "/a\0b")


@pytest.mark.parametrize("path", [None, 3, b"b", ["b"]])
def test_a_path_of_another_type(path: Any) -> None:
    with pytest.raises(TypeError, match=rf"str.*{type(path).__name__}"):
        tb.open(path)


def test_options_are_keywords(tmp_path: Path) -> None:
    prefix = sound().write(tmp_path / "b")
    with pytest.raises(TypeError):
        tb.open(prefix, False)  # type: ignore[misc]
    with pytest.raises(TypeError):
        tb.open(prefix, mapped=True)  # type: ignore[call-arg]


NO_PERMISSION = """
import os, sys
import tensorbundle
if os.getuid() == 0:
    os.setuid(65534)
for path in sys.argv[1:]:
    try:
        tensorbundle.open(path)["bias"]
    except PermissionError as error:
        print(error.errno, error.filename)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_files_without_permission(tmp_path: Path) -> None:
    locked, half = sound().write(tmp_path / "locked"), sound().write(tmp_path / "half")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path(folder.anchor):
            folder.chmod(folder.stat().st_mode | 0o555)
    Path(locked + ".index").chmod(0)
    Path(half + ".data-00000-of-00001").chmod(0)
    done = subprocess.run(
        [sys.executable, "-c", NO_PERMISSION, locked, half],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"{errno.EACCES} {locked}.index",
        f"{errno.EACCES} {half}.data-00000-of-00001",
    ]


# Names that trip others.


@pytest.mark.parametrize(
    "name",
    ["x[1]y", "*", "?", "a b, c", "new\nline", "~", "%05d", "ünï", "-1", "b.index.old", "$HOME"],
)
def test_names_are_taken_literally(tmp_path: Path, name: str) -> None:
    decoy = Bundle()
    decoy.add("bias", np.float32(0))
    decoy.write(tmp_path / "x1y")
    prefix = sound().write(tmp_path / name)
    assert tb.open(prefix)["bias"].tolist() == [1, 2, 3]
    assert tb.open(prefix + ".data-00000-of-00001").prefix == prefix


def test_a_prefix_that_is_not_unicode(tmp_path: Path) -> None:
    name = os.fsdecode(b"b\xff")
    prefix = sound().write(tmp_path / name)
    ckpt = tb.open(tmp_path / name)
    assert ckpt.prefix == prefix
    assert ckpt["bias"].tolist() == [1, 2, 3]
    Path(ckpt.shard_paths()[0]).unlink()
    with pytest.raises(FileNotFoundError) as caught:
        tb.open(prefix)["bias"]
    assert caught.value.filename == ckpt.shard_paths()[0]


def test_empty_basename(tmp_path: Path) -> None:
    sound().write(str(tmp_path) + "/")
    assert (tmp_path / ".index").exists()
    for path in (tmp_path / ".index", tmp_path / ".data-00000-of-00001", str(tmp_path) + "/"):
        assert tb.open(path)["bias"].tolist() == [1, 2, 3]


def test_a_prefix_that_is_also_a_directory(tmp_path: Path) -> None:
    prefix = sound().write(tmp_path / "model")
    (tmp_path / "model").mkdir()
    assert tb.open(prefix)["bias"].tolist() == [1, 2, 3]


def test_symbolic_links(tmp_path: Path) -> None:
    """A download cache keeps files under their hashes: the links' names count, not the targets'."""
    prefix = sound().write(tmp_path / "b")
    (tmp_path / "cache").mkdir()
    for i, file in enumerate([prefix + ".index", prefix + ".data-00000-of-00001"]):
        Path(file).rename(tmp_path / "cache" / f"blob{i}")
        Path(file).symlink_to(tmp_path / "cache" / f"blob{i}")
    for path in (prefix, prefix + ".index", prefix + ".data-00000-of-00001"):
        assert tb.open(path)["bias"].tolist() == [1, 2, 3]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this platform")
def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    prefix = sound().write(tmp_path / "b")
    shard = prefix + ".data-00000-of-00001"
    Path(shard).unlink()
    os.mkfifo(shard)
    with pytest.raises(OSError, match="not a regular file") as caught:
        tb.open(prefix)["bias"]
    assert caught.value.filename == shard
    Path(prefix + ".index").unlink()
    os.mkfifo(prefix + ".index")
    with pytest.raises(OSError, match=r"b\.index"):
        tb.open(prefix)


def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound().write(tmp_path / "b")
    monkeypatch.chdir(tmp_path)
    ckpt = tb.open("b")
    assert ckpt.prefix == "b"
    assert tb.open(Path("./b"))["bias"].tolist() == [1, 2, 3]


# Files that are something else.

LFS_POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    b"size 12345\n"
)


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "b.index").write_bytes(b"")
    with refused(CorruptionError, "the file is empty", path=tmp_path / "b.index"):
        tb.open(tmp_path / "b")


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (LFS_POINTER, "git lfs pull"),
        (b"../../pretrained/model.ckpt.index", "../../pretrained/model.ckpt.index"),
        (b"/annex/objects/SHA256E-s122--00.index\n", "git annex get"),
        (b"<!DOCTYPE html><html>404</html>" + b" " * 100, "web page"),
        (b"\x1f\x8b\x08" + bytes(200), "gzip"),
        (b"PK\x03\x04" + bytes(200), "zip"),
        (b"\x89HDF\r\n\x1a\n" + bytes(200), "HDF5"),
        (b"\x00\x00\x06\x08\x01\xef\xbf\xbd" * 40, "text filter"),
        (os.urandom(4096), "footer"),
        (bytes(4096), "footer"),
    ],
    ids=["lfs", "stub", "annex", "html", "gzip", "zip", "hdf5", "mangled", "random", "zeros"],
)
def test_what_is_in_place_of_an_index(tmp_path: Path, content: bytes, fragment: str) -> None:
    (tmp_path / "b.index").write_bytes(content)
    with refused(CorruptionError, fragment, path=tmp_path / "b.index", part="footer"):
        tb.open(tmp_path / "b")


# Directories and the `checkpoint` file.


def test_directory_with_a_state_file(tmp_path: Path) -> None:
    numbered(tmp_path, 100, 200, 300)
    state(
        tmp_path,
        'model_checkpoint_path: "model.ckpt-200"\n'
        'all_model_checkpoint_paths: "model.ckpt-100"\n'
        'all_model_checkpoint_paths: "model.ckpt-200"\n'
        "all_model_checkpoint_timestamps: 1795337477.2674108\n"
        "last_preserved_timestamp: 1795337476.2454355\n",
    )
    for path in (tmp_path, str(tmp_path) + "/"):
        assert step_of(path) == 200
    assert tb.open(tmp_path).path == str(tmp_path)
    assert tb.open(tmp_path).prefix == str(tmp_path / "model.ckpt-200")


@pytest.mark.parametrize(
    "text",
    [
        "model_checkpoint_path: 'model.ckpt-200'",
        'model_checkpoint_path: "model" ".ckpt"\n  "-200"',
        'model_checkpoint_path: "model.ckpt\\0552\\x30\\060"',
        '# note\r\nmodel_checkpoint_path:"model.ckpt-200" # more\r\n',
        'model_checkpoint_path: "model.ckpt-100" model_checkpoint_path: "model.ckpt-200"',
        'model_checkpoint_path: "model.ckpt-200";all_model_checkpoint_paths: ["a", "b"]',
        'model_checkpoint_path: "./model.ckpt-200"',
    ],
)
def test_text_format(tmp_path: Path, text: str) -> None:
    numbered(tmp_path, 100, 200)
    state(tmp_path, text)
    assert step_of(tmp_path) == 200


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        pytest.param(b"", "model_checkpoint_path", id="empty"),
        pytest.param(
            b'all_model_checkpoint_paths: "model.ckpt-100"', "model_checkpoint_path", id="missing"
        ),
        pytest.param(b'model_checkpoint_path: ""', "model_checkpoint_path", id="empty path"),
        pytest.param(b'model_checkpoint_path: "\xff\xfe"', "UTF-8", id="not UTF-8"),
        pytest.param(b'model_checkpoint_path: "model.ckpt-100', "", id="no end of string"),
        pytest.param(b"model_checkpoint_path: model.ckpt-100", "", id="no quotes"),
        pytest.param(b"model_checkpoint_path: 100", "", id="a number"),
        pytest.param(b'model_checkpoint_path: "a\\q"', "", id="unknown escape"),
        pytest.param(b"\x08\x01\x00\xff", "", id="binary"),
        pytest.param(b"<html>", "", id="html"),
    ],
)
def test_broken_state_file(tmp_path: Path, text: bytes, fragment: str) -> None:
    numbered(tmp_path, 100, 200)
    file = state(tmp_path, text)
    with refused(CorruptionError, fragment, path=file, part="state file"):
        tb.open(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b'\xef\xbb\xbfmodel_checkpoint_path: "model.ckpt-100"', id="BOM"),
        pytest.param(b'model_checkpoint_path: "model.ckpt-100"\nnew_field: 7', id="unknown field"),
        pytest.param(
            b'new_field { a: "x" b { c: 1 } }\nmodel_checkpoint_path: "model.ckpt-100"',
            id="unknown message",
        ),
    ],
)
def test_state_file_tensorflow_would_ignore(tmp_path: Path, text: bytes) -> None:
    numbered(tmp_path, 100, 200)
    state(tmp_path, text)
    assert step_of(tmp_path) == 100


def test_deep_nesting_in_a_state_file(tmp_path: Path) -> None:
    numbered(tmp_path, 100)
    file = state(tmp_path, 'model_checkpoint_path: "model.ckpt-100"\n' + "f {" * 100_000)
    with refused(CorruptionError, path=file):
        tb.open(tmp_path)


def test_stale_absolute_path(tmp_path: Path) -> None:
    """The directory was moved: the file of that name beside the state file is meant."""
    numbered(tmp_path / "new", 100)
    state(tmp_path / "new", f'model_checkpoint_path: "{tmp_path}/old/model.ckpt-100"')
    assert step_of(tmp_path / "new") == 100


@pytest.mark.parametrize("linked", [False, True])
def test_absolute_path_that_stays_inside(tmp_path: Path, linked: bool) -> None:
    """It is followed, and not taken for the file of that name beside the state file."""
    run = tmp_path / "run"
    numbered(run / "sub", 100)
    namesake = Bundle()
    namesake.add("global_step", np.int64(7))
    namesake.write(run / "model.ckpt-100")
    other = run
    if linked:
        other = tmp_path / "link"
        try:
            other.symlink_to(run)
        except OSError as reason:
            pytest.skip(f"no links here: {reason}")
    for written, opened in ((run, other), (other, run)):
        state(run, f'model_checkpoint_path: "{written.as_posix()}/sub/model.ckpt-100"')
        assert step_of(opened) == 100
        state(run, f'model_checkpoint_path: "{written.as_posix()}/model.ckpt-100"')
        assert step_of(opened) == 7


def test_absolute_path_that_a_link_leads_out(tmp_path: Path) -> None:
    numbered(tmp_path / "outside", 100)
    run = tmp_path / "run"
    run.mkdir()
    try:
        (run / "sub").symlink_to(tmp_path / "outside")
    except OSError as reason:
        pytest.skip(f"no links here: {reason}")
    state(run, f'model_checkpoint_path: "{run.as_posix()}/sub/model.ckpt-100"')
    with pytest.raises(FileNotFoundError, match="outside of its directory"):
        tb.open(run)


def test_state_file_of_four_megabytes(tmp_path: Path) -> None:
    numbered(tmp_path, 100)
    text = b'model_checkpoint_path: "model.ckpt-100"\n#'
    state(tmp_path, text.ljust(4 << 20, b"x"))
    assert step_of(tmp_path) == 100
    file = state(tmp_path, text.ljust((4 << 20) + 1, b"x"))
    with refused(UnsupportedError, str(4 << 20), path=file, part="state file"):
        tb.open(tmp_path)


def test_stale_windows_path(tmp_path: Path) -> None:
    numbered(tmp_path, 100)
    state(tmp_path, 'model_checkpoint_path: "C:\\\\runs\\\\old\\\\model.ckpt-100"')
    assert step_of(tmp_path) == 100


@pytest.mark.parametrize("path", ["../outside/model.ckpt-100", "{}/outside/model.ckpt-100"])
def test_state_file_that_points_outside(tmp_path: Path, path: str) -> None:
    """Not followed without being asked: the state file may come from elsewhere."""
    numbered(tmp_path / "outside", 100)
    (tmp_path / "run").mkdir()
    state(tmp_path / "run", f'model_checkpoint_path: "{path.format(tmp_path)}"')
    with pytest.raises((CheckpointError, FileNotFoundError)) as caught:
        tb.open(tmp_path / "run")
    assert "model.ckpt-100" in str(caught.value)
    assert "outside" in str(caught.value)


def test_state_file_beats_a_name_outside(tmp_path: Path) -> None:
    numbered(tmp_path / "outside", 100)
    numbered(tmp_path / "run", 100)
    Bundle().write(tmp_path / "outside" / "model.ckpt-100")
    state(tmp_path / "run", f'model_checkpoint_path: "{tmp_path}/outside/model.ckpt-100"')
    assert step_of(tmp_path / "run") == 100


def test_state_file_names_what_was_deleted(tmp_path: Path) -> None:
    numbered(tmp_path, 100)
    state(tmp_path, 'model_checkpoint_path: "model.ckpt-200"')
    with pytest.raises(FileNotFoundError, match=r"model\.ckpt-200") as caught:
        tb.open(tmp_path)
    assert "checkpoint" in str(caught.value)


def test_moved_directory(tmp_path: Path, data_dir: Path) -> None:
    shutil.copytree(data_dir / "mnist_mlp", tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    ckpt = tb.open(tmp_path / "there")
    assert int(ckpt["global_step"]) == 1000


def test_directory_without_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none here")
    with pytest.raises(FileNotFoundError, match="no checkpoint") as caught:
        tb.open(tmp_path)
    assert caught.value.errno == errno.ENOENT
    assert caught.value.filename == str(tmp_path)


def test_directory_of_one_checkpoint_without_state_file(tmp_path: Path) -> None:
    numbered(tmp_path, 100)
    assert step_of(tmp_path) == 100


def test_directory_of_several_checkpoints_without_state_file(tmp_path: Path) -> None:
    numbered(tmp_path, 100, 200)
    with pytest.raises((FileNotFoundError, ValueError)) as caught:
        tb.open(tmp_path)
    for name in ("model.ckpt-100", "model.ckpt-200"):
        assert name in str(caught.value)


def test_saved_model(data_dir: Path) -> None:
    ckpt = tb.open(data_dir / "saved_model")
    assert ckpt.prefix == str(data_dir / "saved_model" / "variables" / "variables")
    assert ckpt["slope/.ATTRIBUTES/VARIABLE_VALUE"] == 0.5


def test_leftovers_of_an_interrupted_save(tmp_path: Path) -> None:
    """TensorFlow's temporary names in a directory are no checkpoints to choose from."""
    numbered(tmp_path, 100)
    sound().write(tmp_path / "model.ckpt-200_temp" / "part-00000-of-00002")
    shutil.copy(tmp_path / "model.ckpt-100.index", tmp_path / "m.index.tempstate1499076338095992")
    assert step_of(tmp_path) == 100


def test_merged_shard_count(tmp_path: Path) -> None:
    """TensorFlow's merge of an empty bundle counts a shard that it does not name."""
    bundle = sound()
    prefix = bundle.write(tmp_path / "b")
    bundle.items[b""] = header_proto(2)
    Path(prefix + ".index").write_bytes(bundle.index())
    ckpt = tb.open(prefix)
    assert ckpt.num_shards == 2
    with pytest.raises(FileNotFoundError, match="data-00000-of-00001") as caught:
        ckpt["bias"]
    assert caught.value.filename == prefix + ".data-00000-of-00002"
