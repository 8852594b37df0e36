"""The drift certificate: how much each claimed number moves when what should not matter changes.

Along each axis (:mod:`.drift_runs`) the spread of every number that a claim is decided by, beside
the room that its criterion leaves. Over seeds the spread is the standard deviation of single
trainings; along the other axes, and between the machine that shipped the weights and this one, it is
the difference that the change makes, and is kept with the weights that were evaluated
(:mod:`.underlying`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from emergence.artifacts import read_numbers
from emergence.errors import ArtifactError
from emergence.statistics import read_measurements
from emergence.verification.claims import Ledger, load_ledgers
from emergence.verification.criteria import Criterion, keys_of
from emergence.verification.drift_runs import (
    FAST,
    FOLDER,
    OF_SAMPLING,
    SAMPLED,
    SAMPLING,
    SEED,
    TARGETS,
    WEIGHTS,
)
from emergence.verification.drift_spreads import (
    Change,
    Found,
    between,
    over_seeds,
    redrawn,
    wide_enough,
)
from emergence.verification.drift_table import AXES, dated, framed, joined, kept_of
from emergence.verification.outcomes import evaluate
from emergence.verification.seeds import Spread, Spreads
from emergence.verification.underlying import SWITCHES, Weights, reached


def measure(
    scale: str,
    judged_as: str,
    ledgers: Path,
    results: Path,
    shipped: Path,
    weights: Weights,
    kept: Spreads,
) -> pd.DataFrame:
    """Return the spread of every number along every axis that was run.

    Args:
        scale: of the weights, for messages.
        judged_as: whose claims are meant.
        ledgers: the folder of ledgers.
        results: root of the results, with ``drift/runs.json``.
        shipped: folder of the shipped weights, for the numbers of the machine they come from.
        weights: fingerprints of the weights that are shipped there, by number.
        kept: what an earlier certificate knows of trainings from other seeds.

    Returns:
        A row per claim, number and axis, with the columns of :mod:`.drift_table`: ``runs`` are the
        values that the spread is of, ``noise`` the standard error of the difference of two evaluations
        of other samples, NaN where they are the same, ``demanded`` the criterion in words, ``room`` how
        far the value is from where the statement itself begins to hold or to fail of it.

    Raises:
        ArtifactError: the runs were not planned or not made, or are of other weights, or a measurement
            is corrupt.
        LedgerError: a ledger is malformed.
    """
    listed = results / FOLDER / "runs.json"
    if not listed.is_file():
        raise ArtifactError(f"{listed} is missing.", f"Run `make drift SCALE={scale}`.")
    axis_of = read_numbers(listed)
    planned = read_numbers(listed.with_name(WEIGHTS))
    if any(
        weights.get((system, key), told) != told
        for system, numbers in planned.items()
        for key, told in numbers.items()
    ):
        raise ArtifactError(
            f"The runs in {results} were planned for other weights than those in {shipped}.",
            f"Run `make drift SCALE={scale}`.",
        )
    rows = []
    for ledger in load_ledgers(ledgers):
        runs = {name: _read(results / name, ledger.system) for name in axis_of}
        base_name = next((name for name, axis in axis_of.items() if axis == "base"), None)
        changed, first = {}, _read(shipped, ledger.system) or {}
        # Where only trainings were run from other seeds, the run that shipped the weights is the base.
        base = runs[base_name] if base_name else first
        if base_name == SAMPLED:
            base = _of_sampling(base, ledger.system)
        if base is None and base_name and not _asked(results / base_name, ledger.system):
            base = {}
        if base is None:
            raise ArtifactError(
                f"{results} holds no evaluation of {ledger.system} to compare with.",
                f"Run `make drift SCALE={scale}`.",
            )
        # Of what nobody asked for such runs have a part, evaluated for the sake of something else.
        asked = planned.get(ledger.system, {})
        base = {key: found for key, found in base.items() if key in asked}
        # Fewer samples than the run that shipped the weights are other samples; trainings from other
        # seeds are evaluated like that run. Machines are compared where all is evaluated.
        if base_name not in (FAST, SAMPLED, None):
            changed["machine"], first = first, base
        again = {}
        for name, found in runs.items():
            if axis_of[name] == "seeds":
                again[int(name.removeprefix(SEED))] = found or {}
            elif axis_of[name] != "base":
                changed[axis_of[name]] = found or {}
        over = _OverSeeds(first, again, kept)
        rows += _rows(ledger, judged_as, {**first, **base}, base, changed, over, weights)
    return framed(rows, weights)


@dataclass(frozen=True)
class _OverSeeds:
    """Trainings, and what is known of earlier ones."""

    shipped: Found
    """The run that shipped the weights."""
    again: Mapping[int, Found]
    """Those from other seeds, by the number of the seed."""
    kept: Spreads

    def change(self, system: str, key: str, base: Found) -> Change:
        """How far a number moves over them."""
        known = self.kept.get((system, key), Spread(np.nan, 0))
        return over_seeds(key, base, self.shipped, self.again, known)


def refreshed(
    earlier: pd.DataFrame,
    judged_as: str,
    ledgers: Path,
    shipped: Path,
    weights: Weights,
) -> pd.DataFrame:
    """An earlier certificate with the numbers that are shipped now, and the room that these have.

    Args:
        earlier: as of :func:`measure`, with the column ``commit``.
        judged_as: whose claims are meant.
        ledgers: the folder of ledgers.
        shipped: folder of the shipped weights and measurements.
        weights: fingerprints of these weights, by number.

    Raises:
        ArtifactError: a measurement is corrupt.
        LedgerError: a ledger is malformed.
    """
    rows, kept = [], kept_of(earlier)
    for ledger in load_ledgers(ledgers):
        found = _read(shipped, ledger.system) or {}
        over = _OverSeeds(found, {}, kept)
        rows += _rows(ledger, judged_as, found, found, {}, over, weights)
    # Of the values that are shipped: those of a fast evaluation have noise of their own.
    return wide_enough(joined(dated(framed(rows, weights)), earlier, weights))


def _read(folder: Path, system: str) -> Found | None:
    path = folder / system / "measurements.json"
    return read_measurements(path) if path.is_file() else None


def _asked(folder: Path, system: str) -> bool:
    """Whether a run was to come to numbers of a system: some are of a few claims only."""
    targets = folder / TARGETS
    return not targets.is_file() or f"/{system}/" in targets.read_text("utf-8")


def _of_sampling(base: Found | None, system: str) -> Found | None:
    """The numbers of chains and bulks: what else such a run has is part of a flow's evaluation.

    None where there should be some and nothing was evaluated.
    """
    if base is None:
        return None if system in OF_SAMPLING else {}
    kinds = tuple(kind.removeprefix(f"{system}/") for kind in SAMPLING)
    return {key: each for key, each in base.items() if each.source.startswith(kinds)}


def _rows(
    ledger: Ledger,
    judged_as: str,
    known: Found,
    base: Found,
    changed: Mapping[str, Found],
    over: _OverSeeds,
    weights: Weights,
) -> list[tuple]:
    """A row per claim, number and axis.

    Args:
        known: the numbers of the base and, since a fast evaluation has no chains and bulks, the others
            of the run that shipped the weights.
        base: what the runs along the other axes are compared with.
        changed: those runs, by axis.
        over: trainings from other seeds.
    """
    rows = []
    for claim in ledger.claims:
        for criterion in claim.criteria if judged_as in claim.scales else ():
            keys = keys_of(criterion)
            if not all(key in known for key in keys):
                # What was not evaluated has no drift either, but is named.
                rows += [
                    _row(
                        (ledger.system, claim.id, key, np.nan), "seeds", Change(), criterion, np.nan
                    )
                    for key in keys
                ]
                continue
            left = evaluate(criterion, known.__getitem__).room
            left = np.nan if left is None else left
            for key in keys:
                value = known[key].value
                about = (ledger.system, claim.id, key, np.nan if value is None else value)
                spreads = {"seeds": over.change(ledger.system, key, known)}
                for axis, found in changed.items() if key in base else ():
                    change = between(key, base, found)
                    drawn = redrawn(base[key].source, axis)
                    spreads[axis] = change if drawn else change._replace(noise=np.nan)
                beyond = [
                    axis for axis in SWITCHES if not reached(ledger.system, key, axis, weights)
                ]
                spreads |= dict.fromkeys(beyond, Change())
                rows += [
                    _row(about, axis, spreads[axis], criterion, left)
                    for axis in AXES
                    if axis in spreads
                ]
    return rows


def _row(about: tuple, axis: str, change: Change, criterion: Criterion, left: float) -> tuple:
    """One row: system, claim, number and value, then what moves it, then the room that is left."""
    demanded = criterion.allowed()
    moved = change.spread, change.runs, change.noise
    return (*about, axis, *moved, demanded, left, change.trained, change.values)
