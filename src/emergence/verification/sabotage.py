"""Negative controls as a command: the physics is broken on purpose, and the claim must turn red.

An experiment (:mod:`.experiments`) is run once as it is, when it must pass,
and once with each breakage, when it must come out *deviates*: a check that cannot fail shows nothing.
Beside these stand the controls of the ledger, which every run of the workflow measures anyway.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from emergence.artifacts import read_numbers, write_numbers
from emergence.errors import SettingsError, VerdictMismatch
from emergence.settings import load
from emergence.statistics import read_measurements
from emergence.verification import breakages
from emergence.verification.claims import Claim, Control, load_ledgers
from emergence.verification.experiments import EXPERIMENTS
from emergence.verification.numbers import number
from emergence.verification.outcomes import Outcome, evaluate
from emergence.verification.verdicts import Decision, decide, must_decide
from emergence.verification.wording import STYLES

GREEN = ("reproduced", "compatible")
KEYS = ("case", "claim", "breaks", "must", "demanded", "measured", "error", "verdict", "note")


@dataclass(frozen=True)
class Case:
    """One experiment, whole or broken."""

    experiment: str
    """Key of :data:`~emergence.verification.experiments.EXPERIMENTS`."""
    breaks: Callable[[], AbstractContextManager]
    """One of :mod:`breakages`; its docstring says what is broken."""
    reading: bool = False
    """Whether only the reading of the results is broken, and not the stages that make them."""

    @property
    def must(self) -> str:
        """ "pass" where nothing is broken, else "deviate"."""
        return "pass" if self.breaks is breakages.nothing else "deviate"


def run_case(name: str, settings_file: Path, ledgers: Path, output: Path) -> None:
    """Run one case and write what it came to, :data:`KEYS` among it.

    Raises:
        SettingsError: there is no such case, or the settings are malformed.
        LedgerError: the ledger is malformed, or lacks the claim.
    """
    if name not in CASES:
        raise SettingsError(
            f"There is no case named {name!r}.", f"Choose one of: {', '.join(CASES)}."
        )
    case = CASES[name]
    experiment = EXPERIMENTS[case.experiment]
    claim = _claim(ledgers, experiment.claim)
    with tempfile.TemporaryDirectory(prefix="emergence-") as place:
        folder, small = Path(place), Path(place, "settings.yaml")
        content = load(settings_file).model_dump(mode="json")
        experiment.reduce(content)
        # Sizes stand in the order of growth.
        small.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        whole = breakages.nothing
        with (whole if case.reading else case.breaks)():
            experiment.stages(small, folder)
        with (case.breaks if case.reading else whole)():
            found = {m.name: m for m in experiment.read(load(small), folder)}
    outcome = evaluate(claim.criteria[0], found.__getitem__)
    write_numbers(
        output,
        {
            "case": name,
            "claim": claim.id,
            "breaks": " ".join((case.breaks.__doc__ or "").split()),
            "must": case.must,
            "measure": getattr(claim.criteria[0], "measure", claim.criteria[0].test),
            "demanded": claim.criteria[0].allowed(),
            "measured": outcome.measured,
            "error": outcome.error,
            "verdict": outcome.verdict,
            "note": outcome.note,
        },
    )


def judge(
    cases: Iterable[Path],
    ledgers: Path,
    results: Path,
    scale: str,
    output: Path,
    console: Console | None = None,
) -> None:
    """Print every control and how it came out, write the same to ``output``, fail on a green one.

    Args:
        cases: what :func:`run_case` wrote.
        ledgers: the folder of ledgers.
        results: the folder of one scale, whose measurements decide the ledger's own controls.
        scale: as whose claims these are judged.
        output: JSON file.

    Raises:
        VerdictMismatch: a control stayed green, or an unbroken experiment did not pass; everything
            was printed and written before.
        ArtifactError: a case or the measurements are missing or corrupt.
        LedgerError: a ledger is malformed, or a measurement is missing.
    """
    rows = [_of_case(read_numbers(path, required=KEYS)) for path in cases]
    for ledger in load_ledgers(ledgers):
        if must_decide(ledger, scale):
            measurements = read_measurements(results / ledger.system / "measurements.json")
            decisions = decide(ledger, measurements, scale)
            rows += [_of_ledger(decision) for decision in decisions if decision.control]
            rows += [_of_positive(decision) for decision in decisions if decision.positive]
    write_numbers(output, {"scale": scale, "controls": rows})
    # A log is no terminal and has no width of its own.
    console = console or Console(width=None if sys.stdout.isatty() else 160)
    console.print(_table(rows))
    if bad := [row for row in rows if not row["holds"]]:
        told = " ".join(
            f"The control '{row['control']}' of claim {row['claim']} must {row['must']}, but came "
            f"out {row['verdict']} ({row['note']})."
            for row in bad
        )
        raise VerdictMismatch(
            told, "A check that cannot fail decides nothing: mend the criterion or the control."
        )
    console.print(f"All {len(rows)} controls came out as they must.")


def _of_case(entry: Mapping[str, Any]) -> dict[str, Any]:
    red = entry["verdict"] == "deviates"
    return {
        "claim": entry["claim"],
        "control": entry["case"].replace("_", " "),
        "what": entry["breaks"],
        "must": entry["must"],
        "demanded": entry["demanded"],
        "measured": entry["measured"],
        "error": entry["error"],
        "verdict": entry["verdict"],
        "holds": red if entry["must"] == "deviate" else entry["verdict"] in GREEN,
        "note": entry["note"],
    }


def _of_ledger(decision: Decision) -> dict[str, Any]:
    """A control of the ledger; one without power is excused where the ledger says why."""
    outcome, claim = decision.control, decision.claim
    row = _row(decision, outcome, claim.control, "deviate", decision.control_holds)
    excused = decision.control_holds and outcome.verdict != "deviates"
    return row | ({"note": f"the ledger says why: {claim.reason}"} if excused else {})


def _of_positive(decision: Decision) -> dict[str, Any]:
    """What must pass the criterion that a claim is expected to fail."""
    positive = decision.claim.positive
    return _row(decision, decision.positive, positive, "pass", decision.positive_holds)


def _row(
    decision: Decision, outcome: Outcome, control: Control, must: str, holds: bool
) -> dict[str, Any]:
    return {
        "claim": decision.claim.id,
        "control": control.name,
        "what": control.statement,
        "must": must,
        "measured": outcome.measured,
        "error": outcome.error,
        "verdict": outcome.verdict,
        "holds": holds,
        "note": outcome.note,
    }


def _table(rows: Iterable[Mapping[str, Any]]) -> Table:
    table = Table(title="Negative controls", title_justify="left")
    for heading in ("claim", "control", "what is broken", "measured", "must", "came out"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "claim")
    for row in rows:
        style = STYLES[row["verdict"]] if row["must"] == "pass" else ""
        table.add_row(
            row["claim"],
            Text(row["control"]),
            Text(row["what"]),
            number(row["measured"], row["error"]),
            row["must"],
            Text(row["verdict"], style if row["holds"] else "bold red"),
        )
    return table


def _claim(ledgers: Path, name: str) -> Claim:
    for ledger in load_ledgers(ledgers):
        for claim in ledger.claims:
            if claim.id == name:
                return claim
    raise SettingsError(f"The ledger has no claim {name}.", "Restore it, or drop its case.")


CASES = {
    "whole_translator": Case("translator", breakages.nothing),
    "wrong_pairing": Case("translator", breakages.wrong_pairing),
    "delayed_potential": Case("translator", breakages.delayed_potential),
    "whole_distiller": Case("distiller", breakages.nothing),
    "shuffled_latents": Case("distiller", breakages.shuffled_latents, reading=True),
    "whole_flow": Case("flow", breakages.nothing),
    "dropped_jacobian": Case("flow", breakages.dropped_jacobian),
    "cut_torus": Case("flow", breakages.cut_torus),
    "whole_diagram": Case("diagram", breakages.nothing),
    "unweighed_chains": Case("diagram", breakages.unweighed_chains),
    "whole_chain": Case("chain", breakages.nothing),
    "flipped_field": Case("chain", breakages.flipped_field),
    "wrong_boundary": Case("chain", breakages.wrong_boundary),
    "acausal_network": Case("chain", breakages.acausal_network),
    "memoryless_sampling": Case("chain", breakages.memoryless_sampling),
    "whole_frustrated": Case("frustrated", breakages.nothing),
    "flipped_coupling": Case("frustrated", breakages.flipped_coupling),
}
