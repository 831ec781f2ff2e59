"""What README.md shows is what happens: its Python runs, its commands print what it says."""

from __future__ import annotations

import re
import shlex
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from command import process

README = Path(__file__).parents[1] / "README.md"
ROOT = README.parent
PROMPT = "$ "
# A line of a shown output that stands for any number of lines.
AND_SO_ON = "…"


class Block(NamedTuple):
    kind: str
    line: int
    text: str


class Shown(NamedTuple):
    command: str
    output: str


def blocks(markdown: str) -> list[Block]:
    """The fenced blocks, with the number of each one's first line."""
    found = [
        Block(match[1], markdown.count("\n", 0, match.start(2)) + 1, match[2])
        for match in re.finditer(r"^```(.*)\n((?:.*\n)*?)```$", markdown, re.MULTILINE)
    ]
    fences = re.findall(r"^\s*```", markdown, re.MULTILINE)
    assert len(fences) == 2 * len(found), "a fence is not closed, or is indented"
    return found


def sessions(text: str) -> list[Shown]:
    """The tensorbundle commands of a console block, each with the output below it."""
    found = []
    for part in re.split(rf"^{re.escape(PROMPT)}", text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        if command.split()[0] == "tensorbundle":
            found.append(Shown(command, output.rstrip("\n")))
    return found


def agrees(shown: str, printed: str) -> bool:
    lines = [
        r"(?:.*\n)*" if line == AND_SO_ON else re.escape(line + "\n") for line in shown.splitlines()
    ]
    whole = "".join(f"{line}\n" for line in printed.splitlines())
    return re.fullmatch("".join(lines), whole) is not None


def execute(found: list[Block], file: str) -> dict[str, Any]:
    """Runs the Python blocks in one namespace; a traceback names the line of the Markdown."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in found:
        if block.kind == "python":
            source = "\n" * (block.line - 1) + block.text
            exec(compile(source, file, "exec", dont_inherit=True), namespace)
    return namespace


IN_README = blocks(README.read_text(encoding="utf-8"))
COMMANDS = [
    shown for block in IN_README if block.kind == "console" for shown in sessions(block.text)
]


def test_there_are_examples_of_both_kinds_and_no_others() -> None:
    # A block under another name would look tested and not be.
    kinds = {block.kind for block in IN_README}
    assert {"python", "console"} <= kinds <= {"python", "console", "text", "sh"}
    assert COMMANDS


def test_the_python_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    execute(IN_README, str(README))


@pytest.mark.parametrize("shown", COMMANDS, ids=[shown.command for shown in COMMANDS])
def test_a_command_prints_what_is_shown(shown: Shown) -> None:
    _, *arguments = shlex.split(shown.command)
    done = process(*arguments, cwd=ROOT, encoding="utf-8", env={"PYTHONUTF8": "1"})
    printed = (done.stdout + done.stderr).rstrip("\n")
    if not agrees(shown.output, printed):
        assert printed == shown.output


# The machinery itself.

SMALL = textwrap.dedent("""\
    # A title

    ```python
    a = 1
    ```

    Some `code`, and

    ```sh
    rm everything
    ```
    ```console
    $ tensorbundle ls 'a b'
    one
    …
    three

    $ make demo
    not run
    $ tensorbundle info x

    ```
    ```python
    b = a + 1
    a.wrong
    ```
""")


def test_blocks_are_found_with_their_lines() -> None:
    found = blocks(SMALL)
    assert [(block.kind, block.line) for block in found] == [
        ("python", 4),
        ("sh", 10),
        ("console", 13),
        ("python", 24),
    ]
    assert found[0].text == "a = 1\n"


@pytest.mark.parametrize("fence", ["```python\na\n", "  ```python\n  a\n  ```\n"])
def test_a_fence_that_would_be_missed_is_an_error(fence: str) -> None:
    with pytest.raises(AssertionError, match="a fence is not closed, or is indented"):
        blocks(SMALL + fence)


def test_commands_are_found_with_what_they_print() -> None:
    assert sessions(blocks(SMALL)[2].text) == [
        Shown("tensorbundle ls 'a b'", "one\n…\nthree"),
        Shown("tensorbundle info x", ""),
    ]


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("", "", True),
        ("", "one", False),
        ("one", "one", True),
        ("one", "one ", False),
        ("one", "one\ntwo", False),
        ("o.e", "one", False),
        ("one\n…", "one", True),
        ("one\n…", "one\ntwo\nthree", True),
        ("one\n…", "two\nthree", False),
        ("one\n…\nthree", "one\ntwo\n\ntwo\nthree", True),
        ("one\n…\nthree", "one\ntwo\nthree\nfour", False),
        ("…\nthree\n…", "one\ntwo\nthree\nfour", True),
        ("a …", "a b", False),
    ],
)
def test_agreement(shown: str, printed: str, same: bool) -> None:
    assert agrees(shown, printed) == same


def test_python_shares_a_namespace_and_fails_at_its_line() -> None:
    found = blocks(SMALL)
    with pytest.raises(AttributeError, match="wrong") as caught:
        execute(found, "SMALL.md")
    entry = caught.traceback[-1]
    assert (entry.frame.code.path, entry.lineno + 1) == ("SMALL.md", 25)
    assert entry.frame.f_globals["b"] == 2
