"""How fast flows are trained and sampled: ratios and rates of one run, none asserted.

A training step of the splines against the same network by index tables, its share of what the
processor's matrix product reaches, samples with their weights per second, training steps of the
authors' Ising network, and, at the transition on the torus of the shipped flow, independent samples
per second of each Monte Carlo.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from emergence.holography import chains, growth
from emergence.holography.actions import ComplexPhi4
from emergence.holography.alone import step_alone
from emergence.holography.autocorrelation import Estimate, estimate_mean
from emergence.holography.cluster import run_phi4
from emergence.holography.densities import Phi4Theory
from emergence.holography.efficiency import TIMING_ERROR
from emergence.holography.flow import FlowProblem, compile_weigher
from emergence.holography.gathered import GatheredSpline
from emergence.holography.hierarchy import spline_flow
from emergence.host import use_host
from emergence.introspection.bench import THREADS, host
from emergence.introspection.comparison import Row, in_turns, render
from emergence.introspection.step_speed import Training
from emergence.progress import say
from emergence.provenance import CHECKOUT
from emergence.settings import FlowStage, Settings, load
from emergence.settings.studies import SHORTEST_SERIES
from emergence.updates import Parameters

SEED = 20190303
SHIPPED, POINT = "line_16", 0.28
"""Weights, and the hopping, of the race of the samplers."""

AUTHORS, AUTHORS_BATCH = "ising_16", 512
"""Arm of the authors' Ising network, and how many samples they trained it with."""

PASSES = 4
"""Of the networks in a training step: forwards, again for the derivative, and twice backwards."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    sides: tuple[int, ...] = (8, 16)
    batch: int = 64
    steps: int = 10
    """Of each timing."""
    authors: tuple[int, int] = (16, AUTHORS_BATCH)
    """Side and samples of the authors' Ising network."""
    product: int = 1024
    """Rows of the square matrices that are multiplied."""
    chains: int = 8
    trajectories: int = 100
    """Of each sampler."""
    ways: tuple[str, ...] = (
        "refreshed latents", "trajectories in the bulk", "trajectories on the boundary",
    )  # fmt: skip
    """Beside the clusters; each compiles its flow."""


QUICK = Sizes(
    sides=(2,),
    batch=8,
    steps=1,
    authors=(2, 8),
    product=32,
    chains=2,
    trajectories=12,
    ways=("trajectories on the boundary",),
)
"""So small that only running through means anything."""


@dataclass(frozen=True)
class Rate:
    """Something done so many times a second."""

    what: str
    value: float
    unit: str
    note: str


def run(quick: bool = False) -> tuple[list[Row], list[Rate]]:
    """Measure everything and print two tables.

    Args:
        quick: sizes so small that nothing but the fact that it runs means anything.

    Returns:
        The rows of the tables.
    """
    use_host(THREADS)
    began, load_before = time.perf_counter(), os.getloadavg()[0]
    sizes = QUICK if quick else Sizes()
    rows, rates = [], []
    for side in sizes.sides:
        say(f"Timing the training of flows on {side} × {side}.")
        row, more = training_step(sizes, side)
        rows.append(row)
        rates += [*more, samples(sizes, side)]
    rates.append(authors_step(sizes))
    say(f"Timing the samplers ({time.perf_counter() - began:.0f} s so far).")
    rates += [*samplers(sizes), timing_scatter(sizes)]
    console = Console(width=None if Console().is_terminal else 140)
    console.print(render(rows))
    console.print(render_rates(rates))
    console.print(host(load_before), f"This part took {time.perf_counter() - began:.0f} s.")
    if quick:
        console.print("These were the quick sizes: the numbers mean nothing.")
    return rows, rates


