"""Shipped weights trained anew: the settings of a run with what was done beforehand put back in.

An arm that goes on from shipped weights is continued from another seed, not trained anew. Here its
sizes are those of the arm that the weights are of, in the settings that they were made with
(``config/shipped.yaml``), and chains that continue shipped records draw all of them. Weights are named
after their arm, or after arm and size where the arm grows beyond it.
"""

from __future__ import annotations

from typing import Any

from emergence.errors import SettingsError
from emergence.settings import Settings, parse
from emergence.verification.jobs import Pace
from emergence.verification.work import pace_of

PREFIX = "beforehand_"
"""Of the names of stages that come from the settings of the shipped weights."""


def trained_anew(settings: Settings, origin: Settings) -> Settings:
    """Settings that start from no shipped weights and no shipped records.

    Args:
        settings: of a run that does.
        origin: of what is shipped.

    Raises:
        SettingsError: what is shipped is of no arm of ``origin``, or they do not fit together.
    """
    content = settings.model_dump(mode="json")
    made = origin.model_dump(mode="json")
    for system, kind in (("holography", "flows"), ("retraining", "chains")):
        section, beforehand = content[system], made[system]
        used: set[str] = set()
        for arm in section[kind].values():
            if name := arm["shipped"]:
                sizes = _sizes(name, beforehand[kind])
                used |= set(sizes.values())
                after = {size: s for size, s in arm["sizes"].items() if size not in sizes}
                arm["sizes"] = {size: PREFIX + s for size, s in sizes.items()} | after
                arm["shipped"] = None
        section["stages"] |= {PREFIX + s: beforehand["stages"][s] for s in sorted(used)}
    chains, beforehand = content["holography"]["chains"], made["holography"]["chains"]
    for run in chains.values():
        if name := run["shipped"]:
            records = _trajectories(name, beforehand)
            run |= {key: beforehand[name][key] for key in ("chains", "tuning")}
            run |= {"trajectories": records, "shipped": None}
    return parse(content, "the settings with shipped weights trained anew")


def with_pace(settings: Settings, origin: Settings, pace: Pace) -> tuple[Settings, Pace]:
    """Return the settings trained anew, and how long their jobs take.

    Args:
        pace: of the settings as they are.
    """
    anew = trained_anew(settings, origin)
    return anew, pace_of(anew, pace, settings)


def _sizes(name: str, arms: dict[str, Any]) -> dict[Any, str]:
    """Sizes and stages of the arm that weights are of, as far as they were grown."""
    if name in arms:
        return arms[name]["sizes"]
    arm, _, last = name.rpartition("_")
    sizes = list(arms[arm]["sizes"]) if arm in arms else []
    grown = [str(size) for size in sizes]
    if last not in grown:
        raise _unknown(name, "arms")
    return {size: arms[arm]["sizes"][size] for size in sizes[: grown.index(last) + 1]}


def _trajectories(name: str, chains: dict[str, Any]) -> int:
    """Of records, and of those that they continue."""
    if name not in chains:
        raise _unknown(name, "chains")
    before = chains[name]["shipped"]
    return chains[name]["trajectories"] + (_trajectories(before, chains) if before else 0)


def _unknown(name: str, kind: str) -> SettingsError:
    return SettingsError(
        f"The shipped '{name}' is of none of the {kind} in the settings of what is shipped.",
        "Correct its name there, or leave its claim out.",
    )
