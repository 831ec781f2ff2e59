"""A line on the terminal that says how far a long job is: bytes or counts, share, rate, time left.

Written to stderr, and only if that is a terminal. It is drawn over in place and gone at the end, so
it never gets between the lines of a result.
"""

from __future__ import annotations

import os
import sys
from time import monotonic

from tensorbundle.cli import _text

EVERY = 0.1  # seconds between two drawings
AFTER = 0.3  # seconds before the first: what is done sooner needs no line
CLEAR = "\r\x1b[K"


class Progress:
    """Draws while it is entered; call it with what is done and all there is.

    That is bytes, unless ``noun`` says what is counted.
    """

    def __init__(self, title: str, *, quiet: bool = False, noun: str | None = None) -> None:
        self.title = title
        self.noun = noun
        # A terminal that cannot take a line back would be filled with them.
        self._on = not quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._start = monotonic()
        self._next = self._start + AFTER
        self._drawn = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._drawn:
            self._write(CLEAR)

    def __call__(self, done: int, total: int) -> None:
        now = monotonic()
        if not self._on or now < self._next:
            return
        self._next = now + EVERY
        self._drawn = True
        # One column less than there are: a line that fills the last may wrap, and would stay.
        columns = _text.columns(sys.stderr)
        line = describe(
            self.title, done, total, now - self._start, width=columns - 1, noun=self.noun
        )
        self._write(CLEAR + line)

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except OSError:  # the terminal is gone; the work is not
            self._on = self._drawn = False


def describe(
    title: str,
    done: int,
    total: int,
    seconds: float,
    *,
    width: int = 200,
    noun: str | None = None,
) -> str:
    """One line: ``verify model.ckpt: 1.2 GiB of 4.0 GiB  30%  15.1 GiB/s  0:12 left``.

    Where it does not fit, the title gives way first.
    """
    share = 100 * done // total if total else 100

    def number(count: int) -> str:
        return _text.human(count) if noun is None else f"{count:,}"

    facts = f"{number(done)} of {number(total)}{f' {noun}' if noun else ''}  {share}%"
    rate = done / seconds if seconds > 0 else 0
    if rate > 0:
        left = round((total - done) / rate)
        facts += f"  {number(int(rate))}/s  {clock(left)} left"
    room = width - len(facts) - len(": ")
    if room >= _text.NARROWEST:
        return f"{_text.elide(title, room)}: {facts}"
    return _text.elide(facts, width)


def clock(seconds: int) -> str:
    """``0:07``, ``12:34``, ``1:02:03``."""
    minutes, seconds = divmod(max(seconds, 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
