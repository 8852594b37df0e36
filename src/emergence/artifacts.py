"""How results are written and read: arrays, tables, numbers, and the provenance beside each.

Arrays go to ``.npz`` (never pickled), tables to ``.csv``, numbers to ``.json``, weights to a folder.
Each is written whole or not at all (:mod:`emergence.atomic`); a result that is missing, truncated
or corrupt is an ArtifactError that names the file and the remedy, never a traceback.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import struct
import textwrap
import time
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emergence.atomic import whole, write_folder
from emergence.errors import ArtifactError
from emergence.provenance import code_in_use, host_in_use

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Arrays",
    "provenance_path",
    "read_arrays",
    "read_numbers",
    "read_table",
    "record_provenance",
    "sha256",
    "whole",
    "write_arrays",
    "write_bytes",
    "write_folder",
    "write_numbers",
    "write_table",
    "write_text",
]

Arrays = dict[str, np.ndarray]
"""Arrays of one result by name."""

AGAIN = "Delete it and rerun snakemake, which makes it again."
_SUFFIXES = {".npz", ".csv", ".json", ".png", ".svg", ".md", ".txt", ".html"}
_CORRUPT = (
    OSError,
    ValueError,  # also JSONDecodeError, UnicodeDecodeError and pandas' parser errors
    EOFError,
    KeyError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    NotImplementedError,  # zipfile: an unknown compression method
    RuntimeError,  # zipfile: a flipped bit says "encrypted"
    MemoryError,  # numpy: a corrupt header announces an enormous array
)


def write_arrays(
    path: str | Path, arrays: Mapping[str, np.ndarray], compressed: bool = False
) -> None:
    """Write named arrays of any shape to one ``.npz``; the same arrays give the same bytes.

    Raises:
        ArtifactError: an array holds Python objects, or the file cannot be written.
    """
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with whole(path) as file, zipfile.ZipFile(file, "w", method, compresslevel=9) as archive:
        for name, values in arrays.items():
            array = np.asarray(values)
            if array.dtype.hasobject:
                raise ArtifactError(
                    f"{path} was not written: array '{name}' holds Python objects.",
                    "Give it a numeric or string type; results are never pickled.",
                )
            # Not numpy.savez: it cannot store an array that is called "file".
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


class ArrayFile(dict[str, np.ndarray]):
    """Arrays of one file by name; asking for one that it lacks is told with the file's name."""

    def __init__(self, path: str | Path, arrays: dict[str, np.ndarray]) -> None:
        super().__init__(arrays)
        self.path = path

    def __missing__(self, key: str) -> np.ndarray:
        raise ArtifactError(
            f"{self.path} lacks the array {key}.",
            "Delete it and rerun snakemake, which makes it again.",
        )


def read_arrays(path: str | Path, required: Iterable[str] = ()) -> ArrayFile:
    """Read every array of an ``.npz`` into memory.

    Raises:
        ArtifactError: the file is missing, truncated or corrupt, or lacks a required array.
    """
    with _reading(path, "an archive of arrays"):
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("it holds a single unnamed array")
        with archive:
            arrays = {name: archive[name] for name in archive.files}
    _require(path, arrays, required, "array")
    return ArrayFile(path, arrays)


def write_table(path: str | Path, frame: pd.DataFrame) -> None:
    """Write a tidy table to ``.csv`` without its index; floats come back bit for bit.

    Raises:
        ArtifactError: the file cannot be written.
    """
    single = frame.select_dtypes(["float16", "float32"]).columns
    # In double precision, so that the shortest decimal is that of the very value stored.
    text = frame.astype(dict.fromkeys(single, "float64")).to_csv(index=False, lineterminator="\n")
    write_text(path, text)


def read_table(
    path: str | Path, columns: Iterable[str] = (), numbers: Iterable[str] = ()
) -> pd.DataFrame:
    """Read a table that :func:`write_table` wrote; an empty field is a missing value.

    Args:
        columns: those that it must have.
        numbers: those among them that hold nothing but finite numbers and missing values.

    Raises:
        ArtifactError: the file is missing, truncated or corrupt, lacks a required column, or has
            something else where a number should be.
    """
    import pandas as pd

    with _reading(path, "a table"), Path(path).open("rb") as file:
        if file.seek(0, os.SEEK_END) and (file.seek(-1, os.SEEK_END), file.read())[1] != b"\n":
            raise ValueError("its last line is cut short")
        file.seek(0)
        # Only an empty field is missing: the default would also swallow texts such as "None".
        frame = pd.read_csv(file, keep_default_na=False, na_values=[""])
    _require(path, frame.columns, columns, "column")
    for name in numbers if len(frame) else ():
        if frame[name].dtype.kind not in "iuf" or np.isinf(frame[name]).any():
            raise ArtifactError(f"{path} has no finite numbers in its column '{name}'.", AGAIN)
    return frame


