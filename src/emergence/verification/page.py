"""The report: one HTML page that needs nothing but itself, the verdict table first.

Everything in it was written by earlier stages: verdict.json says what was decided, the ledgers whose
claims they are, the figures are embedded, the benchmark files say what each job cost beside what it
was recorded to cost. Links lead from a claim to its figure and to the figure's data, rule, log and code;
only these files are not embedded.
"""

from __future__ import annotations

import ast
import base64
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emergence.artifacts import provenance_path, read_numbers, write_text
from emergence.errors import ArtifactError, EmergenceError
from emergence.progress import clock
from emergence.provenance import CHECKOUT, PACKAGE
from emergence.settings import parse
from emergence.verification.claims import Ledger, load_ledgers
from emergence.verification.costs import CALIBRATION, Cost, measured_costs, recorded_costs
from emergence.verification.drawn import jobs_of_figures, load_drawn
from emergence.verification.readme import number
from emergence.verification.wording import STYLES

TEMPLATE = Path(__file__).with_name("page.html.jinja")
FROM_A_CLAIM = ("data", "rule", "log", "code")
"""Of its figure, what a claim itself links to."""


@dataclass(frozen=True)
class Place:
    """A file that the page speaks of: how it is called, and its address where it can be reached."""

    text: str
    address: str | None


def write_report(
    scale: str,
    ledgers: str | Path,
    results_root: str | Path,
    figures_root: str | Path,
    record: str | Path,
    figures_of: str | None = None,
) -> Path:
    """Write ``<results_root>/<scale>/report.html`` from the verdicts and figures of that scale.

    Args:
        scale: whose results.
        ledgers: the folder of ledgers, or one of them.
        results_root: the folder of all results.
        figures_root: the folder of all figures.
        record: the record of costs, ``config/costs.csv``; without it none are expected.
        figures_of: scale whose figures are shown, as an evaluation of shipped weights draws none.

    Returns:
        The page.

    Raises:
        ArtifactError: the verdicts or a benchmark are missing or corrupt, or the page cannot be
            written.
        LedgerError: a ledger is malformed.
    """
    results, figures = Path(results_root, scale), Path(figures_root, figures_of or scale)
    verdict = read_numbers(results / "verdict.json", required=["scale", "claims", "provenance"])
    expected = recorded_costs(record, scale) if Path(record).is_file() else {}
    page, loaded = results / "report.html", load_ledgers(ledgers)
    try:
        text = render(verdict, loaded, figures, measured_costs(results), expected, results)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{results / 'verdict.json'} is damaged: {type(error).__name__}.",
            "Delete it and rerun snakemake, which makes it again.",
        ) from error
    write_text(page, text)
    return page


def render(
    verdict: Mapping[str, Any],
    ledgers: Sequence[Ledger],
    figures: Path,
    measured: Mapping[str, Cost],
    expected: Mapping[str, Cost],
    folder: Path,
) -> str:
    """Return the page.

    Args:
        verdict: what verdict.json holds.
        ledgers: whose claims these are.
        figures: the folder of the figures of this scale.
        measured: what each job of this run cost.
        expected: what it was recorded to cost.
        folder: where the page will stand; addresses are relative to it.

    Raises:
        LookupError: the verdicts lack something that the page shows.
    """
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    claims = [_claim(entry) for entry in verdict["claims"]]
    by_system = {
        ledger.system: _figures_of(ledger.system, claims, figures, folder) for ledger in ledgers
    }
    _tell_costs(by_system, measured, expected, folder)
    _link_claims(claims, by_system)
    # What a machine of known speed took for the same is no job.
    jobs = (set(measured) | set(expected)) - {CALIBRATION}
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    contents = {
        "scale": verdict["scale"],
        "claims": claims,
        "counts": [(name, sum(claim["verdict"] == name for claim in claims)) for name in STYLES],
        "unexpected": [claim["id"] for claim in claims if not claim["matches"]],
        "green": [claim["id"] for claim in claims if claim["control"]["holds"] is False],
        "ledgers": ledgers,
        "figures": by_system,
        "costs": _cost_groups(measured, expected),
        "totals": _cost_line("all jobs", measured, expected, jobs),
        "provenance": verdict["provenance"],
        "drift": _result(figures / "drift.md", folder).address,
    }
    try:
        return template.render(contents)
    except jinja2.UndefinedError as error:
        raise LookupError(str(error)) from error


