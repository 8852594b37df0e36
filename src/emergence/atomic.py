"""Files and folders that appear whole or not at all, and the sentence for every way to fail.

What is written first has a hidden name beside its own and is renamed at the end, so that a killed
stage, a full disk or a read-only folder never leaves half a result under the final name.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from emergence.errors import ArtifactError

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NO_WRITING = (errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def whole(path: str | Path) -> Iterator[BinaryIO]:
    """Yield a binary file that appears under ``path`` at success and leaves nothing at failure.

    Raises:
        ArtifactError: for every OSError (disk full, read-only folder, a file in the way).
    """
    path = Path(path)
    partial = _partial_name(path)
    with _writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _sweep(path)
            # Not tempfile: its mode 0600 would hide the results from everybody else.
            handle = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            with os.fdopen(handle, "w+b") as file:
                _lock(handle)
                yield file
                file.flush()
                os.fsync(handle)
                os.replace(partial, path)
        except BaseException:
            with suppress(OSError):
                partial.unlink()
            raise


@contextmanager
def write_folder(path: str | Path) -> Iterator[Path]:
    """Yield an empty folder that replaces ``path`` as a whole at success (for checkpoints).

    Raises:
        ArtifactError: for every OSError, and for a full disk told in a library's own exception.
    """
    path = Path(path)
    partial = _partial_name(path)
    with _writing(path):
        handle = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _sweep(path)
            partial.mkdir()
            handle = os.open(partial, os.O_RDONLY)
            _lock(handle)
            yield partial
            for file in partial.rglob("*"):
                if file.is_file():
                    with file.open("rb") as content:
                        os.fsync(content.fileno())
            _swap(partial, path)
        finally:
            # What still has the hidden name is a half-written folder, or the one just replaced.
            shutil.rmtree(partial, ignore_errors=True)
            if handle is not None:
                os.close(handle)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Tell every fault of the file system as an ArtifactError."""
    try:
        yield
    except ArtifactError:
        raise
    except Exception as error:
        code = error.errno if isinstance(error, OSError) else None
        # TensorFlow's writers do not raise OSError, but repeat the system's message.
        if code in _NO_SPACE or os.strerror(errno.ENOSPC) in str(error):
            raise ArtifactError(
                f"{path} was not written: the disk is full.",
                "Free some space and rerun.",
            ) from error
        if code in _NO_WRITING:
            raise ArtifactError(
                f"{path} was not written: the folder {path.parent} is read-only.",
                "Make it writable, or run in a folder that is.",
            ) from error
        if code is not None:
            raise ArtifactError(
                f"{path} was not written: {error.strerror}.", "Mend that and rerun."
            ) from error
        raise


def _partial_name(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")


def _lock(handle: int) -> bool:
    """Hold a file until its descriptor closes; false where somebody else does, or none can."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _sweep(path: Path) -> None:
    """Remove what killed writers of ``path`` left: the hidden files that nobody holds any more."""
    for name in os.listdir(path.parent):
        if not (name.startswith(f".{path.name}.") and name.endswith(".partial")):
            continue
        leftover = path.with_name(name)
        with suppress(OSError):
            handle = os.open(leftover, os.O_RDONLY)
            try:
                if _lock(handle):
                    shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
            finally:
                os.close(handle)


def _swap(new: Path, path: Path) -> None:
    """Give ``new`` the name ``path``; a folder that had it is left under the name of ``new``."""
    if not path.is_dir():
        os.rename(new, path)
        return
    try:
        # Linux exchanges two names at once, so that a kill never finds neither of them.
        exchange = ctypes.CDLL(None, use_errno=True).renameat2
        here, flag = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
        if exchange(here, os.fsencode(new), here, os.fsencode(path), flag) == 0:
            return
    except (AttributeError, OSError):
        pass
    old = _partial_name(path)
    os.rename(path, old)
    os.rename(new, path)
    os.rename(old, new)
