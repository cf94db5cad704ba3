"""Compiled modules for the programs that tests start."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_NOT_WRITTEN = "PYTHONDONTWRITEBYTECODE"
_FOLDER = "PYTHONPYCACHEPREFIX"


@contextmanager
def kept_bytecode() -> Iterator[None]:
    """Until the block ends, have programs keep what they compile, where the environment says that nobody does.

    Hundreds of nodes are started, and each would compile all of Wigwag again, which takes half a second. What they
    keep goes to a folder of its own: nothing is written beside the sources.
    """
    if not sys.dont_write_bytecode or _NOT_WRITTEN not in os.environ:
        yield
        return
    before = {name: os.environ[name] for name in (_NOT_WRITTEN, _FOLDER) if name in os.environ}
    directory = tempfile.mkdtemp(prefix="wigwag-bytecode-")
    del os.environ[_NOT_WRITTEN]
    os.environ[_FOLDER] = directory
    try:
        yield
    finally:
        del os.environ[_FOLDER]
        os.environ.update(before)
        shutil.rmtree(directory, ignore_errors=True)
