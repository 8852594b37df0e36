"""How a claim is decided: by the worst of its criteria, its controls, and what the ledger expects.

:mod:`emergence.verification.outcomes` says how each criterion is decided.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from emergence.errors import LedgerError, VerdictMismatch
from emergence.statistics import Measurement
from emergence.verification.claims import NEEDS_REASON, NOT_RUN, Claim, Ledger, Verdict
from emergence.verification.criteria import Criterion
from emergence.verification.numbers import filled
from emergence.verification.outcomes import Outcome, evaluate

_SEVERITY: tuple[Verdict, ...] = ("reproduced", "compatible", "underpowered", "deviates")


@dataclass(frozen=True)
class Decision:
    """What one claim came to at one scale."""

    system: str
    claim: Claim
    scale: str
    verdict: Verdict
    expected: Verdict
    outcomes: tuple[Outcome, ...]
    """One per criterion; none where the claim is not run."""
    control: Outcome | None
    reason: str
    """Why a deviation is expected, or why it is not run; else empty."""
    positive: Outcome | None = None
    """What must pass the criterion that the claim fails; None where there is none."""

    @property
    def matches(self) -> bool:
        """Whether the verdict is the one that the ledger expects."""
        return self.verdict == self.expected

    @property
    def deciding(self) -> Outcome | None:
        """The criterion that the verdict rests on, of those that came out as the claim did.

        Of a compatible claim the one that is nearest to where it turns, by errors and seeds; else the
        ledger's headline if it is one of them, else the first.
        """
        headline = self.claim.headline
        places = sorted(range(len(self.outcomes)), key=lambda place: (place != headline, place))
        found = [self.outcomes[one] for one in places if self.outcomes[one].verdict == self.verdict]
        if self.verdict == "compatible":
            found.sort(key=lambda outcome: outcome.errors_left)
        return found[0] if found else None

    @property
    def rests_on_seed(self) -> bool:
        """Whether a training from another seed may come out otherwise.

        Of a claim that holds, by any of its criteria; of one that deviates, if no criterion that fails
        does so for every seed.
        """
        if self.verdict == "deviates":
            failed = [one for one in self.outcomes if one.verdict == self.verdict]
            return all(one.rests_on_seed for one in failed)
        decided = self.verdict in ("reproduced", "compatible")
        return decided and any(one.rests_on_seed for one in self.outcomes)

    @property
    def control_holds(self) -> bool:
        """Whether the control broke its criterion, as it must.

        Only one that its criterion has no power over is excused, where the claim is known to be
        underpowered.
        """
        if self.control is None or self.control.verdict == "deviates":
            return True
        return self.control.verdict == self.expected == "underpowered"

    @property
    def positive_holds(self) -> bool:
        """Whether what must pass the criterion passed it."""
        return self.positive is None or self.positive.verdict in ("reproduced", "compatible")


def must_decide(ledger: Ledger, scale: str, left_out: Container[str] = ()) -> bool:
    """Return whether any claim of the ledger, but those left out, is to be decided at this scale."""
    return any(scale in claim.scales and claim.id not in left_out for claim in ledger.claims)


def decide(
    ledger: Ledger,
    measurements: Mapping[str, Measurement],
    scale: str,
    left_out: Mapping[str, str] = MappingProxyType({}),
) -> list[Decision]:
    """Decide every claim of a ledger, in its order.

    Args:
        ledger: the claims of one system.
        measurements: those of that system at this scale, by name.
        scale: "smoke", "laptop" or "paper".
        left_out: claims that this run does not decide, each with why; they come out not run.

    Raises:
        LedgerError: a measurement is missing that a claim of this scale is decided by, or the seeds
            of two measurements that are compared seed by seed cannot be paired.
    """
    return [
        Decision(ledger.system, claim, scale, NOT_RUN, NOT_RUN, (), None, left_out[claim.id])
        if claim.id in left_out
        else _decide_claim(ledger, claim, measurements, scale)
        for claim in ledger.claims
    ]


def worst(outcomes: Iterable[Outcome]) -> Verdict:
    """The verdict of a claim by those of its criteria."""
    return max((outcome.verdict for outcome in outcomes), key=_SEVERITY.index)


def check(decisions: Iterable[Decision]) -> None:
    """Do nothing where every verdict is the expected one and every control turned red.

    Raises:
        VerdictMismatch: otherwise; a sentence per fault.
    """
    faults = [fault for decision in decisions for fault in _faults(decision)]
    if faults:
        raise VerdictMismatch(
            " ".join(faults),
            "Read verdict.md; record an honest deviation in the ledger, with its reason.",
        )


def _decide_claim(
    ledger: Ledger, claim: Claim, measurements: Mapping[str, Measurement], scale: str
) -> Decision:
    expected = claim.expected_at(scale)
    if scale not in claim.scales:
        reason = claim.reason or ""
        if claim.scales:
            reason = _not_run(claim, scale)
        return Decision(ledger.system, claim, scale, NOT_RUN, expected, (), None, reason)

    def find(name: str) -> Measurement:
        if name not in measurements:
            near = difflib.get_close_matches(name, measurements, n=1, cutoff=0.8)
            raise LedgerError(
                f"Claim {claim.id} must be decided at scale {scale}, but {ledger.system} has no "
                f"measurement '{name}' there.",
                f"Did you mean '{near[0]}'?"
                if near
                else "Correct its name, or leave the scale out of the claim's scales.",
            )
        return measurements[name]

    outcomes = tuple(evaluate(_told(criterion, find), find) for criterion in claim.criteria)
    verdict = worst(outcomes)
    control = evaluate(claim.asked_of(claim.control), find)
    positive = evaluate(claim.asked_of(claim.positive), find) if claim.positive else None
    reason = filled(claim.reason or "", find) if expected in NEEDS_REASON else ""
    return Decision(
        ledger.system, claim, scale, verdict, expected, outcomes, control, reason, positive
    )


def _told(criterion: Criterion, find: Callable[[str], Measurement]) -> Criterion:
    """The criterion with the numbers of its justification as they came out."""
    told = filled(criterion.justification, find)
    return criterion.model_copy(update={"justification": told})


def _not_run(claim: Claim, scale: str) -> str:
    """Why a scale leaves out a claim that others decide, or at least measure."""
    deciding = [one for one in claim.scales if claim.expected_at(one) != "underpowered"]
    if deciding:
        return f"Scale {scale} lacks the power to decide it; run scale {' or '.join(deciding)}."
    return (
        f"Scale {scale} does not measure it; scale {' or '.join(claim.scales)} does, though without "
        "the power to decide it."
    )


def _faults(decision: Decision) -> list[str]:
    """Return a sentence for each thing about a decision that the ledger does not expect."""
    claim, faults = decision.claim, []
    if not decision.matches:
        how = "; ".join(outcome.note for outcome in decision.outcomes)
        faults.append(
            f"Claim {claim.id} came out {decision.verdict} at scale {decision.scale}, but the "
            f"ledger expects {decision.expected}" + (f" ({how})." if how else ".")
        )
    if not decision.control_holds:
        faults.append(
            f"The control '{claim.control.name}' of claim {claim.id} did not turn red: it must "
            f"come out deviates, but came out {decision.control.verdict} "
            f"({decision.control.note})."
        )
    if not decision.positive_holds:
        faults.append(
            f"'{claim.positive.name}' must pass the criterion of claim {claim.id}, but came out "
            f"{decision.positive.verdict} ({decision.positive.note})."
        )
    return faults
