"""``python -m tensorbundle``: the same as the ``tensorbundle`` command."""

from __future__ import annotations

import sys

from tensorbundle.cli import run

if __name__ == "__main__":
    sys.exit(run())
