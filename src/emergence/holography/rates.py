"""A scan of learning rates: one training of a flow at each, from the same start, told apart by its KL.

Two flows of different networks can be compared only if each has a rate of its own. A scan trains the
stages of an arm at several rates (all stages in proportion), with either estimator of the gradient
and with one or several starts, and keeps how far from the theory each ended: the mean of
ln w = −S − ln q, which is ln Z − KL, so that differences are differences of the KL.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from emergence import artifacts, devices
from emergence.artifacts import Arrays
from emergence.errors import DivergenceError, SettingsError
from emergence.holography import growth
from emergence.holography.weights import Evaluation
from emergence.progress import Progress
from emergence.settings import FlowStage, Settings, parse

ABOUT = ["scale", "flow", "side", "estimator", "candidates", "rate"]
"""What a row is of."""
FOUND = ["seeds", "log_weight", "error", "effective_share", "seconds"]
"""Of :func:`scan`: ``log_weight`` is ln Z − KL, nats, the mean over the seeds, ``error`` its standard
error by the scatter of the seeds; both NaN where a training diverged. ``seconds`` are processor
seconds, compilation included."""
STAGES = "scanned"
"""Name of the stages at another rate, in the settings of one training."""


class Choice(NamedTuple):
    """How one training of a scan is done."""

    rate: float
    """Of the first step."""
    estimator: str
    """Of the gradient: path or reparameterised."""
    candidates: int
    """Starts of the first stage; the others take one."""


def choices(
    stages: list[FlowStage],
    rates: Iterable[float],
    estimators: Iterable[str] = (),
    candidates: Iterable[int] = (),
) -> list[Choice]:
    """Every combination; where nothing is said, as the stages have it."""
    first = stages[0]
    return [
        Choice(*each)
        for each in itertools.product(
            rates, list(estimators) or [first.estimator], list(candidates) or [first.candidates]
        )
    ]


def changed(settings: Settings, flow: str, size: int, choice: Choice, seeds: int) -> Settings:
    """The settings with one size of one arm trained by a choice.

    Raises:
        SettingsError: a rate or a number of candidates is out of bounds.
    """
    chosen = settings.holography
    arm = chosen.flows[flow]
    stages = chosen.stages[arm.sizes[size]]
    if arm.starts_from(flow, size) is not None and choice.candidates > 1:
        raise SettingsError(
            f"{flow} of side {size} goes on from weights, which are one candidate.",
            "Scan its rates with --candidates 1.",
        )
    scanned = [
        stage.model_dump()
        | {"rate": choice.rate * stage.rate / stages[0].rate, "estimator": choice.estimator}
        | ({"candidates": choice.candidates} if index == 0 else {})
        for index, stage in enumerate(stages)
    ]
    content = settings.model_dump()
    section = content["holography"]
    section["stages"][STAGES] = scanned
    section["flows"][flow]["sizes"][size] = STAGES
    section["flows"][flow]["seeds"] = seeds
    # A prior that is trained after this map would be one of another number of seeds.
    after = {name for name, other in chosen.flows.items() if other.after == flow}
    for kind in ("chains", "bulks"):
        studies = getattr(chosen, kind)
        section[kind] = {
            name: section[kind][name] for name in studies if studies[name].flow not in after
        }
    section["flows"] = {name: arm for name, arm in section["flows"].items() if name not in after}
    return parse(content, f"a scan of {flow}")


def scan(
    settings: Settings,
    flow: str,
    size: int,
    every: list[Choice],
    before: tuple[Arrays, int] | None,
    record: Path,
    checkpoints: Path,
    *,
    seeds: int = 1,
) -> pd.DataFrame:
    """Train one size of an arm by every choice; the record takes each result as it comes.

    Args:
        every: from :func:`choices`.
        before: parameters of the side before, ``[1, ...]`` each, and their side; None where there
            is none.
        record: the table, ``config/rates.csv``; rows of the same choice are replaced.
        checkpoints: a folder for those of the trainings, until they are done.
        seeds: trainings of each, side by side.

    Returns:
        A row per choice, the columns :data:`ABOUT` and :data:`FOUND`.

    Raises:
        SettingsError: a choice is out of bounds.
        ArtifactError: the record is corrupt or cannot be written, ``before`` is of another flow.
    """
    if before is not None:
        parameters, side = before
        before = {name: np.repeat(value, seeds, axis=0) for name, value in parameters.items()}, side
    rows = []
    with Progress(f"rates of {flow}, side {size}", len(every)) as progress:
        for number, choice in enumerate(every, start=1):
            one = changed(settings, flow, size, choice, seeds)
            folder = checkpoints / f"{flow}-{size}-{number}"
            about = [settings.scale, flow, size, choice.estimator, choice.candidates, choice.rate]
            rows.append(
                dict(zip(ABOUT, about, strict=True)) | _train(one, flow, size, before, folder)
            )
            _keep(rows[-1], record)
            progress.advance(number, f"rate {choice.rate:g}: {rows[-1]['log_weight']:.2f}")
    return pd.DataFrame(rows, columns=[*ABOUT, *FOUND])


def _train(
    settings: Settings, flow: str, size: int, before: tuple[Arrays, int] | None, folder: Path
) -> dict[str, float]:
    """One training, or NaN where it diverged."""
    seeds, began = settings.holography.flows[flow].seeds, devices.clock()
    try:
        arrays, *_ = growth.grow(settings, flow, size, before, folder)
    except DivergenceError:
        found = {"log_weight": np.nan, "error": np.nan, "effective_share": 0.0}
    else:
        weights = arrays["log_weights"][0]
        ends = weights.mean(axis=1)
        found = {
            "log_weight": float(ends.mean()),
            "error": float(ends.std(ddof=1) / np.sqrt(seeds)) if seeds > 1 else np.nan,
            "effective_share": float(
                np.median([Evaluation(w).effective_fraction for w in weights])
            ),
        }
    shutil.rmtree(folder, ignore_errors=True)
    return {"seeds": seeds, **found, "seconds": devices.clock() - began}


def _keep(row: dict[str, object], record: Path) -> None:
    """Put a row in the record, in place of the one of the same choice."""
    frame = pd.DataFrame([row], columns=[*ABOUT, *FOUND])
    known = read(record) if record.is_file() else frame.iloc[:0]
    kept = known[~known.set_index(ABOUT).index.isin(frame.set_index(ABOUT).index)]
    both = pd.concat([kept, frame]) if len(kept) else frame
    artifacts.write_table(record, both.sort_values(ABOUT, kind="stable", ignore_index=True))


def read(record: Path) -> pd.DataFrame:
    """Read what :func:`scan` recorded.

    Raises:
        ArtifactError: the record is missing or malformed.
    """
    numbers = ["side", "candidates", "rate", *FOUND]
    return artifacts.read_table(record, [*ABOUT, *FOUND], numbers=numbers)