def _tell_costs(
    by_system: Mapping[str, list[dict[str, Any]]],
    measured: Mapping[str, Cost],
    expected: Mapping[str, Cost],
    folder: Path,
) -> None:
    """Give each figure what its drawing cost, and all the jobs that it takes."""
    made_of = _jobs_of_figures(folder)
    for system, group in by_system.items():
        for figure in group:
            drawing = f"{system}/figures/{figure['name'].partition('/')[2]}"
            figure["drawing"] = _cost_line(drawing, measured, expected, {drawing})
            jobs = made_of.get(figure["name"], {drawing})
            figure["cost"] = _cost_line(figure["name"], measured, expected, jobs)


def _link_claims(
    claims: Iterable[dict[str, Any]], by_system: Mapping[str, list[dict[str, Any]]]
) -> None:
    """Give each claim the links of its figure, where that is drawn."""
    drawn = {figure["name"]: figure for group in by_system.values() for figure in group}
    for claim in claims:
        figure = drawn.get(claim["figure"])
        claim["figure_drawn"] = figure is not None
        links = figure["links"] if figure else {}
        claim["links"] = {name: links[name] for name in FROM_A_CLAIM if name in links}


def _jobs_of_figures(results: Path) -> dict[str, set[str]]:
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


def _claim(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A claim of verdict.json with its numbers as a person reads them."""
    control, positive = entry["control"], entry.get("positive")
    return {
        **entry,
        "shown": ("difference " if entry["difference"] else "")
        + number(entry["measured"], entry["error"]),
        "control": control | {"shown": number(control["measured"], control["error"])},
        "positive": positive
        and positive | {"shown": number(positive["measured"], positive["error"])},
        "criteria": [
            criterion
            | {
                "shown": number(criterion["measured"], criterion["error"]),
                "name": criterion.get("measure")
                or f"{criterion.get('larger')} − {criterion.get('smaller')}",
            }
            for criterion in entry["criteria"]
        ],
    }


def _figures_of(
    system: str, claims: Sequence[Mapping[str, Any]], figures: Path, folder: Path
) -> list[dict[str, Any]]:
    """Every drawn figure of a system: those that decide a claim first, in the ledger's order."""
    named = [claim["figure"] for claim in claims if claim["system"] == system and claim["figure"]]
    there = [f"{system}/{path.stem}" for path in sorted((figures / system).glob("*.png"))]
    functions = _functions(system)
    found = []
    for name in dict.fromkeys([*named, *there]):
        if name not in there:
            continue
        short = name.partition("/")[2]
        module, line, summary = functions.get(short, (None, 0, ""))
        results = folder / system
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
                    "data": _result(figures / f"{name}.csv", folder),
                    "vector graphic": _result(figures / f"{name}.svg", folder),
                    "provenance": _result(figures / f"{name}.provenance.json", folder),
                    "log": _result(results / "logs" / "figures" / f"{short}.log", folder),
                    "rule": _rule(f"{system}_figure", CHECKOUT / f"workflow/{system}.smk", folder),
                    "code": _code(module, line, short, folder),
                },
            }
        )
    return found


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


def _result(path: Path, folder: Path) -> Place:
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


# --- costs ----------------------------------------------------------------------------------------


def _cost_groups(measured: Mapping[str, Cost], expected: Mapping[str, Cost]) -> list[dict]:
    """Costs by system and kind of job, each with its jobs."""
    groups: dict[str, set[str]] = {}
    for job in [*measured, *expected]:
        # introspection/distillers/quadratic, introspection/analysis, holography/flows/disc/2
        groups.setdefault("/".join(re.split("/", job)[:2]), set()).add(job)
    return [
        _cost_line(name, measured, expected, jobs)
        | {"jobs": [_cost_line(job, measured, expected, {job}) for job in sorted(jobs)]}
        for name, jobs in sorted(groups.items())
        if name != CALIBRATION
    ]


def _cost_line(
    name: str, measured: Mapping[str, Cost], expected: Mapping[str, Cost], jobs: Iterable[str]
) -> dict[str, Any]:
    """Processor time recorded and spent, and the largest memory, of some jobs.

    Both sums run over the jobs that have both, so that they can be compared; jobs that were not
    benchmarked in this run are counted apart.
    """
    jobs = set(jobs)
    ran = jobs & set(measured)
    both = ran & set(expected)
    actual = sum(measured[job].cpu_s for job in ran)
    recorded = sum(expected[job].cpu_s for job in jobs & set(expected))
    ratio = None
    if both and (base := sum(expected[job].cpu_s for job in both)) >= 1.0:
        ratio = sum(measured[job].cpu_s for job in both) / base
    return {
        "name": name,
        "count": len(jobs),
        "expected": clock(recorded) if jobs & set(expected) else "not recorded",
        "actual": clock(actual) if ran else "not in this run",
        "ratio": "–" if ratio is None else f"{ratio:.2f}",
        "memory": f"{max(measured[job].memory_mib for job in ran):.0f} MiB" if ran else "–",
    }
