"""Reads a checkpoint whose files change: a process of its own, for what could be a signal.

Takes lines of JSON: a `Plan`, and a checkpoint of the same tensors with other values. Prints for
each how reads ended: with which values, or refused.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

import tensorbundle as tb


class Plan(TypedDict):
    path: str  # of the checkpoint
    victim: str  # the file that changes
    spare: str  # what it is replaced by
    change: str
    mmap: bool
    opened: list[str]  # tensors that are read before


def change_file(how: str, victim: Path, spare: Path) -> None:
    size = victim.stat().st_size
    match how:
        case "to nothing":
            os.truncate(victim, 0)
        case "to the middle":
            os.truncate(victim, size // 2 // 4096 * 4096)
        case "by a page":
            os.truncate(victim, size - 4096)
        case "by a byte":
            os.truncate(victim, size - 1)
        case "replaced":
            spare.replace(victim)
        case "rewritten":
            with victim.open("r+b") as file:
                file.write(spare.read_bytes())
                file.truncate()
        case "grown":
            with victim.open("ab") as file:
                file.write(bytes(5000))
        case "removed":
            victim.unlink()


def same(a: Any, b: Any) -> bool:
    return a.shape == b.shape and a.tolist() == b.tolist()


def zeroed(got: Any, old: Any) -> bool:
    """Nothing but zeros where the file ended: what a map shows up to the end of its last page."""
    if got.dtype == object:
        return False
    a, b = (np.frombuffer(each.tobytes(), np.uint8) for each in (got, old))
    other = np.flatnonzero(a != b)
    return len(a) == len(b) and not a[other].any() and len(a) - other[0] < 4096


def outcome(read: Callable[[], Any], old: Any, new: Any) -> str:
    try:
        got = read()
    except (tb.CheckpointError, OSError):
        return "refused"
    if same(got, old):
        return "old"
    if same(got, new):
        return "new"
    return "zeros" if zeroed(got, old) else "wrong"


def main(plan: Plan, old: dict[str, Any], new: dict[str, Any]) -> dict[str, list[str]]:
    ckpt = tb.open(plan["path"], mmap=plan["mmap"])
    for name in plan["opened"]:
        ckpt.read(name)
    change_file(plan["change"], Path(plan["victim"]), Path(plan["spare"]))
    ways: list[dict[str, Any]] = [{"aligned": True}, {"verify": True, "aligned": True}]
    if not plan["mmap"]:
        ways.append({})
    ends: dict[str, list[str]] = {}
    for name in (name for name in old if not same(old[name], new[name])):
        for way in ways:
            end = outcome(lambda name=name, way=way: ckpt.read(name, **way), old[name], new[name])
            ends.setdefault("verified" if "verify" in way else "plain", []).append(end)
    for call in (ckpt.infos, ckpt.shapes, lambda: list(ckpt), lambda: "no such" in ckpt):
        try:
            call()
        except (tb.CheckpointError, OSError):
            ends.setdefault("listing", []).append("refused")
        else:
            ends.setdefault("listing", []).append("fine")
    return ends


if __name__ == "__main__":
    for line in sys.stdin:
        plan, fresh = json.loads(line)
        sound, spare = (tb.open(each, mmap=False) for each in (plan["path"], fresh))
        old, new = ({name: each.read(name) for name in sound} for each in (sound, spare))
        print(json.dumps(main(plan, old, new)), flush=True)