def write_numbers(path: str | Path, mapping: Mapping[str, Any]) -> None:
    """Write nested numbers, texts and lists to ``.json``, in the order given.

    NumPy scalars and arrays become numbers and lists; floats come back bit for bit.

    Raises:
        ArtifactError: a number is NaN or infinite, a value is of a type that JSON lacks, or the
            file cannot be written.
    """
    plain = _plain(path, mapping, "")
    write_text(path, json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_numbers(path: str | Path, required: Iterable[str] = ()) -> dict[str, Any]:
    """Read a mapping that :func:`write_numbers` wrote.

    Raises:
        ArtifactError: the file is missing, truncated or corrupt, or lacks a required key.
    """
    with _reading(path, "numbers"):
        numbers = json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_refuse)
        if not isinstance(numbers, dict):
            raise ValueError("it holds no mapping of names")
    _require(path, numbers, required, "key")
    return numbers


def write_text(path: str | Path, text: str) -> None:
    """Write text as UTF-8. Raises ArtifactError when the file cannot be written."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write bytes as they are. Raises ArtifactError when the file cannot be written."""
    with whole(path) as file:
        file.write(content)


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file, or of a folder's file names and contents, as hexadecimals.

    Hidden files of a folder do not count: Snakemake leaves a time stamp in each that it made.

    Raises:
        ArtifactError: the file is missing or cannot be read.
    """
    path = Path(path)
    with _reading(path, "a result"):
        if path.is_dir():
            visible = (file for file in path.rglob("[!.]*") if file.is_file())
            files = sorted(visible)
            lines = [f"{sha256(file)}  {file.relative_to(path).as_posix()}\n" for file in files]
            return hashlib.sha256("".join(lines).encode()).hexdigest()
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def provenance_path(artefact: str | Path) -> Path:
    """Return where the provenance of a result stands; siblings such as .png and .svg share it."""
    path = Path(artefact)
    # A folder may be called beta_0.44, whose ".44" is no suffix.
    name = path.stem if path.suffix in _SUFFIXES else path.name
    return path.with_name(f"{name}.provenance.json")


def record_provenance(
    artefacts: Iterable[str | Path],
    *,
    stage: str,
    settings: Any,
    seed: int,
    started: float,
    device: str,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write beside each result where it comes from.

    Args:
        artefacts: files or folders that the stage has written.
        stage: the stage's name, as on the command line.
        settings: the resolved settings, a mapping or a pydantic model.
        seed: the root seed.
        started: ``time.time()`` when the stage began.
        device: what computed it, in words ("CPU", the GPU's name).
        extra: more entries, placed under "extra".

    Raises:
        ArtifactError: a result is missing, or the provenance cannot be written.
    """
    if hasattr(settings, "model_dump"):
        settings = settings.model_dump(mode="json")
    common = {
        "stage": stage,
        "settings": settings,
        "seed": seed,
        **code_in_use(),
        **host_in_use(),
        "device": device,
        "wall_time_s": round(time.time() - started, 3),
        "created_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        **({"extra": extra} if extra else {}),
    }
    hashes: dict[Path, dict[str, str]] = {}
    for artefact in map(Path, artefacts):
        hashes.setdefault(provenance_path(artefact), {})[artefact.name] = sha256(artefact)
    for path, entries in hashes.items():
        write_numbers(path, {"sha256": entries, **common})


@contextmanager
def _reading(path: str | Path, kind: str) -> Iterator[None]:
    """Tell every fault of a reader as an ArtifactError."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ArtifactError(
            f"{path} is missing.",
            "Rerun snakemake, which runs the stage that makes it.",
        ) from error
    except PermissionError as error:
        raise ArtifactError(
            f"{path} may not be read by this user.",
            "Give this user the permission, or rerun as its owner.",
        ) from error
    except _CORRUPT as error:
        # Libraries quote at length, and say "data. C error: …": it stays a part of one sentence.
        what = " ".join(str(error).split()).rstrip(".").replace(". ", "; ")
        what = textwrap.shorten(what, 240, placeholder=" …") or type(error).__name__
        raise ArtifactError(f"{path} cannot be read as {kind}: {what}.", AGAIN) from error


def _require(path: str | Path, present: Iterable[str], required: Iterable[str], kind: str) -> None:
    present = list(present)
    lacking = [name for name in required if name not in present]
    if lacking:
        raise ArtifactError(f"{path} lacks the {kind} '{lacking[0]}'.", AGAIN)


def _refuse(constant: str) -> None:
    raise ValueError(f"it holds {constant}")


def _plain(path: str | Path, value: Any, key: str) -> Any:
    """Return ``value`` in JSON's own types; ``key`` is its dotted place, for the messages."""
    if isinstance(value, Mapping):
        return {str(k): _plain(path, v, f"{key}.{k}".lstrip(".")) for k, v in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        # Not item(): for a long double it returns the same NumPy scalar.
        plain = float(value) if isinstance(value, np.floating) else value.tolist()
        return _plain(path, plain, key)
    if isinstance(value, list | tuple):
        return [_plain(path, item, f"{key}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ArtifactError(
            f"{path} was not written: {key} is {value}, and a result with {value} is no result.",
            "Read the log of the stage that computed it.",
        )
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ArtifactError(
        f"{path} was not written: {key} is of type {type(value).__name__}, not a number or text.",
        "Convert it before it is written.",
    )