def critical(side: int, *, gathered: bool = False) -> FlowProblem:
    """The flow to complex φ⁴ at the transition, by rolls or by index tables."""
    theory = Phi4Theory(POINT, -200.0 + 2.0 * POINT, 25.0)
    flow = spline_flow(theory, side)
    if gathered:
        plain = {
            name: GatheredSpline(**vars(getattr(flow, name)))
            for name in ("decimator", "disentangler")
        }
        flow = replace(flow, **plain)
    return FlowProblem(flow, theory, 1, SEED)


def training_step(sizes: Sizes, side: int) -> tuple[Row, list[Rate]]:
    """Ours against index tables, and against the processor's matrix product."""
    stage = FlowStage(update="adam", steps=100_000, batch=sizes.batch, rate=1e-4)
    ours, plain = (Training(critical(side, gathered=g), stage) for g in (False, True))
    times = in_turns(lambda: ours.advance(sizes.steps), lambda: plain.advance(sizes.steps))
    fast, slow = (seconds / sizes.steps for seconds in times)
    row = Row(
        f"A training step, {side} × {side}, {sizes.batch} samples: index tables / ours",
        fast, slow,
        f"The same network. Compiled in {ours.compile_seconds:.0f} s against "
        f"{plain.compile_seconds:.0f} s.",
    )  # fmt: skip
    reached = PASSES * operations(side) * sizes.batch / fast / 1e9
    best = product_rate(sizes.product) / 1e9
    note = f"of the {best:.1f} that products of {sizes.product}² matrices reach"
    share = Rate(
        f"Products in a training step, {side} × {side}", reached, "10⁹ operations/s",
        f"{100.0 * reached / best:.0f} % {note}; angles, splines and activations are the rest.",
    )  # fmt: skip
    return row, [share]


