"""Libraries that are imported when they are asked for, and never needed otherwise."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def needed(module: str, library: str, who: str) -> Any:
    """A module that may not be installed, and need not be there for the type checkers."""
    try:
        return import_module(module)
    except ImportError as missing:
        text = f"{who} needs {library}, which is not installed (pip install {module})"
        raise ImportError(text, name=missing.name) from missing
