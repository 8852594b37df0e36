"""The smallest run that decides one claim by the ledger's own criterion, for claims of each system.

It is made of the workflow's own stages with arms of ``config/smoke.yaml``; :mod:`.sabotage` runs it
whole and with a piece of the physics broken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emergence.settings import Settings, load
from emergence.statistics import Measurement


@dataclass(frozen=True)
class Experiment:
    """How the claim is measured at its smallest."""

    claim: str
    reduce: Callable[[dict[str, Any]], None]
    """Leaves of the settings only what the experiment needs."""
    stages: Callable[[Path, Path], None]
    """(settings file, folder of results): runs the workflow's stages."""
    read: Callable[[Settings, Path], Iterable[Measurement]]
    """(settings, folder of results): what was measured."""


def _only(mapping: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: mapping[name] for name in names}


def _one_translator(content: dict[str, Any]) -> None:
    chosen = content["introspection"]
    chosen["datasets"] = _only(chosen["datasets"], "circle")
    chosen["translators"] = _only(chosen["translators"], "main")
    chosen["distillers"] = {}


def _one_distiller(content: dict[str, Any]) -> None:
    chosen = content["introspection"]
    chosen["datasets"] = _only(chosen["datasets"], "circle", "arc")
    chosen["translators"] = _only(chosen["translators"], "main")
    chosen["distillers"] = _only(chosen["distillers"], "quadratic")
    chosen["distillers"]["quadratic"]["latent"] = [2]
    # The claim asks for more than the smoke scale trains for.
    last = chosen["stages"][chosen["distillers"]["quadratic"]["stages"]][-1]
    last["steps"] *= 4


def _one_flow(content: dict[str, Any]) -> None:
    chosen = content["holography"]
    chosen["flows"] = _only(chosen["flows"], "disc")
    chosen["chains"], chosen["bulks"], chosen["plane"] = {}, {}, None


def _one_diagram(content: dict[str, Any]) -> None:
    chosen = content["holography"]
    arm, chains = chosen["flows"]["line_4"], chosen["chains"]["line_4"]
    _, stages = _smallest(arm)
    chosen["flows"] = {"line_8": arm | {"sizes": {"4": stages, "8": stages}}}
    run = {"flow": "line_8", "size": 8, "chains": 16, "tuning": 20, "trajectories": 100}
    chosen["chains"] = {"line_8": chains | run | {"refreshes": 4}}
    chosen["diagram"] |= {"sides": [8], "t": [0.12, 0.20, 0.28], "sweeps": 1000}
    chosen["bulks"], chosen["plane"] = {}, None


def _one_chain(content: dict[str, Any]) -> None:
    chosen = content["retraining"]
    chosen["chains"] = _only(chosen["chains"], "ising")
    size, stages = _smallest(chosen["chains"]["ising"])
    chosen["chains"]["ising"] |= {"sizes": {size: stages}, "probes": []}


def _one_frustrated_chain(content: dict[str, Any]) -> None:
    chosen = content["retraining"]
    arm = chosen["chains"]["ising"]
    coupled = {"model": "j1j2", "field": None, "j2": 0.2, "units": 16, "probes": []}
    sizes = {"8": _smallest(arm)[1]}
    chosen["chains"] = {"j1j2": arm | coupled | {"sizes": sizes}}


def _smallest(arm: dict[str, Any]) -> tuple[str, Any]:
    """The smallest size of a chain, and its training."""
    return min(arm["sizes"].items(), key=lambda item: int(item[0]))


def _translate(settings: Path, folder: Path) -> None:
    from emergence.introspection import commands

    for name in load(settings).introspection.datasets:
        commands.introspection_data(settings, name, folder / f"data/{name}.npz")
    data, output = folder / "data/circle.npz", folder / "translators/main"
    commands.introspection_translator(settings, "main", data, output)


def _distil(settings: Path, folder: Path) -> None:
    from emergence.introspection import commands

    _translate(settings, folder)
    commands.introspection_distiller(
        settings,
        "quadratic",
        folder / "data/arc.npz",
        folder / "translators/main/arrays.npz",
        folder / "distillers/quadratic",
    )


def _flow(settings: Path, folder: Path) -> None:
    from emergence.holography import commands

    for size in load(settings).holography.flows["disc"].sizes:
        commands.holography_flow(settings, "disc", size, folder / f"flows/disc/{size}")


def _chains(settings: Path, folder: Path) -> None:
    from emergence.holography import commands

    commands.holography_reference(settings, 8, folder / "reference/8.npz")
    before = None
    for size in load(settings).holography.flows["line_8"].sizes:
        output = folder / f"flows/line_8/{size}"
        commands.holography_flow(settings, "line_8", size, output, before)
        before = output / "weights"
    commands.holography_chains(settings, "line_8", before, folder / "chains/line_8")


def _grow(settings: Path, folder: Path) -> None:
    from emergence.retraining import commands

    for name, arm in load(settings).retraining.chains.items():
        for size in arm.sizes:
            commands.retraining_grow(settings, name, size, folder / f"chains/{name}/{size}")


def _numbers(found: Iterable[tuple[str, Any]]) -> list[Measurement]:
    return [item for _, item in found if isinstance(item, Measurement)]


def _read_translation(settings: Settings, folder: Path) -> list[Measurement]:
    from emergence.introspection import analysis, translation

    return _numbers(translation.read(analysis.Results(settings, folder)))


def _read_latents(settings: Settings, folder: Path) -> list[Measurement]:
    from emergence.introspection import analysis

    law = analysis.Results(settings, folder).wave_law("quadratic")
    return [analysis.per_seed("law.psi_r2", law["psi_r2"], "distillers/quadratic", True)]


def _read_flow(settings: Settings, folder: Path) -> list[Measurement]:
    from emergence.holography import analysis, readings

    return _numbers(readings.flows(analysis.Results(settings, folder)))


def _read_diagram(settings: Settings, folder: Path) -> list[Measurement]:
    from emergence.holography import analysis, diagram

    return _numbers(diagram.diagram(analysis.Results(settings, folder)))


def _read_energies(settings: Settings, folder: Path) -> list[Measurement]:
    from emergence.retraining import analysis

    return _numbers(analysis.energies(analysis.Results(settings, folder)))


EXPERIMENTS = {
    "translator": Experiment("I1", _one_translator, _translate, _read_translation),
    "distiller": Experiment("I4", _one_distiller, _distil, _read_latents),
    "flow": Experiment("H3", _one_flow, _flow, _read_flow),
    "diagram": Experiment("H1-8", _one_diagram, _chains, _read_diagram),
    "chain": Experiment("S2-ising", _one_chain, _grow, _read_energies),
    "frustrated": Experiment("S2-frustrated", _one_frustrated_chain, _grow, _read_energies),
}
