"""Measures tensorbundle against its peers and prints the table. README.md says what and how."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from harness import say
from report import Row, Setting, markdown
from tensorbundle import _native
from workloads import WORKLOADS


def main() -> int:
    arguments = _arguments()
    if _native.__debug_build__:
        say("tensorbundle is a debug build, whose figures mean nothing: build it for release.")
        return 2
    setting = Setting.of_now(arguments.size)
    if setting.load > 0.25 * setting.cores:
        say(f"The machine is busy (load {setting.load}): the figures will be noisy.")
    rows: list[Row] = []
    for name in arguments.only:
        rows += WORKLOADS[name].run(arguments.data.resolve(), arguments.size)
    table = markdown(setting, rows)
    print(table, end="")
    if arguments.markdown:
        arguments.markdown.write_text(table, encoding="utf-8")
    if arguments.json:
        found = setting.as_json() | {"rows": [row.as_json() for row in rows]}
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=_size, default=1.0, help="scale of the data (default 1)")
    parser.add_argument(
        "--only",
        type=_names,
        default=list(WORKLOADS),
        metavar="NAME,…",
        help=f"workloads to run, of: {', '.join(WORKLOADS)}",
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(__file__).parent / "data",
        metavar="DIR",
        help="where the data is made and kept (default: data beside this file)",
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the result as JSON")
    parser.add_argument("--markdown", type=Path, metavar="OUT", help="write the table")
    return parser.parse_args()


def _size(text: str) -> float:
    size = float(text)
    if not 0 < size <= 16:
        raise argparse.ArgumentTypeError("a size is above 0 and at most 16")
    return size


def _names(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in WORKLOADS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no workload {', '.join(unknown)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
