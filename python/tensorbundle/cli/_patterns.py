"""Patterns over names: globs, and regular expressions after ``re:``."""

from __future__ import annotations

import argparse

from tensorbundle.cli import _text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GLOB = frozenset("*?[")


def matcher(patterns: Sequence[str], option: str = "--match") -> Callable[[str], object]:
    """Tells whether any of the patterns matches a name."""
    import re
    from fnmatch import translate

    alternatives: list[str] = []
    for pattern in patterns:
        expression = pattern.removeprefix("re:")
        if expression == pattern:
            alternatives.append(rf"\A{translate(pattern)}")
            continue
        try:
            re.compile(expression)
        except re.error as error:
            raise _text.CommandError(
                f"{option} {pattern}: not a regular expression: {error}"
            ) from None
        alternatives.append(expression)
    found = [re.compile(alternative).search for alternative in alternatives]
    return lambda name: any(search(name) for search in found)


def is_literal(pattern: str) -> bool:
    return not pattern.startswith("re:") and GLOB.isdisjoint(pattern)


def no_match(patterns: Sequence[str], of: str) -> str:
    """What to say where nothing matches; `of` is what there is, as "5 tensors"."""
    text = f"none of {of} matches {' or '.join(map(repr, patterns))}"
    first = patterns[0]
    if first.startswith("re:") or "*" in first:
        return text
    return f"{text}; a pattern must match the whole name, as '*{first}*' may"


def depth(text: str) -> int:
    """The type of --depth."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of levels")
    return int(text)
