"""The report's figures: embedded, with links to their data, logs, rule and code, and what they stand for."""

from __future__ import annotations

import ast
import base64
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emergence.artifacts import provenance_path, read_numbers
from emergence.errors import ArtifactError, EmergenceError
from emergence.provenance import CHECKOUT, PACKAGE
from emergence.settings import parse
from emergence.verification.claims import load_ledgers
from emergence.verification.drawn import jobs_of_figures, load_drawn


@dataclass(frozen=True)
class Place:
    """A file that the page speaks of: how it is called, and its address where it can be reached."""

    text: str
    address: str | None


def jobs_drawn(results: Path) -> dict[str, set[str]]:
    """Of each figure the jobs that it takes, by the settings that its system was analysed with."""
    file = CHECKOUT / "workflow/figures.yaml"
    found: dict[str, set[str]] = {}
    for system, figures in (load_drawn(file) if file.is_file() else {}).items():
        record = provenance_path(results / system / "measurements.json")
        try:
            content = read_numbers(record, required=["settings"])["settings"]
            found |= jobs_of_figures({system: figures}, parse(content, str(record)))
        except EmergenceError:
            continue  # results of another version: only the drawing itself is told
    return found


def articles(
    system: str,
    claims: Sequence[Mapping[str, Any]],
    figures: Path,
    folder: Path,
    drawn_from: Mapping[str, set[str]],
) -> list[dict[str, Any]]:
    """Every drawn figure of a system: those that decide a claim first, in the ledger's order.

    Args:
        claims: of all systems.
        figures: the folder of the figures shown.
        folder: of the results, where the page will stand.
        drawn_from: the jobs of each figure, from :func:`jobs_drawn`.
    """
    named = [claim["figure"] for claim in claims if claim["system"] == system and claim["figure"]]
    there = [f"{system}/{path.stem}" for path in sorted((figures / system).glob("*.png"))]
    functions = _functions(system)
    found = []
    for name in dict.fromkeys([*named, *there]):
        if name not in there:
            continue
        short = name.partition("/")[2]
        module, line, summary = functions.get(short, (None, 0, ""))
        found.append(
            {
                "name": name,
                "id": f"figure-{name.replace('/', '-')}",
                "title": short.replace("_", " "),
                "image": _embedded(figures / f"{name}.png"),
                "caption": summary,
                "published": _published(claims, name),
                "claims": [claim["id"] for claim in claims if claim["figure"] == name],
                "links": {
                    "data": file_place(figures / f"{name}.csv", folder),
                    "vector graphic": file_place(figures / f"{name}.svg", folder),
                    "provenance": file_place(figures / f"{name}.provenance.json", folder),
                    "log": _log(system, short, figures, folder),
                    "rule": _rule(f"{system}_figure", CHECKOUT / f"workflow/{system}.smk", folder),
                    "code": _code(module, line, short, folder),
                },
                "logs": list(_logs_of(drawn_from.get(name, ()), folder)),
            }
        )
    return found


def _log(system: str, figure: str, figures: Path, folder: Path) -> Place:
    """The log of the drawing; of a figure that another run drew, that of this run's numbers."""
    drawing = file_place(folder / system / "logs" / "figures" / f"{figure}.log", folder)
    if drawing.address or figures.name == folder.name:
        return drawing
    analysis = file_place(folder / system / "logs" / "analysis.log", folder)
    told = f"{analysis.text}, of this run's numbers; the figure is that of scale {figures.name}"
    return Place(told, analysis.address)


def _logs_of(jobs: Iterable[str], folder: Path) -> Iterator[Place]:
    """The log of each of these jobs that has one, under the job's name."""
    for job in sorted(jobs):
        system, _, rest = job.partition("/")
        file = folder / system / "logs" / f"{rest}.log"
        if file.is_file():
            yield Place(job, _relative(file, folder))


def caption(system: str, figure: str, ledgers: Path) -> str:
    """What a figure shows, what it stands for in the original, and which claims it decides.

    Args:
        figure: its name, without the system.
        ledgers: the folder of ledgers; where they cannot be read, only what it shows is told.
    """
    summary = _functions(system).get(figure, (None, 0, ""))[2]
    try:
        claims = [
            {"id": claim.id, "figure": claim.figure, "place": claim.place}
            | {"published": claim.published}
            for ledger in load_ledgers(ledgers)
            for claim in ledger.claims
        ]
    except EmergenceError:
        return summary
    decided = [claim["id"] for claim in claims if claim["figure"] == f"{system}/{figure}"]
    told = f"It decides {', '.join(decided)}." if decided else "No claim is decided by it."
    return f"{summary} {_published(claims, f'{system}/{figure}')} {told}"


def _published(claims: Sequence[Mapping[str, Any]], figure: str) -> str:
    """What the original shows where this figure stands, from the ledger."""
    theirs = [
        claim
        for claim in claims
        if claim["figure"] == figure and not claim["place"].startswith("ours")
    ]
    if not theirs:
        return "The original shows no such figure; it is of this project."
    told = [
        f"{claim['place']} ({claim['id']}"
        + ("" if claim["published"] == "none given" else f": {claim['published']}")
        + ")"
        for claim in theirs
    ]
    return f"Stands for what the original shows in: {'; '.join(dict.fromkeys(told))}."


def _functions(system: str) -> dict[str, tuple[Path, int, str]]:
    """Of each figure of a system: module, line and first sentence of the function of its name.

    Read from the source, not imported: plotting libraries take seconds to start.
    """
    found = {}
    for module in sorted((PACKAGE / system).glob("*figures.py")):
        tree = ast.parse(module.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                summary = (ast.get_docstring(node) or "").split("\n\n")[0].replace("\n", " ")
                found[node.name] = (module, node.lineno, summary)
    return found


def _embedded(image: Path) -> str:
    try:
        content = image.read_bytes()
    except OSError as error:
        raise ArtifactError(
            f"The figure {image} cannot be read: {error.strerror}.",
            "Rerun snakemake, which draws it again.",
        ) from error
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def file_place(path: Path, folder: Path) -> Place:
    return Place(path.name, _relative(path, folder) if path.is_file() else None)


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _in_house(path: Path, text: str, folder: Path) -> Place:
    """A file of the code: an address only where results and code move together."""
    together = folder.resolve().is_relative_to(CHECKOUT.resolve())
    return Place(text, _relative(path, folder) if together and path.is_file() else None)


def _rule(name: str, file: Path, folder: Path) -> Place:
    return _in_house(file, f"{name} in workflow/{file.name}", folder)


def _code(module: Path | None, line: int, name: str, folder: Path) -> Place:
    if module is None:
        return Place("unknown", None)
    inside = module.relative_to(PACKAGE.parent).as_posix()
    return _in_house(module, f"{name}() in src/{inside}, line {line}", folder)
