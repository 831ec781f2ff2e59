from __future__ import annotations

import os
import signal
import warnings
from pathlib import Path
from typing import Any

import pytest

# In a shell's background jobs SIGINT is ignored, and so it would be in processes that tests start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tf() -> Any:
    """TensorFlow, imported once and without its start-up chatter."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow
    return tensorflow


@pytest.fixture(scope="session")
def data_dir() -> Path:
    return Path(__file__).parent / "data"
