"""Numbers of two independent runs: do they agree?

Every number that a claim is decided by is tested where the chance of a false alarm is known: values
per seed by the Mann-Whitney test, where there are enough of them to tell anything; a single training
against the spread over seeds that was measured of it (:mod:`.drift`), where there is one, or against the
errors of both numbers, where these are larger. All these
p-values together keep the family-wise error :data:`ALPHA` (Holm). What has neither is judged by the
claim's own criterion: the two runs must not fall on different sides of it.

A test that only a huge change would fail proves nothing by passing. Of each number the least change that
would be told is returned too, and beyond :data:`FARTHEST` spreads the number has no power.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from emergence.errors import ArtifactError
from emergence.statistics import Measurement, read_measurements, scatter
from emergence.verification.claims import Claim, load_ledgers
from emergence.verification.criteria import Criterion, keys_of
from emergence.verification.numbers import number
from emergence.verification.outcomes import evaluate
from emergence.verification.seeds import Spread, Spreads

ALPHA = 0.05
"""Family-wise error: the chance that any of the tested numbers disagrees although nothing differs."""
FARTHEST = 10.0
"""Spreads of single trainings. A number of which no smaller change would be told is not confirmed: from
two such runs a training that failed would hardly be told from one that did not."""
PASSES = ("reproduced", "compatible")


@dataclass(frozen=True)
class Compared:
    """One number, or one criterion, of two runs."""

    claims: tuple[str, ...]
    name: str
    test: str
    ours: str
    theirs: str
    p: float | None
    """Of the number alone; None where a criterion decides."""
    agrees: bool | None
    """None where the test had no power."""
    note: str
    least: float | None = None
    """The smallest change of the number that would be told; None where a criterion decides, or none
    would be."""
    least_in_spreads: float | None = None
    """The same in spreads of single trainings."""


def compare(
    names: Iterable[str],
    ledgers: Path,
    reference: Path,
    results: Path,
    spreads: Spreads,
    alpha: float = ALPHA,
) -> list[Compared]:
    """Compare every number of some claims.

    Args:
        names: the claims.
        ledgers: the folder of ledgers.
        reference: folder of the run that is checked, with ``<system>/measurements.json``.
        results: folder of the run it is checked by.
        spreads: what is known of single trainings.
        alpha: family-wise error.

    Raises:
        ArtifactError: measurements are missing or corrupt, or lack a number.
        LedgerError: a ledger is malformed.
    """
    wanted, judged = set(names), []
    tested: dict[tuple[str, str], tuple[Measurement, Measurement, _Test, list[str]]] = {}
    for ledger in load_ledgers(ledgers):
        claims = [claim for claim in ledger.claims if claim.id in wanted]
        if not claims:
            continue
        ours, theirs = (
            read_measurements(folder / ledger.system / "measurements.json")
            for folder in (results, reference)
        )
        for claim in claims:
            for criterion in claim.criteria:
                pairs = [
                    (_find(ours, key, results), _find(theirs, key, reference))
                    for key in keys_of(criterion)
                ]
                found = {
                    (ledger.system, two.name): _test(ledger.system, one, two, spreads)
                    for one, two in pairs
                }
                if None in found.values():
                    judged.append(_judge(claim, criterion, ours, theirs))
                for (one, two), (key, result) in zip(pairs, found.items(), strict=True):
                    if result is not None:
                        tested.setdefault(key, (one, two, result, []))[3].append(claim.id)
    return _decide(tested, alpha) + judged


def _find(found: Mapping[str, Measurement], name: str, folder: Path) -> Measurement:
    if name not in found:
        raise ArtifactError(
            f"The measurements in {folder} lack the number '{name}'.",
            "Rerun snakemake there with this version.",
        )
    return found[name]


@dataclass(frozen=True)
class _Test:
    """A test of one number between two runs."""

    name: str
    p: float
    spread: float
    """Of single trainings, or, where it is larger, what the errors of both numbers make of it."""
    least: Callable[[float], float]
    """The smallest change that is told at a level; infinite where none is."""


def _test(system: str, ours: Measurement, theirs: Measurement, spreads: Spreads) -> _Test | None:
    """Return the test that applies; None where none does."""
    from scipy import stats

    if None in (ours.value, theirs.value):
        return None
    if ours.values is not None and theirs.values is not None:
        if powerful(len(ours.values), len(theirs.values)):
            p = _of_ranks(ours.values, theirs.values)
            least = partial(least_shift, theirs.values, len(ours.values))
            return _Test("Mann-Whitney, seed by seed", p, scatter(theirs.values) or 0.0, least)
        return None
    spread, trainings, *_ = spreads.get((system, theirs.name), Spread(0.0, 0))
    if spread > 0 and trainings >= 3:
        # A new training among so many: Student's t of a difference of two single ones. Trainings may
        # happen to scatter by less than the errors of their numbers, which another will not.
        unit = max(spread * math.sqrt(2.0), math.hypot(ours.error or 0.0, theirs.error or 0.0))
        p = 2.0 * float(stats.t.sf(abs(ours.value - theirs.value) / unit, trainings - 1))
        name = f"Student's t, spread of {trainings} trainings"
        least = lambda level: unit * float(stats.t.isf(level / 2.0, trainings - 1))  # noqa: E731
        return _Test(name, p, unit / math.sqrt(2.0), least)
    return None


def _of_ranks(first: Sequence[float], second: Sequence[float]) -> float:
    """p-value of the Mann-Whitney test."""
    from scipy import stats

    p = float(stats.mannwhitneyu(first, second).pvalue)
    # All values equal: SciPy has no ranks to tell apart.
    return 1.0 if math.isnan(p) else p


def least_shift(values: Sequence[float], number: int, level: float) -> float:
    """The smallest shift of an ensemble that Mann-Whitney tells at a level; infinite where none is.

    The other run is taken to be ``number`` values spread as these are (their quantiles), shifted as a whole;
    only where a shift carries one value past another it changes the ranks.
    """
    held = np.sort(np.asarray(values, dtype=float))
    other = np.quantile(held, (np.arange(number) + 0.5) / number, method="hazen")
    shifts = np.unique(np.abs(held[:, None] - other[None, :]))
    beyond = [*(shifts[:-1] + shifts[1:]) / 2.0, shifts[-1] + (np.ptp(held) or 1.0) * 1e-6]
    low, high = 0, len(beyond)
    # The further the shift, the smaller p.
    while low < high:
        middle = (low + high) // 2
        if _of_ranks(tuple(other + beyond[middle]), tuple(held)) <= level:
            high = middle
        else:
            low = middle + 1
    return float(beyond[low]) if low < len(beyond) else math.inf


def powerful(first: int, second: int, alpha: float = ALPHA) -> bool:
    """Return whether so few seeds could disagree at all: two groups that do not overlap have the
    least p-value, two in the number of ways to share the ranks; a tenth of ``alpha`` is asked for,
    because several numbers are tested at once."""
    return 2.0 / math.comb(first + second, first) <= alpha / 10.0


def _judge(
    claim: Claim,
    criterion: Criterion,
    ours: Mapping[str, Measurement],
    theirs: Mapping[str, Measurement],
) -> Compared:
    one, two = (evaluate(criterion, found.__getitem__) for found in (ours, theirs))
    sides = {"passes" if v in PASSES else "fails" for v in (one.verdict, two.verdict)}
    undecided = "underpowered" in (one.verdict, two.verdict)
    return Compared(
        (claim.id,),
        getattr(criterion, "measure", criterion.allowed()),
        f"the claim's criterion: {criterion.allowed()}",
        number(one.measured, one.error),
        number(two.measured, two.error),
        None,
        None if undecided else len(sides) == 1,
        f"by its errors {one.verdict}, where the run came out {two.verdict}",
    )


def _decide(
    tested: Mapping[tuple[str, str], tuple[Measurement, Measurement, _Test, list[str]]],
    alpha: float,
) -> list[Compared]:
    rejected = holm([test.p for _, _, test, _ in tested.values()], alpha)
    rows = []
    for ((system, name), (ours, theirs, test, claims)), disagrees in zip(
        tested.items(), rejected, strict=True
    ):
        # The level of Holm's first step, which a single change has to pass.
        least = test.least(alpha / len(tested))
        far = math.isinf(least) or least > FARTHEST * test.spread > 0
        rows.append(
            Compared(
                tuple(dict.fromkeys(claims)),
                f"{system}: {name}",
                test.name,
                number(ours.value, ours.error),
                number(theirs.value, theirs.error),
                test.p,
                False if disagrees else None if far else True,
                f"p = {test.p:.2g}",
                least if math.isfinite(least) else None,
                least / test.spread if math.isfinite(least) and test.spread > 0 else None,
            )
        )
    return rows


def holm(p_values: Sequence[float], alpha: float) -> list[bool]:
    """Return which hypotheses Holm's procedure rejects at a family-wise error ``alpha``.

    S. Holm, Scandinavian Journal of Statistics 6, 65 (1979).
    """
    rejected = [False] * len(p_values)
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[index] > alpha / (len(p_values) - rank):
            break
        rejected[index] = True
    return rejected
