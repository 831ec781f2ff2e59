"""A line on the terminal that says how far a long job is: bytes, share, rate, time left.

Written to stderr, and only if that is a terminal. It is drawn over in place and gone at the end, so
it never gets between the lines of a result.
"""

from __future__ import annotations

import sys
from time import monotonic

from tensorbundle.cli import _text

EVERY = 0.1  # seconds between two drawings
AFTER = 0.3  # seconds before the first: what is done sooner needs no line
CLEAR = "\r\x1b[K"


class Progress:
    """Draws while it is entered; call it with the bytes done and all bytes."""

    def __init__(self, title: str, *, quiet: bool = False) -> None:
        self.title = title
        self._on = not quiet and sys.stderr.isatty()
        self._start = monotonic()
        self._next = self._start + AFTER
        self._drawn = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._drawn:
            sys.stderr.write(CLEAR)
            sys.stderr.flush()

    def __call__(self, done: int, total: int) -> None:
        now = monotonic()
        if not self._on or now < self._next:
            return
        self._next = now + EVERY
        self._drawn = True
        line = describe(self.title, done, total, now - self._start)
        width = _text.terminal_width() or 80
        sys.stderr.write(CLEAR + _text.elide(line, width - 1))
        sys.stderr.flush()


def describe(title: str, done: int, total: int, seconds: float) -> str:
    """One line: ``verify model.ckpt: 1.2 GiB of 4.0 GiB  30%  15.1 GiB/s  0:12 left``."""
    share = 100 * done // total if total else 100
    rate = done / seconds if seconds > 0 else 0
    line = f"{title}: {_text.human(done)} of {_text.human(total)}  {share}%"
    if rate > 0:
        left = round((total - done) / rate)
        line += f"  {_text.human(int(rate))}/s  {clock(left)} left"
    return line


def clock(seconds: int) -> str:
    """``0:07``, ``12:34``, ``1:02:03``."""
    minutes, seconds = divmod(max(seconds, 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
