"""What a number is read from: the shipped weights behind it, and whether an evaluation reaches it.

A spread that was measured by evaluating weights tells of these weights alone. Each is therefore kept
with a fingerprint of them, and given up once others are shipped. Records of chains that were drawn
beforehand are the same however weights are evaluated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from emergence.settings import ChainsSettings, Settings, load
from emergence.shipped import Manifest, read_manifest
from emergence.statistics import Measurement, read_measurements
from emergence.verification.claims import load_ledgers
from emergence.verification.criteria import keys_of
from emergence.verification.jobs import Needs, deciding_jobs, load_needs, training_jobs

Number = tuple[str, str]
"""System and name of a measurement."""
Weights = Mapping[tuple[str, ...], str]
"""Number → fingerprint of the weights that it is read from; (system, name, axis) → :data:`UNREACHED`,
where their evaluation along that axis leaves the number as it is."""

SWITCHES = ("threads", "precision", "compiled")
"""Axes that reach nothing but the evaluation of networks."""
UNREACHED = "does not apply"
"""In place of the weights, where an axis of evaluation does not reach a number."""

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
        "symmetry.time_ratio_*", "sampling.*.truth",
    ),
    "retraining": ("scratch.cost_ratio",),
}  # fmt: skip
"""System → patterns of the numbers that no network is evaluated for."""


def evaluated(system: str, name: str) -> bool:
    """Whether a network is evaluated for a number, so that threads, precision or compilation reach it."""
    return not any(fnmatchcase(name, pattern) for pattern in UNEVALUATED.get(system, ()))


def reached(system: str, name: str, axis: str, weights: Weights) -> bool:
    """Whether a change along an axis can reach a number."""
    return axis not in SWITCHES or (evaluated(system, name) and (system, name, axis) not in weights)


def only_double(run: ChainsSettings) -> bool:
    """Whether chains cannot move in single precision: shifts are exact only in double."""
    return run.shifts > 0


def unreached(settings: Settings, found: Mapping[str, Measurement]) -> dict[tuple[str, ...], str]:
    """Return which axes leave numbers as they are because of the chains that they are read from.

    No axis reaches records drawn beforehand, to which a run adds a few; precision none of chains that
    only move in double.

    Args:
        settings: of the run.
        found: what holography measured in it, by name.

    Returns:
        (system, name, axis) → :data:`UNREACHED`.
    """
    chains = settings.holography.chains
    fixed = {}
    for name, measurement in found.items():
        runs = [chains[run] for run in runs_behind(name, measurement.source, chains)]
        if runs and all(run.shipped for run in runs):
            fixed |= {("holography", name, axis): UNREACHED for axis in SWITCHES}
        elif runs and all(only_double(run) for run in runs):
            fixed["holography", name, "precision"] = UNREACHED
    return fixed


def runs_behind(name: str, source: str, chains: Collection[str]) -> set[str]:
    """Return the runs of chains whose records a number is read from, of those there are.

    What is told of one sampler of a pair is read from that run, although the source names the pair.
    """
    parts = name.split(".")
    own = f"{parts[1]}_{parts[-1].split('_')[0]}" if parts[0] == "sampling" else ""
    if own in chains:
        return {own}
    kinds = (part.strip().split("/") for part in source.split(","))
    return {arm[0] for kind, *arm in kinds if kind == "chains" and arm} & set(chains)


def fingerprints(
    manifest: Manifest, settings: Settings, needs: Needs, scale: str, ledgers: Path
) -> dict[tuple[str, ...], str]:
    """Return a fingerprint of the shipped weights that each number of a claim is read from.

    And which axes leave a number as it is (:func:`unreached`), where the shipped run measured it. The
    weights are the trainings that every claim needs which is decided by the number: each of these
    claims needs all that the number is read from, so that what they have in common holds it.

    Args:
        manifest: of the shipped weights.
        settings: of the run that they come from.
        needs: which arms decide each claim.
        scale: whose claims are meant.
        ledgers: the folder of ledgers.

    Raises:
        ArtifactError: the measurements of the shipped run are corrupt.
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
    of = {number: _of_jobs(jobs, manifest) for number, jobs in jobs_of_number.items()}
    measured = manifest.folder / "holography" / "measurements.json"
    fixed = unreached(settings, read_measurements(measured)) if measured.is_file() else {}
    return of | {key: told for key, told in fixed.items() if key[:2] in of}


def numbers_of(ledgers: Path, claims: Collection[str]) -> set[Number]:
    """Return the numbers that some claims are decided by. Raises LedgerError: a ledger is malformed."""
    return {
        (ledger.system, key)
        for ledger in load_ledgers(ledgers)
        for claim in ledger.claims
        if claim.id in claims
        for criterion in claim.criteria
        for key in keys_of(criterion)
    }


def _of_jobs(jobs: set[str], manifest: Manifest) -> str:
    """Of the hashes that the manifest has of these trainings, shipped or withheld; of others that they
    are not known."""
    known = {job: entry.sha256 for job, entry in manifest.jobs.items()} | dict(manifest.withheld)
    lines = [f"{job} {known.get(job, 'not shipped')}\n" for job in sorted(jobs)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def fingerprints_shipped(
    folder: Path, settings_file: Path, needs_file: Path, ledgers: Path
) -> dict[tuple[str, ...], str]:
    """Return :func:`fingerprints` of what is shipped in a folder.

    Raises:
        ArtifactError: there is no manifest, or it or the measurements are malformed.
        SettingsError: the settings are malformed.
        LedgerError: a ledger or the needs are malformed, or do not fit together.
    """
    settings = load(settings_file)
    scale = settings.judged_as or settings.scale
    return fingerprints(read_manifest(folder), settings, load_needs(needs_file), scale, ledgers)
