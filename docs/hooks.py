"""What pages do not say themselves: the commands, from argparse; the public names; parts of files.

<!-- commands -->                       a section for each command, with its --help
<!-- names -->                          a directive of mkdocstrings for each public name
<!-- include FILE -->                   a file of the repository, without its title
<!-- include FILE table: HEADER -->     the one table in it whose first line begins so
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import tensorbundle
from tensorbundle import cli

ROOT = Path(__file__).parent.parent
ERRORS = tensorbundle.errors.__name__


def commands() -> dict[str, str]:
    """The text of --help of each command."""
    parser = cli._parser([])
    (found,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    for each in found.choices.values():
        each.formatter_class = lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=96)
    return {name: each.format_help() for name, each in found.choices.items()}


def names() -> list[str]:
    """The public names that have an entry in the API reference."""
    return [name for name in tensorbundle.__all__ if name != "__version__"]


def is_error(name: str) -> bool:
    return getattr(getattr(tensorbundle, name), "__module__", "") == ERRORS


def _commands() -> str:
    sections = [f"## {name}\n\n```text\n{text}```\n" for name, text in commands().items()]
    return "\n".join(sections)


def _names(errors: bool) -> str:
    return "\n\n".join(f"::: tensorbundle.{n}" for n in names() if is_error(n) == errors)


def _include(file: str, table: str | None) -> str:
    text = (ROOT / file).read_text(encoding="utf-8")
    if table is None:
        return text.partition("\n")[2]
    start = text.index(f"\n{table}") + 1
    return text[start : text.index("\n\n", start)]


def expand(markdown: str) -> str:
    markdown = markdown.replace("<!-- commands -->", _commands())
    markdown = markdown.replace("<!-- names -->", _names(False))
    markdown = markdown.replace("<!-- error names -->", _names(True))
    pattern = r"<!-- include (\S+)(?: table: (.*))? -->"
    return re.sub(pattern, lambda match: _include(match[1], match[2]), markdown)


def on_page_markdown(markdown: str, **_: Any) -> str:
    return expand(markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Docstrings name things as Sphinx does: what is left of that is the name."""
    return re.sub(
        r":(?:class|meth|func|attr|mod|data):<code>~?([^<]*)</code>", r"<code>\1</code>", html
    )
