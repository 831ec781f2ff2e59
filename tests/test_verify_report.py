"""The report of a check, and its findings: what they say, and that nobody changes it."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorbundle as tb
from faults import sound
from tensorbundle.errors import CorruptionError
from writer import Bundle, shard_path

SUM = ("tensor data", "a", "run/ckpt.data-00000-of-00001", 0, 4, 12, "0x00000001", "0x00000002")
FINDING = tb.VerifyFinding("checksum mismatch", *SUM, "a: its checksum does not match")
GONE = ("data shard", None, "run/ckpt.data-00001-of-00003", 1, None, None, None, None)
BARE = ("index entry", "b", "run/ckpt.index", None, None, None, None, None)


def raw(kind: str, rest: tuple[Any, ...], text: str = "a sentence") -> tuple[Any, ...]:
    return (kind, *rest, text)


def report(*findings: tuple[Any, ...], lost: tuple[str, ...] = (), **more: Any) -> tb.VerifyReport:
    notes = more.get("notes", [])
    return tb.VerifyReport(("run/ckpt", "V2", 5, 100, list(findings), notes, list(lost)), 0.5)


def test_what_a_finding_says() -> None:
    assert FINDING.as_dict() == {
        "kind": "checksum mismatch",
        "part": "tensor data",
        "tensor": "a",
        "path": "run/ckpt.data-00000-of-00001",
        "shard": 0,
        "start": 4,
        "end": 12,
        "got": "0x00000001",
        "want": "0x00000002",
        "text": "a: its checksum does not match",
    }
    assert str(FINDING) == FINDING.text
    assert repr(FINDING) == (
        "<tensorbundle.VerifyFinding checksum mismatch: a: its checksum does not match>"
    )


def test_what_a_report_says() -> None:
    found = report(raw("bad entry", BARE), lost=("b",), notes=[raw("missing shard", GONE)])
    assert not found.ok
    assert [each.kind for each in (*found.findings, *found.notes)] == ["bad entry", "missing shard"]
    assert found.as_dict() == {
        "prefix": "run/ckpt",
        "format": "V2",
        "tensors": 5,
        "bytes": 100,
        "seconds": 0.5,
        "ok": False,
        "findings": [found.findings[0].as_dict()],
        "notes": [found.notes[0].as_dict()],
        "lost": ["b"],
    }
    assert repr(found) == "<tensorbundle.VerifyReport 'run/ckpt': 1 finding in 5 tensors, 1 lost>"
    assert repr(report()) == "<tensorbundle.VerifyReport 'run/ckpt': no findings in 5 tensors>"


def test_notes_are_no_findings() -> None:
    found = report(notes=[raw("missing shard", GONE)])
    assert found.ok
    found.raise_for_findings()


@pytest.mark.parametrize("one", [FINDING, report(raw("bad entry", BARE), lost=("b",))])
def test_copies_are_equal(one: Any) -> None:
    one.reason("b") if isinstance(one, tb.VerifyReport) else None  # what it looks up is no part
    for twin in (pickle.loads(pickle.dumps(one)), copy.copy(one), copy.deepcopy(one)):
        assert twin == one
        assert twin.as_dict() == one.as_dict()
    assert one != "something else"


def test_findings_compare_by_all_they_say() -> None:
    fields = FINDING.as_dict()
    for name in fields:
        other = tb.VerifyFinding(**{**fields, name: 77})  # type: ignore[arg-type]
        assert other != FINDING
        assert len({other, FINDING, copy.copy(FINDING)}) == 2


def test_reports_compare_by_all_but_the_time() -> None:
    one, other = report(raw("bad entry", BARE)), report(raw("bad entry", BARE))
    assert one == tb.VerifyReport(other._raw(), 99.0)
    assert one != report()
    assert one != report(raw("bad entry", BARE), lost=("b",))


@pytest.mark.parametrize("one", [FINDING, report()])
def test_nobody_changes_them(one: Any) -> None:
    for name in one.as_dict():
        with pytest.raises(AttributeError):
            setattr(one, name, "changed")
        with pytest.raises(AttributeError):
            delattr(one, name)
    with pytest.raises(AttributeError):
        one.another = 1


def test_the_reason_of_a_loss() -> None:
    twice = raw("bad entry", ("data block", "a", *BARE[2:]))
    summed = raw("checksum mismatch", SUM)
    gone = raw("missing shard", GONE)
    found = report(twice, summed, gone, lost=("a", "z"))
    assert found.reason("a").kind == "checksum mismatch"  # type: ignore[union-attr]
    assert found.reason("z").kind == "missing shard"  # type: ignore[union-attr]
    assert (found.is_lost("a"), found.is_lost("b"), found.reason("b")) == (True, False, None)


MORE = raw("more findings", ("checkpoint", None, "run/ckpt", *[None] * 5), "7 more findings")


def test_what_is_left_out_is_not_guessed() -> None:
    found = report(raw("checksum mismatch", SUM), raw("missing shard", GONE), MORE, lost=("a", "z"))
    assert found.reason("a").kind == "checksum mismatch"  # type: ignore[union-attr]
    assert found.reason("z").kind == "more findings"  # type: ignore[union-attr]
    assert repr(found).endswith(": more than 2 findings in 5 tensors, 2 lost>")
    with pytest.raises(CorruptionError, match=r" \(and more than 1 more finding\)$"):
        found.raise_for_findings()


def test_reasons_of_many_do_not_take_the_square_of_their_number() -> None:
    names = tuple(f"tensor_{i}" for i in range(50_000))
    findings = [raw("short shard", ("tensor data", name, *SUM[2:])) for name in names]
    found = report(*findings, lost=names)
    assert all(found.reason(name).tensor == name for name in names)  # type: ignore[union-attr]


def test_raise_for_findings() -> None:
    report().raise_for_findings()
    with pytest.raises(CorruptionError, match=r"a sentence$") as caught:
        report(raw("checksum mismatch", SUM)).raise_for_findings()
    error = caught.value
    assert (error.part, error.path, error.offset, error.tensor) == (SUM[0], SUM[2], 4, "a")
    many = report(*[raw("bad entry", BARE)] * 3)
    with pytest.raises(CorruptionError, match=r"a sentence \(and 2 more findings\)$"):
        many.raise_for_findings()


# Of real files.


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    return sound().write(tmp_path / "ckpt")


def test_three_ways_to_check(prefix: str) -> None:
    shard = Path(shard_path(prefix, 0, 1))
    shard.write_bytes(b"\xff" + shard.read_bytes()[1:])
    found = tb.verify(prefix)
    assert found == tb.verify(Path(prefix), mmap=False)
    with tb.open(prefix) as ckpt:
        assert ckpt.verify() == found
        assert ckpt.report is None
    assert tb.open(prefix, on_error="skip").report == found
    assert (found.prefix, found.format, found.tensors, found.lost) == (prefix, "V2", 3, ("bias",))
    assert found.seconds > 0
    (finding,) = found.findings
    assert finding.path == str(shard)
    assert (finding.tensor, finding.shard, finding.start, finding.end) == ("bias", 0, 0, 12)


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    bundle = Bundle()
    bundle.add(b"\xff\n", np.arange(3), crc=1)
    found = tb.verify(bundle.write(tmp_path / "ckpt"))
    assert found.lost == ("\udcff\n",)
    assert found.findings[0].tensor == "\udcff\n"
    assert found.reason("\udcff\n") == found.findings[0]
    assert pickle.loads(pickle.dumps(found)) == found


def test_progress_comes_to_the_end(prefix: str) -> None:
    told: list[tuple[int, int]] = []
    found = tb.verify(prefix, progress=lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert all(0 <= done <= total for done, total in told)
    assert found.ok
    with tb.open(prefix) as ckpt:
        ckpt.verify(progress=lambda done, total: told.append((done, total)))
    tb.open(prefix, on_error="skip", progress=lambda done, total: told.append((done, total)))


def test_what_progress_raises_comes_out(tmp_path: Path) -> None:
    def stop(*_: int) -> None:
        raise EOFError("enough")

    bundle = Bundle()
    bundle.add("large", np.zeros(40_000_000, np.uint8))
    prefix = bundle.write(tmp_path / "ckpt")
    for check in (
        lambda: tb.verify(prefix, progress=stop),
        lambda: tb.open(prefix).verify(progress=stop),
        lambda: tb.open(prefix, on_error="skip", progress=stop),
    ):
        with pytest.raises(EOFError, match="enough"):
            check()


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        tb.verify(tmp_path / "no")
    with pytest.raises(FileNotFoundError):
        tb.open(tmp_path / "no", on_error="skip")


@pytest.mark.parametrize("path", [b"bytes", 3, None])
def test_paths_that_are_none(path: Any) -> None:
    with pytest.raises(TypeError):
        tb.verify(path)


def test_a_nul_in_a_path() -> None:
    with pytest.raises(ValueError, match="NUL"):
        tb.verify("a\0b")


def test_a_closed_checkpoint_is_not_checked(prefix: str) -> None:
    ckpt = tb.open(prefix)
    ckpt.close()
    with pytest.raises(ValueError, match="closed"):
        ckpt.verify()


def test_importing_it_is_light() -> None:
    # typing and the like would cost more than the rest of the package.
    code = "import sys, tensorbundle; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert "tensorbundle._verify" in loaded
    assert loaded & {"typing", "re", "dataclasses", "numpy", "tensorbundle._salvaged"} == set()
