"""Which runs the drift certificate is measured from: one per axis, each beside the same base.

Three axes evaluate the shipped weights under another setting, which trains nothing: another number
of TensorFlow's threads, another precision, no compilation. The axis of seeds needs trainings: an ensemble has
them already; single trainings are run again from other seeds, as far as a budget of time goes. What a
run only continues is trained anew where that is asked for, as long as it may take.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from emergence.artifacts import write_numbers, write_text
from emergence.errors import SettingsError
from emergence.progress import clock
from emergence.randomness import derive_seed
from emergence.settings import Settings, load
from emergence.shipped import VERIFY_SCALE, Manifest
from emergence.statistics import read_measurements
from emergence.verification.budget import choose
from emergence.verification.claims import load_ledgers
from emergence.verification.criteria import keys_of
from emergence.verification.drift_report import told_of_seeds
from emergence.verification.jobs import (
    Needs,
    Pace,
    deciding_jobs,
    jobs_of,
    only_continued,
    records_continued,
    reduced,
)
from emergence.verification.origin import trained_anew
from emergence.verification.packing import SYSTEMS
from emergence.verification.shipping import evaluable, judged_scale
from emergence.verification.underlying import fingerprints, numbers_of, only_double

FOLDER = "drift"
"""Of the list of runs: results/drift."""
WEIGHTS = "weights.json"
"""There: which weights each number that was asked for is read from, by system and number."""
FAST = f"{FOLDER}-base"
"""Folder of the base of a fast certificate; otherwise it is the evaluation of `make verify`."""
SAMPLED = f"{FOLDER}-sampled"
"""Folder of the base of a certificate of chains and bulks alone: what a fast one leaves out."""
SEED = f"{FOLDER}-seed-"
"""How the folder of a run from another seed begins; the number of the seed follows."""
TARGETS = "targets.txt"
"""In the folder of each run: what Snakemake is asked for."""
SAMPLING = ("holography/chains/", "holography/bulks/")
"""What the jobs that sample for long are called."""
OF_SAMPLING = ("holography",)
"""The systems that have such jobs."""
SHARE = 8
"""A fast certificate draws this share of the samples: a difference of two evaluations of the same
samples needs few of them."""


@dataclass(frozen=True)
class Run:
    """One run of the workflow."""

    name: str
    """Folder of its results."""
    axis: str
    """What it varies; "base" of what the others are compared with."""
    options: str
    """What Snakemake is told beside its settings."""


@dataclass(frozen=True)
class _Seeds:
    """Which trainings from other seeds are asked for; as in :func:`plan`."""

    numbers: Sequence[int]
    only: Collection[str]
    budget_s: float
    pace: Pace
    origin: Settings | None
    anew: Collection[str]


def plan(
    manifest: Manifest,
    settings_file: Path,
    needs: Needs,
    ledgers: Path,
    results: Path,
    *,
    fast: bool = False,
    sampled: bool = False,
    evaluate: bool = True,
    pace: Pace | None = None,
    budget_s: float | None = None,
    seeds: int = 4,
    first: int = 1,
    only: Collection[str] = (),
    origin: Settings | None = None,
    anew: Collection[str] = (),
) -> list[str]:
    """Write the settings and the targets of every run, and the list of runs.

    Args:
        manifest: the shipped weights.
        settings_file: of the run that they are of.
        needs: which arms decide each claim.
        ledgers: the folder of ledgers.
        results: root of the results.
        fast: leave out chains and bulks, which sample for long, and draw fewer samples; the machine
            that shipped the weights then has other samples, and is not compared with.
        sampled: only chains and bulks, as long as they are; what they need of flows is evaluated too.
        evaluate: whether the shipped weights are evaluated at all; otherwise only seeds are varied.
        pace: how long trainings take here; needed with a budget.
        budget_s: wall time for trainings from other seeds; None trains nothing.
        seeds: how many other seeds.
        first: number of the first of them; those below it an earlier certificate has, whose spreads
            are pooled with what these come to.
        only: claims whose trainings are run, and whose weights are evaluated; by default all that the
            budget holds, and all.
        origin: settings of what is shipped.
        anew: claims whose shipped weights and records are made again from these seeds too, by
            ``origin``, however long that takes.

    Returns:
        What a reader should know beforehand, a sentence per line.

    Raises:
        SettingsError: the settings are malformed, or nothing is recorded of their costs; a claim to
            be made anew is unknown; both ``fast`` and ``sampled`` are asked for.
        ArtifactError: shipped measurements are missing, or a file cannot be written.
        LedgerError: a ledger or the needs are malformed, or do not fit together.
    """
    if fast and sampled:
        raise SettingsError(
            "A fast certificate leaves out what samples for long, so that of both nothing is left.",
            "Choose one, then the other: what a certificate does not vary it keeps.",
        )
    settings = load(settings_file)
    runs, lines = [], []
    if evaluate:
        among = _jobs_of_claims(settings, needs, ledgers, only) if only else None
        runs, lines = _plan_evaluations(settings, manifest, results, fast, sampled, among)
    if budget_s and pace:
        asked = _Seeds(range(first, first + seeds), only, budget_s, pace, origin, anew)
        lines += _plan_seeds(settings, manifest, needs, ledgers, results, runs, asked)
    else:
        lines.append("No time was given to train from other seeds: only ensembles have that axis.")
    write_text(
        results / FOLDER / "runs.txt", "".join(f"{run.name} {run.options}\n" for run in runs)
    )
    write_numbers(results / FOLDER / "runs.json", {run.name: run.axis for run in runs})
    of: dict[str, dict[str, str]] = {}
    found = fingerprints(manifest, settings, needs, judged_scale(settings), ledgers)
    asked = numbers_of(ledgers, only) if only else found
    for (system, number, *axes), told in found.items():
        if not axes and (system, number) in asked:
            of.setdefault(system, {})[number] = told
    write_numbers(results / FOLDER / WEIGHTS, of)
    return lines


def _jobs_of_claims(
    settings: Settings, needs: Needs, ledgers: Path, names: Collection[str]
) -> set[str]:
    """The jobs of these claims."""
    every = deciding_jobs(settings, needs, judged_scale(settings), ledgers)[0]
    if unknown := sorted(set(names) - every.keys()):
        raise SettingsError(
            f"There is no claim {unknown[0]} at this scale.", f"Choose among {', '.join(every)}."
        )
    return set().union(*(every[name] for name in names))


def _plan_evaluations(
    settings: Settings,
    manifest: Manifest,
    results: Path,
    fast: bool,
    sampled: bool,
    among: set[str] | None,
) -> tuple[list[Run], list[str]]:
    """The base, and a run for each axis along which the same weights are evaluated.

    Args:
        among: the jobs to choose among; None: all.
    """
    jobs, _ = evaluable(settings, manifest)
    jobs &= jobs if among is None else among
    # Records drawn beforehand are the same along every axis, and nearly all that these chains have.
    jobs -= records_continued(settings)
    sampling = {job for job in jobs if job.startswith(SAMPLING)}
    systems, axes, extent = SYSTEMS, FOLDER, ""
    base = VERIFY_SCALE
    if fast:
        jobs -= sampling
        base, extent = FAST, f"; an {SHARE}th of the samples, without chains and bulks"
    elif sampled:
        jobs = set().union(*(jobs_of(settings, *_arm(job)) for job in sampling))
        base = axes = SAMPLED
        systems, extent = OF_SAMPLING, "; only chains and bulks, and the flows that they need"
    if among is not None:
        systems = tuple(one for one in systems if any(job.startswith(f"{one}/") for job in jobs))
    content = reduced(settings, jobs, judged_scale(settings), "base")
    if fast:
        content = _fewer_samples(content)
    # Anew: samples that were shipped would show no drift.
    trained = f"trained={manifest.folder} anew=1"
    runs = [Run(base, "base", f"{trained} into={base}")]
    _write(results / base, content, systems)
    for axis, change in _changes(settings).items():
        name = f"{axes}-{axis}"
        changed = _other_precision(content, settings) if axis == "precision" else content
        _write(results / name, changed | change | {"scale": name}, systems)
        runs.append(Run(name, axis, f"{trained} into={name}"))
    told = (
        f"{len(runs)} evaluations of the weights in {manifest.folder}: as they are, then with "
        f"another number of threads, in another precision, and not compiled{extent}."
    )
    return runs, [told]


def _arm(job: str) -> tuple[str, list[str]]:
    """System of a job, and the arm that it is the only job of."""
    system, _, arm = job.partition("/")
    return system, [arm]


def _other_precision(content: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """The settings with every run of chains in the precision that it is not in, where it may be."""
    chosen = settings.holography
    other = {
        name: "float64" if (run.precision or chosen.precision) == "float32" else "float32"
        for name, run in chosen.chains.items()
        if not only_double(run)
    }
    holography = content["holography"]
    chains = {
        name: run | ({"precision": other[name]} if name in other else {})
        for name, run in holography["chains"].items()
    }
    return {**content, "holography": holography | {"chains": chains}}


def _fewer_samples(content: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with a share of the samples of every evaluation, in whole batches."""

    def fewer(section: dict[str, Any], names: tuple[str, ...], batch: int) -> dict[str, Any]:
        given = {name: section[name] for name in names if section.get(name)}
        return section | {
            name: max(batch, value // SHARE // batch * batch) for name, value in given.items()
        }

    content = dict(content)
    for system, arms, batch, names in (
        ("holography", "flows", "chunk", ("samples",)),
        ("retraining", "chains", "batch", ("samples", "configurations")),
    ):
        section = fewer(content[system], names, content[system][batch])
        section[arms] = {
            name: fewer(arm, ("samples",), section[batch]) for name, arm in section[arms].items()
        }
        content[system] = section
    return content


def _changes(settings: Settings) -> Mapping[str, Mapping[str, Any]]:
    """Axis → keys of the settings that it changes."""
    evaluation = settings.evaluation.model_dump()
    single = "float32" if settings.evaluation.precision == "float64" else "float64"
    return {
        "threads": {"threads": 2 if settings.threads == 1 else 1},
        "precision": {"evaluation": evaluation | {"precision": single}},
        "compiled": {"evaluation": evaluation | {"compiled": not settings.evaluation.compiled}},
    }


def _plan_seeds(
    settings: Settings,
    manifest: Manifest,
    needs: Needs,
    ledgers: Path,
    results: Path,
    runs: list[Run],
    asked: _Seeds,
) -> list[str]:
    """Add the trainings of single networks from other seeds to the runs."""
    judged = judged_scale(settings)
    single = single_claims(manifest.folder, ledgers, judged)
    deciding = deciding_jobs(settings, needs, judged, ledgers)[0]
    continued = only_continued(settings)
    bound = {name for name in single if deciding.get(name, set()) & continued}
    among = single - bound
    if unknown := sorted(set(asked.only) - among):
        raise SettingsError(
            f"No single training from its beginning decides claim {unknown[0]} at this scale.",
            f"Choose among {', '.join(sorted(among))}.",
        )
    among = among & set(asked.only) or among
    pace, share = asked.pace, asked.budget_s / len(asked.numbers)
    part = choose(
        settings, needs, pace.costs, share, judged, ledgers, pace.cores, pace.ratio, among
    )
    jobs, systems = set(part.jobs), part.systems
    if asked.origin and asked.anew:
        settings = trained_anew(settings, asked.origin)
        every, system_of, _ = deciding_jobs(settings, needs, judged, ledgers)
        if unknown := sorted(set(asked.anew) - every.keys()):
            raise SettingsError(
                f"There is no claim {unknown[0]} at this scale whose weights could be trained anew.",
                f"Choose among {', '.join(sorted(bound))}.",
            )
        jobs = jobs.union(*(every[name] for name in asked.anew))
        systems = tuple(dict.fromkeys([*systems, *(system_of[name] for name in asked.anew)]))
        bound -= set(asked.anew)
    if not jobs:
        return [f"No single training fits {len(asked.numbers)} times in {clock(asked.budget_s)}."]
    for index in asked.numbers:
        name = f"{SEED}{index}"
        seed = derive_seed(settings.seed, "drift", index)
        content = reduced(settings, jobs, judged, name) | {"seed": seed}
        _write(results / name, content, systems)
        runs.append(Run(name, "seeds", ""))
    return told_of_seeds(len(asked.numbers), part, asked.anew, bound)


def single_claims(reference: Path, ledgers: Path, scale: str) -> set[str]:
    """Return the claims of a scale that rest on a number without values per seed."""
    found = set()
    for ledger in load_ledgers(ledgers):
        claims = [claim for claim in ledger.claims if scale in claim.scales]
        if not claims:
            continue
        measured = read_measurements(reference / ledger.system / "measurements.json")
        for claim in claims:
            keys = [key for criterion in claim.criteria for key in keys_of(criterion)]
            if any(key in measured and measured[key].values is None for key in keys):
                found.add(claim.id)
    return found


def _write(folder: Path, content: Mapping[str, Any], systems: tuple[str, ...]) -> None:
    settings = dict(content) | {"scale": folder.name}
    write_text(folder / "settings.yaml", yaml.safe_dump(settings, sort_keys=False))
    targets = [f"results/{folder.name}/{system}/measurements.json" for system in systems]
    write_text(folder / TARGETS, " ".join(targets) + "\n")
