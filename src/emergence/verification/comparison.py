"""Numbers of two independent runs: do they agree?

Every number that a claim is decided by is tested where the chance of a false alarm is known: values
per seed by the Mann-Whitney test, where there are enough of them to tell anything; a single training
against the spread over seeds that was measured of it (:mod:`.drift`), where there is one. All these
p-values together keep the family-wise error :data:`ALPHA` (Holm). What has neither is judged by the
claim's own criterion: the two runs must not fall on different sides of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emergence.errors import ArtifactError
from emergence.statistics import Measurement, read_measurements
from emergence.verification.claims import Claim, load_ledgers
from emergence.verification.criteria import Criterion, keys_of
from emergence.verification.numbers import number
from emergence.verification.outcomes import evaluate

ALPHA = 0.05
"""Family-wise error: the chance that any of the tested numbers disagrees although nothing differs."""
PASSES = ("reproduced", "compatible")

Spreads = Mapping[tuple[str, str], tuple[float, int]]
"""(system, measurement) → standard deviation over trainings, and how many of them."""


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
    wanted, tested, judged = set(names), {}, []
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
                        tested.setdefault(key, (one, two, *result, []))[4].append(claim.id)
    return _decide(tested, alpha) + judged


def _find(found: Mapping[str, Measurement], name: str, folder: Path) -> Measurement:
    if name not in found:
        raise ArtifactError(
            f"The measurements in {folder} lack the number '{name}'.",
            "Rerun snakemake there with this version.",
        )
    return found[name]


def _test(
    system: str, ours: Measurement, theirs: Measurement, spreads: Spreads
) -> tuple[str, float] | None:
    """Return which test applies and its p-value; None where none does."""
    from scipy import stats

    if None in (ours.value, theirs.value):
        return None
    if ours.values is not None and theirs.values is not None:
        if powerful(len(ours.values), len(theirs.values)):
            answer = stats.mannwhitneyu(ours.values, theirs.values)
            # All values equal: SciPy has no ranks to tell apart.
            p = 1.0 if math.isnan(answer.pvalue) else float(answer.pvalue)
            return "Mann-Whitney, seed by seed", p
        return None
    spread, trainings = spreads.get((system, theirs.name), (0.0, 0))
    if spread > 0 and trainings >= 3:
        # A new training among so many: Student's t of a difference of two single ones.
        t = abs(ours.value - theirs.value) / (spread * math.sqrt(2.0))
        p = 2.0 * float(stats.t.sf(t, trainings - 1))
        return f"Student's t, spread of {trainings} trainings", p
    return None


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
        f"{one.verdict}, where the run came out {two.verdict}",
    )


def _decide(tested: Mapping[tuple[str, str], tuple[Any, ...]], alpha: float) -> list[Compared]:
    rejected = holm([entry[3] for entry in tested.values()], alpha)
    return [
        Compared(
            tuple(dict.fromkeys(claims)),
            f"{system}: {name}",
            test,
            number(ours.value, ours.error),
            number(theirs.value, theirs.error),
            p,
            not disagrees,
            f"p = {p:.2g}",
        )
        for ((system, name), (ours, theirs, test, p, claims)), disagrees in zip(
            tested.items(), rejected, strict=True
        )
    ]


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
