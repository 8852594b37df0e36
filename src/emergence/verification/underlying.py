"""What a number is read from: the shipped weights behind it, and whether an evaluation reaches it.

A spread that was measured by evaluating weights tells of these weights alone. Each is therefore kept
with a fingerprint of them, and given up once others are shipped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from emergence.settings import ChainsSettings, Settings, load
from emergence.shipped import Manifest, read_manifest
from emergence.verification.claims import load_ledgers
from emergence.verification.criteria import keys_of
from emergence.verification.jobs import Needs, deciding_jobs, load_needs, training_jobs

Number = tuple[str, str]
"""System and name of a measurement."""

UNEVALUATED: Mapping[str, tuple[str, ...]] = {
    # Read off the learnt update itself by NumPy: its latents and losses are what is evaluated.
    "introspection": (
        "law.spacing_error", "law.det_error", "law.similarity", "law.euler_similarity",
        "law.word_error", "general.spacing_error", "general.det_error", "strong.curvature",
        "lattice.curvature", "density_form.*", "noise_*.spacing_error",
        "noisy_start_*.spacing_error",
    ),
    # Of the cluster algorithm, of the exact free field, and what was counted or timed in training.
    "holography": (
        "correlation.reference_*", "correlation.stiffness_exponent", "budget.*", "*.parameters_*",
        "symmetry.time_ratio_*",
    ),
    "retraining": ("scratch.cost_ratio",),
}  # fmt: skip
"""System → patterns of the numbers that no network is evaluated for."""


def evaluated(system: str, name: str) -> bool:
    """Whether a network is evaluated for a number, so that threads, precision or compilation reach it."""
    return not any(fnmatchcase(name, pattern) for pattern in UNEVALUATED.get(system, ()))


def only_double(run: ChainsSettings) -> bool:
    """Whether chains cannot move in single precision: shifts are exact only in double."""
    return run.shifts > 0


def fingerprints(
    manifest: Manifest, settings: Settings, needs: Needs, scale: str, ledgers: Path
) -> dict[Number, str]:
    """Return a fingerprint of the shipped weights that each number of a claim is read from.

    Those are the trainings that every claim needs which is decided by the number: each of these
    claims needs all that the number is read from, so that what they have in common holds it.

    Args:
        manifest: of the shipped weights.
        settings: of the run that they come from.
        needs: which arms decide each claim.
        scale: whose claims are meant.
        ledgers: the folder of ledgers.

    Raises:
        LedgerError: a ledger or the needs are malformed, or do not fit together.
    """
    of_claim, _, _ = deciding_jobs(settings, needs, scale, ledgers)
    trained = training_jobs(settings)
    jobs_of_number: dict[Number, set[str]] = {}
    for ledger in load_ledgers(ledgers):
        for claim in ledger.claims:
            if claim.id not in of_claim:
                continue
            jobs = of_claim[claim.id] & trained
            for key in (key for criterion in claim.criteria for key in keys_of(criterion)):
                number = ledger.system, key
                jobs_of_number[number] = jobs_of_number.get(number, jobs) & jobs
    return {number: _of_jobs(jobs, manifest) for number, jobs in jobs_of_number.items()}


def _of_jobs(jobs: set[str], manifest: Manifest) -> str:
    """Of the hashes that the manifest has of these trainings; one that is not shipped counts as such."""
    lines = [
        f"{job} {manifest.jobs[job].sha256 if job in manifest.jobs else 'not shipped'}\n"
        for job in sorted(jobs)
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def fingerprints_shipped(
    folder: Path, settings_file: Path, needs_file: Path, ledgers: Path
) -> dict[Number, str]:
    """Return :func:`fingerprints` of what is shipped in a folder.

    Raises:
        ArtifactError: there is no manifest, or it is malformed.
        SettingsError: the settings are malformed.
        LedgerError: a ledger or the needs are malformed, or do not fit together.
    """
    settings = load(settings_file)
    scale = settings.judged_as or settings.scale
    return fingerprints(read_manifest(folder), settings, load_needs(needs_file), scale, ledgers)
