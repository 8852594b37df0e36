"""The report: one HTML page that needs nothing but itself, the verdict table first.

Everything in it was written by earlier stages: verdict.json says what was decided, the ledgers whose
claims they are, the figures are embedded, the benchmark files say what each job cost beside what it
was recorded to cost. Links lead from a claim to its figure and to the figure's data, rule, log and code;
only these files are not embedded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from emergence.artifacts import read_numbers, write_text
from emergence.errors import ArtifactError
from emergence.verification.claims import Ledger, load_ledgers
from emergence.verification.costs import CALIBRATION, Cost, measured_costs, recorded_costs
from emergence.verification.page_costs import cost_groups, cost_line
from emergence.verification.page_figures import articles, file_place, jobs_drawn
from emergence.verification.readme import number
from emergence.verification.wording import STYLES

TEMPLATE = Path(__file__).with_name("page.html.jinja")
FROM_A_CLAIM = ("data", "rule", "log", "code")
"""Of its figure, what a claim itself links to."""


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
    drawn_from = jobs_drawn(folder)
    by_system = {
        ledger.system: articles(ledger.system, claims, figures, folder, drawn_from)
        for ledger in ledgers
    }
    _tell_costs(by_system, measured, expected, drawn_from)
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
        "drawn_at": None if figures.name == folder.name else figures.name,
        "costs": cost_groups(measured, expected),
        "totals": cost_line("all jobs", measured, expected, jobs),
        "provenance": verdict["provenance"],
        "drift": file_place(figures / "drift.md", folder).address,
    }
    try:
        return template.render(contents)
    except jinja2.UndefinedError as error:
        raise LookupError(str(error)) from error


def _tell_costs(
    by_system: Mapping[str, list[dict[str, Any]]],
    measured: Mapping[str, Cost],
    expected: Mapping[str, Cost],
    drawn_from: Mapping[str, set[str]],
) -> None:
    """Give each figure what its drawing cost, and all the jobs that it takes."""
    for system, group in by_system.items():
        for figure in group:
            drawing = f"{system}/figures/{figure['name'].partition('/')[2]}"
            figure["drawing"] = cost_line(drawing, measured, expected, {drawing})
            jobs = drawn_from.get(figure["name"], {drawing})
            figure["cost"] = cost_line(figure["name"], measured, expected, jobs)


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
