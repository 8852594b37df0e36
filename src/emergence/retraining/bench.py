"""How fast one optimisation step of a recurrent wave function is, and how its cost grows with N.

A step is sampling, local energies, gradient and Adam, for the open critical Ising chain in single
precision. Ours, with exact and with truncated branches, against the naive way to the same energies
of the same network and against NetKet's recurrent networks. Nothing is asserted: the table says
what this run measured.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from emergence.errors import HostError, SettingsError
from emergence.host import use_host
from emergence.introspection.bench import THREADS, host
from emergence.introspection.comparison import Row, duration, in_turns, render
from emergence.introspection.step_speed import Training
from emergence.progress import say
from emergence.retraining import peers
from emergence.retraining.cells import GatedUnit
from emergence.retraining.local_energy import Hamiltonian
from emergence.retraining.models import build_model
from emergence.retraining.naive import NaiveState
from emergence.retraining.ordering import Moves
from emergence.retraining.recurrent import Recurrent
from emergence.retraining.vmc import EnergyMinimisation
from emergence.retraining.wavefunction import RecurrentState
from emergence.settings import GrowthStage
from emergence.updates import Parameters

SEED = 20200313

TOLERANCE = 0.1
"""Of the gate: root mean square deviation of the local energies over their own standard deviation.
At a tenth, truncation adds a hundredth to the variance of what the gradient is made from."""

WINDOWS = (4, 6, 8, 10, 12, 14, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256)
"""Positions that the gate tries, the smallest first."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    sites: int = 100
    units: int = 128
    samples: int = 200
    rounds: int = 5
    """Timings of each side, taken in turns; the median counts."""

    growth: tuple[int, ...] = (20, 40, 80, 160, 320)
    naive_growth: tuple[int, ...] = (20, 40, 80)
    """Also of NetKet's fast network."""

    growth_rounds: int = 2
    training: tuple[int, int] = (20, 200)
    """Sites and steps of the training that makes the gate's network."""

    slow_peer: bool = False
    """Whether NetKet's network without the cache is measured too: minutes."""


QUICK = Sizes(
    sites=8, units=4, samples=8, rounds=1, growth=(4, 8), naive_growth=(4, 8),
    growth_rounds=1, training=(4, 2),
)  # fmt: skip
"""So small that only running through means anything."""


@dataclass(frozen=True)
class Growth:
    """Seconds per step at each size, and the exponent of their growth."""

    what: str
    sites: tuple[int, ...]
    seconds: tuple[float, ...]

    @property
    def exponent(self) -> tuple[float, float]:
        """Slope of log seconds over log N, and its standard error; NaN with two sizes."""
        return slope(np.log(self.sites), np.log(self.seconds))


def run(
    quick: bool = False, threads: int = THREADS, sizes: Sizes | None = None
) -> tuple[list[Row], list[Growth]]:
    """Measure everything and print two tables.

    Args:
        quick: sizes so small that nothing but the fact that it runs means anything.
        threads: of TensorFlow and of NetKet; fixed by what ran before in the same process.
        sizes: other sizes than those of ``quick``.

    Returns:
        The rows of the tables.
    """
    use_host(threads)
    began, load = time.perf_counter(), os.getloadavg()[0]
    sizes = sizes or (QUICK if quick else Sizes())
    say("Training the network that decides how far a branch must be followed.")
    parameters = trained(sizes)
    gated = gate(sizes, parameters)
    say(f"Measuring one step ({time.perf_counter() - began:.0f} s so far).")
    rows = one_step(sizes, gated, threads)
    say(f"Measuring its growth with N ({time.perf_counter() - began:.0f} s so far).")
    grown = growth(sizes, gated.window, threads)
    console = Console(width=None if Console().is_terminal else 140)
    console.print(render(rows))
    console.print(render_growth(grown))
    console.print(host(load), f"This part took {time.perf_counter() - began:.0f} s.")
    if quick:
        console.print("These were the quick sizes: the ratios mean nothing.")
    return rows, grown


def problem(
    sizes: Sizes, sites: int, kind: type[RecurrentState] = RecurrentState
) -> EnergyMinimisation:
    """The critical chain and a gated unit, with the ratios of ``kind``."""
    model = build_model("ising", "chain", sites, field=1.0)
    network = Recurrent(GatedUnit(sizes.units), Moves(model), masked=False)
    return EnergyMinimisation(kind(network), Hamiltonian(model), 1, SEED)


def training(
    sizes: Sizes,
    sites: int,
    window: int | None = None,
    kind: type[RecurrentState] = RecurrentState,
) -> Training:
    """Its training with Adam, compiled; ``window`` truncates the branches."""
    stage = GrowthStage(
        update="adam", steps=10_000, batch=sizes.samples, rate=3e-3, truncation=window
    )
    return Training(problem(sizes, sites, kind), stage)


def trained(sizes: Sizes) -> Parameters:
    """Weights after a short training at a small size; they serve every size."""
    sites, count = sizes.training
    course = training(sizes, sites)
    course.advance(count)
    return course.parameters


@dataclass(frozen=True)
class Gate:
    """The smallest window of :data:`WINDOWS` that passes, and how far its energies deviate."""

    window: int
    deviation: float
    """Root mean square, over the standard deviation of the exact local energies."""

    shift: float
    """Of the mean energy, relative."""

    def __str__(self) -> str:
        return (
            f"Followed for {self.window} sites, the fewest at which the local energies of a "
            f"trained network deviate by less than {TOLERANCE:g} of their own scatter "
            f"({self.deviation:.2g}; their mean by {self.shift:.1g})."
        )