def operations(side: int) -> float:
    """Multiplications and additions of a sample's dense layers, one pass."""
    flow, total, n = critical(side).flow, 0.0, side
    while n > 1:
        for bijector in (flow.decimator, flow.disentangler):
            wide = bijector.width
            into, out = bijector.features * wide, (3 * bijector.bins + 7) * wide
            each = into + (bijector.depth - 1) * wide**2 + out
            total += 2.0 * each * len(bijector.order) * (n // 2) ** 2
        n //= 2
    return total


def product_rate(rows: int) -> float:
    """Operations per second of a product of single-precision matrices."""
    square = tf.random.stateless_normal([rows, rows], [1, 2])
    multiply = tf.function(tf.matmul, jit_compile=True)

    def once() -> float:
        began = time.perf_counter()
        multiply(square, square).numpy()
        return time.perf_counter() - began

    once()
    return 2.0 * rows**3 / median(once() for _ in range(7))


def authors_step(sizes: Sizes) -> Rate:
    """Training steps of the authors' Ising network (ten couplings, symmetrised; their repository)."""
    side, batch = sizes.authors
    file = CHECKOUT / "config/laptop.yaml"
    step = step_alone(file, AUTHORS, side, batch, sizes.steps, THREADS)
    note = (
        f"{batch} samples; {step.seconds:.2g} s each, compiled in {step.compile_seconds:.0f} s; the "
        f"process held up to {step.peak_memory_gib:.2f} GiB."
    )
    what = f"Training steps of the authors' Ising network, {side} × {side}"
    return Rate(what, 1.0 / step.seconds, "1/s", note)


def samples(sizes: Sizes, side: int) -> Rate:
    """Independent fields with their weights."""
    problem = critical(side)
    first = {name: tf.constant(value) for name, value in problem.initial_parameters().items()}
    weigh = compile_weigher(problem, 1, sizes.batch)
    couplings = tf.constant([POINT, problem.theory.mu], problem.dtype)
    at = tf.broadcast_to(couplings, [1, sizes.batch, 2])

    def once(index: int) -> float:
        began = time.perf_counter()
        weigh(first, at, tf.constant([1, index], tf.int32))[1].numpy()
        return time.perf_counter() - began

    once(0)
    seconds = median(once(index) for index in range(1, 6))
    what = f"Fields with their weights, {side} × {side}"
    return Rate(what, sizes.batch / seconds, "1/s", f"{sizes.batch} at a time.")


def samplers(sizes: Sizes) -> list[Rate]:
    """Independent values of the order parameter per processor second, 1 / (2 τ seconds)."""
    lengths = {"tuning": max(1, sizes.trajectories // 4), "trajectories": sizes.trajectories}
    ways = {
        "refreshed latents": {"space": "bulk", "refreshes": 6},
        "trajectories in the bulk": {"space": "bulk", "leapfrogs": 5},
        "trajectories on the boundary": {"space": "boundary", "leapfrogs": 100},
    }
    rates = []
    for name in sizes.ways:
        settings, parameters = _race(sizes, **lengths, **ways[name])
        arrays, timing = chains.run(settings, "race", parameters)
        found = estimate_mean(arrays["order"][0])
        rates.append(_rate(name, found, timing["seconds_per_trajectory"]))
    diagram = load(CHECKOUT / "config/laptop.yaml").holography.diagram
    action = ComplexPhi4(POINT, diagram.mu_at(POINT), 25.0)
    counts = {"chains": sizes.chains, "thermalisation": 100, "seed": SEED}
    run_phi4(action, 16, sweeps=1, **counts)
    sweeps = 20 * sizes.trajectories
    began = time.process_time()
    measured = run_phi4(action, 16, sweeps=sweeps, **counts)
    seconds = (time.process_time() - began) / (sizes.chains * (sweeps + counts["thermalisation"]))
    rates.append(_rate("clusters", estimate_mean(measured.series["order"]), seconds))
    return rates


def _race(sizes: Sizes, **way: Any) -> tuple[Settings, Parameters]:
    """Settings whose only chains, "race", run on 16 × 16 in this way, and the flow that they move in."""
    settings = load(CHECKOUT / "config/laptop.yaml")
    parameters, _ = growth.read_flow(CHECKOUT / "weights/holography" / SHIPPED)
    content = settings.model_dump()
    common = {"flow": SHIPPED, "size": 16, "t": [POINT], "chains": sizes.chains}
    content["holography"]["chains"] = {"race": common | way}
    return type(settings).model_validate(content), parameters


def timing_scatter(sizes: Sizes) -> Rate:
    """How much the processor times that records keep scatter, in per cent of themselves."""
    way = {"tuning": 1, "trajectories": SHORTEST_SERIES, "space": "boundary", "leapfrogs": 20}
    chosen, parameters = _race(sizes, **way)
    # What a trajectory costs does not depend on its step.
    told = [chains.time_of(chosen, "race", parameters, np.full((1, 1), 0.01)) for _ in range(3)]
    names = ("seconds_per_trajectory", "seconds_per_sweep")
    taken = np.array([[each[name] for name in names] for each in told])
    scatter = 100.0 * float((taken.std(axis=0, ddof=1) / taken.mean(axis=0)).max())
    note = (
        "Of trajectories and sweeps, the fastest round of some, three times over; "
        f"{100.0 * TIMING_ERROR:.0f} % is what ratios of times are told with."
    )
    return Rate("Scatter of the processor times that records keep", scatter, "%", note)


def _rate(name: str, found: Estimate, seconds: float) -> Rate:
    bound = "" if found.equilibrated else " At most: the chains are too short to tell τ."
    return Rate(
        f"Independent order parameters, 16 × 16, t = {POINT}: {name}",
        1.0 / (2.0 * found.tau * seconds), "1/s",
        f"τ = {found.tau:.2g} steps of {1e3 * seconds:.2g} ms of one chain.{bound}",
    )  # fmt: skip


def render_rates(rates: list[Rate]) -> Table:
    """The table that people read."""
    table = Table(title="Rates measured in this run, one processor", show_lines=True)
    for name in ("What", "Rate", "How"):
        table.add_column(name, justify="right" if name == "Rate" else "left")
    for rate in rates:
        table.add_row(rate.what, f"{rate.value:.3g} {rate.unit}", rate.note)
    return table
