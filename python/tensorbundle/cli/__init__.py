"""The ``tensorbundle`` command.

Each command is a module with ``add_parser(commands)`` and ``run(args) -> int``, imported when it
is the one that is given. They import NumPy, json and the like only where a command cannot do
without: start-up is what users wait for.

Exit codes: 0 fine, 1 a finding, 2 an error.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from importlib import import_module

import tensorbundle
from tensorbundle.cli import _text
from tensorbundle.errors import CheckpointError

TYPE_CHECKING = False  # typing itself is not worth its import time here
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main", "run"]

ERROR = 2
INTERRUPTED = 130
PIPE_CLOSED = 141

# In the order of --help.
COMMANDS = ("ls", "vars", "info", "cat", "graph", "verify", "stats", "diff", "index", "query")


def run() -> int:
    """Console entry: `main` in a process of its own."""
    gc.disable()  # halves the time of listing 200,000 tensors; the process ends soon anyway
    _prepare_streams()
    try:
        _die_of_closed_pipes()
        code = main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        code = PIPE_CLOSED
    except OSError as error:
        code = _fail(error)
    _settle_output()
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = sys.argv[1:] if argv is None else argv
    try:
        args = _parser(words).parse_args(words)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else ERROR
    try:
        code: int = args.run(args)
    except BrokenPipeError:
        raise
    except (CheckpointError, OSError, MemoryError, _text.CommandError) as error:
        return _fail(error)
    return code


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """With all commands, unless the first word is one: then no other is wanted."""
    parser = argparse.ArgumentParser(
        prog="tensorbundle",
        description="Look into TensorFlow checkpoints, without TensorFlow.",
        epilog=_text.examples("ls run/model.ckpt-1000", "COMMAND --help"),
        formatter_class=_text.help_formatter,
        allow_abbrev=False,
    )
    version = f"tensorbundle {tensorbundle.__version__}"
    parser.add_argument("--version", action="version", version=version)
    # Given a prog, argparse need not format a usage line to make one.
    commands = parser.add_subparsers(prog=parser.prog, metavar="COMMAND", required=True)
    for command in words[:1] if words and words[0] in COMMANDS else COMMANDS:
        import_module(f"tensorbundle.cli._{command}").add_parser(commands)
    return parser


def _fail(error: BaseException) -> int:
    print(f"tensorbundle: {_text.message(error)}", file=sys.stderr)
    return ERROR


def _prepare_streams() -> None:
    """What a character set cannot show is escaped; a stream that was closed swallows."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _die_of_closed_pipes() -> None:
    """Let `| head` end the process as it ends any other; Windows raises BrokenPipeError."""
    import signal

    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def _settle_output() -> None:
    """What cannot be written any more must not fail again when the interpreter exits."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