def gate(sizes: Sizes, parameters: Parameters) -> Gate:
    """How far branches must be followed.

    Raises:
        SettingsError: no window passes.
    """
    exact = problem(sizes, sizes.sites)

    def energies(state: RecurrentState) -> Callable[..., tf.Tensor]:
        @tf.function(jit_compile=True, autograph=False)
        def compute(parameters: Parameters, spins: tf.Tensor) -> tf.Tensor:
            return exact.hamiltonian.local_energy(spins, state.ratios(parameters, spins))[0]

        return compute

    draw = tf.function(exact.state.sample, jit_compile=True, autograph=False)
    spins = draw(parameters, tf.constant([SEED, 0]), sizes.samples)
    expected = energies(exact.state)(parameters, spins).numpy()
    for window in (*(w for w in WINDOWS if w < sizes.sites), sizes.sites):
        found = energies(replace(exact.state, window=window))(parameters, spins).numpy()
        wrong = found - expected
        deviation = float(np.sqrt(np.mean(wrong**2)) / expected.std())
        if deviation < TOLERANCE:
            return Gate(window, deviation, float(abs(wrong.mean() / expected.mean())))
    raise SettingsError(
        f"No window keeps the local energies to {TOLERANCE:g} of their scatter.",
        "Measure exact branches alone.",
    )


def one_step(sizes: Sizes, gated: Gate, threads: int) -> list[Row]:
    """Ours, exact and truncated, against the naive way and against NetKet, in turns."""
    courses = {
        "exact": training(sizes, sizes.sites),
        "truncated": training(sizes, sizes.sites, gated.window),
        "naive": training(sizes, sizes.sites, kind=NaiveState),
    }
    compiled = {name: course.compile_seconds for name, course in courses.items()}
    about, missing = {}, {}
    with ExitStack() as processes:
        for network in peers.NETWORKS[: 2 if sizes.slow_peer else 1]:
            task = peers.Task(network, sizes.sites, sizes.units, sizes.samples, threads)
            try:
                peer = processes.enter_context(peers.NetKet(task))
            except HostError as error:
                missing[network] = str(error)
                continue
            courses[network], about[network] = peer, peer.about
            compiled[network] = peer.compile_seconds
        steps = (partial(course.advance, 1) for course in courses.values())
        seconds = dict(zip(courses, in_turns(*steps, rounds=sizes.rounds), strict=True))
    how = f"N = {sizes.sites}, {sizes.units} units, {sizes.samples} samples, float32. "
    rows = []
    for ours, told in (("exact", how), ("truncated", f"{how}{gated} ")):
        for other in ("naive", *peers.NETWORKS):
            if other in missing or other in seconds:
                rows.append(
                    Row(
                        f"One step, {ours} branches / {TITLES[other]}",
                        seconds[ours],
                        seconds.get(other),
                        told + (missing.get(other) or _compiling(compiled, ours, other, about)),
                    )
                )
    return rows


TITLES = {
    "naive": "every configuration from its first site",
    "FastGRUNet1D": "NetKet's FastGRUNet1D",
    "GRUNet1D": "NetKet's GRUNet1D",
}


def _compiling(compiled: dict[str, float], ours: str, other: str, about: dict) -> str:
    text = f"Compiling apart: {duration(compiled[ours])} / {duration(compiled[other])}."
    if other in about:
        parts = [f"{name} {version}" for name, version in about[other]["versions"].items()]
        text += f" {', '.join(parts)}; {about[other]['parameters']} parameters of its own cells."
    return text


def growth(sizes: Sizes, window: int, threads: int) -> list[Growth]:
    """Seconds per step against the number of sites, of every way that can be run."""
    starts: dict[str, tuple[tuple[int, ...], Callable[[int], Training | peers.NetKet]]] = {
        "exact": (sizes.growth, lambda n: training(sizes, n)),
        f"truncated to {window}": (sizes.growth, lambda n: training(sizes, n, window)),
        TITLES["naive"]: (sizes.naive_growth, lambda n: training(sizes, n, kind=NaiveState)),
        TITLES["FastGRUNet1D"]: (
            sizes.naive_growth,
            lambda n: peers.NetKet(
                peers.Task("FastGRUNet1D", n, sizes.units, sizes.samples, threads)
            ),
        ),
    }
    rows = []
    for what, (numbers, start) in starts.items():
        seconds = []
        for sites in numbers:
            try:
                course = start(sites)
            except HostError:
                break
            seconds.append(min(course.advance(1) for _ in range(sizes.growth_rounds)))
            if isinstance(course, peers.NetKet):
                course.close()
        if len(seconds) == len(numbers):
            rows.append(Growth(what, numbers, tuple(seconds)))
    return rows


def slope(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope of the straight line nearest to the points, and its standard error from the scatter."""
    x, y = x - x.mean(), y - y.mean()
    value = float(x @ y / (x @ x))
    free = len(x) - 2
    scatter = float(np.sum((y - value * x) ** 2))
    return value, (scatter / free / float(x @ x)) ** 0.5 if free else float("nan")


def render_growth(rows: list[Growth]) -> Table:
    """The table that people read."""
    sizes = sorted({sites for row in rows for sites in row.sites})
    table = Table(title="Seconds per step against N", show_lines=True)
    table.add_column("Local energies")
    for sites in sizes:
        table.add_column(f"N = {sites}", justify="right")
    table.add_column("Growth", justify="right")
    for row in rows:
        measured = dict(zip(row.sites, row.seconds, strict=True))
        cells = [duration(measured[n]) if n in measured else "–" for n in sizes]
        value, error = row.exponent
        table.add_row(row.what, *cells, f"N^({value:.2f} ± {error:.2f})")
    return table
