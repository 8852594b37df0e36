"""What a crate holds: the files that it packs, and those that it only names by hash and size.

RO-Crate wants a file (File) that it names to be in the crate or on the web. Arrays and trained weights
are neither; they are works (CreativeWork), which a run's profile allows among what was read and written.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emergence.artifacts import sha256
from emergence.errors import ArtifactError

if TYPE_CHECKING:
    from rocrate.rocrate import ROCrate

FORMATS = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/markdown",
    ".png": "image/png",
    ".py": "text/x-python",
    ".svg": "image/svg+xml",
    ".yaml": "application/yaml",
}
"""Of files that a person can open. Results of these are packed, all others named."""
OTHER_FORMATS = {".npz": "application/zip", ".data-00000-of-00001": "application/octet-stream",
                 ".index": "application/octet-stream"}  # fmt: skip
"""Of what is shipped; what is neither, such as rules and the lock, is plain text."""
UNPACKED = "Not packed: an array or trained weights, named by its SHA-256 and size."
WHOLE = "A folder; its SHA-256 is of its files' own hashes and names, as artifacts.sha256 takes it."


def entity(crate: ROCrate, identifier: str, kind: str, **properties: Any) -> Any:
    """Return a contextual entity, not yet of the crate; properties of None are left out."""
    from rocrate.model.contextentity import ContextEntity

    made = ContextEntity(crate, identifier, properties={"@type": kind})
    for name, value in properties.items():
        if value is not None:
            made[name] = value
    return made


def single(values: list[Any]) -> Any:
    """Return a list of one as its value, as RO-Crate wants it."""
    return values[0] if len(values) == 1 else values


class Contents:
    """The entities of a crate by the name under which its jobs read and write them."""

    def __init__(self, crate: ROCrate, house: Path, places: Mapping[str, Path]) -> None:
        """Begin with nothing.

        Args:
            house: the folder of what is shipped.
            places: beginning of a name, such as ``results``, → the folder or file that it stands for;
                all others are in the house.
        """
        self.crate, self.house, self.places = crate, house, places
        self.known: dict[str, Any] = {}
        self.made: list[Any] = []
        """What jobs wrote, in their order."""

    def path(self, name: str) -> Path:
        """Where the file or folder of a name lies."""
        if name in self.places:
            return self.places[name]
        first, _, rest = name.partition("/")
        return self.places[first] / rest if first in self.places else self.house / name

    def name(self, path: Path) -> str:
        """The name of a result.

        Raises:
            ArtifactError: it is in no folder of results.
        """
        for name, folder in self.places.items():
            if path.is_relative_to(folder):
                return f"{name}/{path.relative_to(folder).as_posix()}"
        raise ArtifactError(f"{path} is no result of this run.", "Rerun snakemake.")

    def given(self, name: str) -> Any | None:
        """What a job read: a result of the run, or a file or folder that is shipped, now packed.

        None where there is none, such as a certificate that was not made yet.
        """
        if name in self.known:
            return self.known[name]
        path = self.path(name)
        if path.is_dir():
            return self.folder(name, sorted(p for p in path.rglob("[!.]*") if p.is_file()))
        return self.file(name, path) if path.is_file() else None

    def result(self, path: Path, recorded: str | None) -> list[Any]:
        """What a job wrote, once it is what its record names: packed if a reader can open it.

        Args:
            recorded: the SHA-256 in its provenance; None where it has none.

        Raises:
            ArtifactError: it is missing, or not what its record names.
        """
        if recorded not in (None, sha256(path)):
            raise ArtifactError(
                f"{path} is not what its record names.",
                "Delete it and rerun snakemake, which makes it again.",
            )
        name = self.name(path)
        inside = [path] if path.is_file() else [p for p in path.rglob("[!.]*") if p.is_file()]
        if not all(file.suffix in FORMATS for file in inside):
            wrote = [self._named(name, path, inside, recorded)]
        elif path.is_file():
            wrote = [self.file(name, path)]
        else:
            folder = self.folder(name, sorted(inside))
            wrote = [folder, *(self.known[self.name(file)] for file in sorted(inside))]
        self.made += wrote
        return wrote

    def _named(self, name: str, path: Path, inside: list[Path], recorded: str | None) -> Any:
        """What is not packed."""
        self.known[name] = self.crate.add(
            entity(
                self.crate, f"#{name}", "CreativeWork", name=name,
                description=UNPACKED if path.is_file() else f"{UNPACKED} {WHOLE}",
                sha256=recorded or sha256(path),
                contentSize=str(sum(file.stat().st_size for file in inside)),
            )
        )  # fmt: skip
        return self.known[name]

    def file(self, name: str, path: Path) -> Any:
        """Pack a file, with its hash and size."""
        if name not in self.known:
            size = str(path.stat().st_size)
            kind = (FORMATS | OTHER_FORMATS).get(path.suffix, "text/plain")
            properties = {
                "name": name, "sha256": sha256(path), "contentSize": size, "encodingFormat": kind,
            }  # fmt: skip
            self.known[name] = self.crate.add_file(path, name, properties=properties)
        return self.known[name]

    def folder(self, name: str, files: list[Path], root: Path | None = None) -> Any:
        """Pack files as a folder.

        Args:
            root: the folder that they lie in; by default that of the name.
        """
        root = root or self.path(name)
        parts = [self.file(f"{name}/{path.relative_to(root).as_posix()}", path) for path in files]
        self.known[name] = self.crate.add_dataset(dest_path=f"{name}/", properties={"name": name})
        self.known[name]["hasPart"] = single(parts)
        return self.known[name]
