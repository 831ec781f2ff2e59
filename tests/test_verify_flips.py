"""Every byte that a checksum covers, changed in any way, is found, and its tensor is named."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tensorbundle as tb
from damage import KINDS, files_of, flip, values

FLIPS = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Sound(NamedTuple):
    prefix: str
    files: list[Path]
    bytes: list[bytes]
    values: dict[str, object]


def write(kind: str, folder: Path) -> Sound:
    prefix = KINDS[kind](folder)
    files = files_of(prefix)
    with tb.open(prefix) as ckpt:
        return Sound(prefix, files, [path.read_bytes() for path in files], values(ckpt))


def owner(prefix: str, path: Path, at: int) -> str | None:
    """The tensor whose bytes, or whose slice's, hold this place of a data shard."""
    shard = int(path.name.split(".data-")[1][:5])
    for info in tb.open(prefix).infos():
        for piece in info.slices or (info,):
            assert piece.offset is not None
            assert piece.nbytes is not None
            if piece.shard == shard and piece.offset <= at < piece.offset + piece.nbytes:
                return info.name
    return None


@pytest.mark.parametrize("kind", KINDS)
@FLIPS
@given(data=st.data())
def test_any_flip_is_found(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    sound = write(kind, tmp_path_factory.mktemp("flips"))
    which = data.draw(st.integers(0, len(sound.files) - 1))
    path = sound.files[which]
    at = data.draw(st.integers(0, len(sound.bytes[which]) - 1))
    flip(path, at, data.draw(st.integers(1, 255)))
    for mmap in (True, False):
        report = tb.verify(sound.prefix, mmap=mmap)
        assert report.findings, "a byte changed, and nobody noticed"
        if ".data-" in path.name:
            name = owner(sound.prefix, path, at)
            assert report.lost == (name,)
            named = [finding for finding in report.findings if finding.tensor == name]
            assert len(named) == 1
            assert named[0].path == str(path)
            assert named[0].start is not None
            assert named[0].end is not None
            assert named[0].start <= at < named[0].end
        else:
            assert any(finding.path == str(path) for finding in report.findings)
    # What is saved is what was written, and nothing of it is missing without a word.
    with tb.open(sound.prefix, on_error="skip") as saved:
        for name, value in values(saved).items():
            assert value == sound.values[name]
        assert saved.report == report
        assert saved.report is not None
        missing = sound.values.keys() - set(saved)
        blocks_lost = any("are lost" in finding.text for finding in report.findings)
        assert missing <= set(saved.report.lost) or blocks_lost or kind == "v1"


@pytest.mark.parametrize("kind", KINDS)
def test_every_byte(tmp_path: Path, kind: str) -> None:
    """Not some of them: all, one bit each."""
    sound = write(kind, tmp_path)
    for path, content in zip(sound.files, sound.bytes, strict=True):
        for at in range(len(content)):
            path.write_bytes(content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])
            report = tb.verify(sound.prefix, mmap=bool(at % 2))
            assert report.findings, f"byte {at} of {path.name}"
            if ".data-" in path.name:
                assert len(report.lost) == 1
        path.write_bytes(content)
    assert tb.verify(sound.prefix).ok
