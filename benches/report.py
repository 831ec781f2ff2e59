"""What a run found: rows, their targets, the machine they were measured on, and the tables."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness import Samples

_TENSORFLOW = ("tensorflow", "tensorflow-cpu")
_HEAD = ("workload", "what", "tensorbundle", "peer", "peer's figure", "ratio", "target", "met")


@dataclass(frozen=True)
class Target:
    """What is to be reached, judged on (median of ours, median of the peer's)."""

    text: str
    reached: Callable[[float, float], bool]


def times(factor: float) -> Target:
    """At least `factor` times the peer's speed."""
    return Target(f"≥ {factor:g} x", lambda ours, theirs: ours * factor <= theirs)


def within(factor: float) -> Target:
    """At most `factor` times the peer's time."""
    return Target(f"≤ {factor:g} x its time", lambda ours, theirs: ours <= theirs * factor)


def under(limit: float, unit: str) -> Target:
    """Less than `limit`, whatever the peer does."""
    return Target(f"< {_figure(limit, unit)}", lambda ours, _: ours < limit)


@dataclass(frozen=True)
class Row:
    """One measurement, against at most one peer; `unit` is "s" or "B", less is better."""

    workload: str
    what: str
    ours: Samples
    peer: str | None = None
    theirs: Samples | None = None
    target: Target | None = None
    unit: str = "s"

    @property
    def ratio(self) -> float | None:
        """How many times as fast as the peer, or how many times less memory."""
        if self.theirs is None or self.ours.median <= 0:
            return None
        return self.theirs.median / self.ours.median

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.target.reached(self.ours.median, self.theirs.median if self.theirs else 0.0)

    def cells(self) -> tuple[str, ...]:
        return (
            self.workload,
            self.what,
            _spread(self.ours, self.unit),
            self.peer or "",
            _spread(self.theirs, self.unit) if self.theirs else "",
            "" if self.ratio is None else _factor(self.ratio),
            self.target.text if self.target else "",
            {True: "yes", False: "**no**", None: ""}[self.met],
        )

    def as_json(self) -> dict[str, object]:
        return {
            "workload": self.workload,
            "what": self.what,
            "unit": self.unit,
            "tensorbundle": _as_json(self.ours),
            "peer": self.peer,
            "peer_figure": _as_json(self.theirs) if self.theirs else None,
            "ratio": self.ratio,
            "target": self.target.text if self.target else None,
            "met": self.met,
        }


def _as_json(samples: Samples) -> dict[str, object]:
    return {
        "median": samples.median,
        "min": samples.min,
        "max": samples.max,
        "runs": len(samples.values),
    }


def _factor(ratio: float) -> str:
    return f"{ratio:,.0f} x" if ratio >= 100 else f"{ratio:.3g} x"


def _figure(value: float, unit: str) -> str:
    if unit == "B":
        return (
            f"{value / (1 << 20):,.3g} MiB" if value < 1 << 30 else f"{value / (1 << 30):.3g} GiB"
        )
    for scale, name in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= scale:
            return f"{value / scale:.3g} {name}"
    return f"{value / 1e-9:.3g} ns"


def _spread(samples: Samples, unit: str) -> str:
    low, high = _figure(samples.min, unit), _figure(samples.max, unit)
    return f"{_figure(samples.median, unit)} ({low} to {high})"


@dataclass(frozen=True)
class Setting:
    """Where and with what the rows were measured; nothing that names the machine or its paths."""

    date: str
    size: float
    cores: int
    memory_gib: float
    cpu: str
    load: float
    versions: dict[str, str]
    commit: str

    @classmethod
    def of_now(cls, size: float) -> Setting:
        return cls(
            date=datetime.datetime.now(datetime.UTC).date().isoformat(),
            size=size,
            cores=len(os.sched_getaffinity(0)),
            memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            cpu=_cpu(),
            load=round(os.getloadavg()[0], 2),
            versions={
                "tensorbundle": _version("tensorbundle"),
                "TensorFlow": _version(*_TENSORFLOW),
                "NumPy": _version("numpy"),
                "safetensors": _version("safetensors"),
                "Python": platform.python_version(),
            },
            commit=_commit(),
        )

    def as_json(self) -> dict[str, object]:
        return {
            "date": self.date,
            "size": self.size,
            "machine": {
                "cores": self.cores,
                "memory_gib": self.memory_gib,
                "cpu": self.cpu,
                "load_at_start": self.load,
            },
            "versions": self.versions,
            "commit": self.commit,
        }

    def lines(self) -> list[str]:
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        lines = [
            f"Measured on {self.date}: {self.cores} cores of {self.cpu}, {self.memory_gib} GiB,",
            f"{versions}, commit {self.commit}. Files in the page cache; medians (min to max).",
        ]
        if self.size != 1:
            lines.append(f"Size {self.size:g}: the targets are set for size 1.")
        return lines


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(*names: str) -> str:
    for name in names:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "not installed"


def _commit() -> str:
    command = ["git", "--no-optional-locks", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, check=True, capture_output=True, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def markdown(setting: Setting, rows: list[Row]) -> str:
    """The table, padded so that it reads as plain text too."""
    cells = [_HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEAD))]
    table = [
        "| "
        + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True))
        + " |"
        for line in cells
    ]
    table.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join([*setting.lines(), "", *table, ""])
