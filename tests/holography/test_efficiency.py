"""Samplers compared: chains of known τ_int must give their ratios, and what is not known no number."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from emergence import artifacts, plotting
from emergence.holography import diagram_figures, efficiency, sampling_figures
from emergence.statistics import Measurement


def autoregressive(tau: float, mean: float, length: int = 4000, chains: int = 4) -> np.ndarray:
    """Series with τ_int = ``tau`` and deviation 0.1, ``[1, chains, length]``."""
    rng = np.random.default_rng(int(10 * tau))
    factor = (2.0 * tau - 1.0) / (2.0 * tau + 1.0)
    noise = rng.standard_normal((length, chains))
    series = np.empty((length, chains))
    series[0] = noise[0]
    for index in range(1, length):
        series[index] = factor * series[index - 1] + np.sqrt(1.0 - factor**2) * noise[index]
    return mean + 0.1 * series.T[None]


class Stand:
    """What the readings ask of :class:`analysis.Results`, with two runs of known τ_int."""

    def __init__(
        self, bulk: float, boundary: float, length: int = 4000, spread: float = 0.5
    ) -> None:
        run = SimpleNamespace(
            flow="critical",
            size=4,
            space="bulk",
            untrained=False,
            shipped=None,
            trajectories=length,
        )
        theory = SimpleNamespace(model="phi4", lam=25.0)
        self.chosen = SimpleNamespace(
            chains={"critical_bulk": run, "critical_boundary": run},
            flows={"critical": SimpleNamespace(theory="critical", shipped=None)},
            theories={"critical": theory},
        )  # fmt: skip
        self.settings = SimpleNamespace(seed=1)
        self.taus = {"critical_bulk": bulk, "critical_boundary": boundary}
        self.length, self.spread = length, spread
        self.proposed, self.samples = 1.2, 2000

    def chains(self, name: str) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        relaxation = 3.0 if name.endswith("bulk") else 30.0
        decay = np.exp(-np.arange(1, 400) / relaxation)
        arrays = {
            "order": autoregressive(self.taus[name], 1.2, self.length),
            "cold_order": 1.2 + 0.8 * np.broadcast_to(decay, (1, 4, 399)),
            "t": np.array([0.28]),
            "mu": np.array([-199.44]),
            "acceptance": np.array([0.8]),
            "step": np.array([0.1]),
        }
        bulk = name.endswith("bulk")
        timing = {"seconds_per_trajectory": 0.02 if bulk else 0.001}
        timing["evaluations"] = 5.0 if bulk else 50.0
        return arrays, timing | {"seconds_per_sweep": 1e-4, "seconds_per_sample": 1e-3}

    def reference(self, size: int) -> dict[str, np.ndarray]:
        found = {"t": [0.2, 0.28], "order": [0.3, 1.2], "order_error": [0.01, 0.001],
                 "order_tau": [0.5, 2.0], "order_tau_error": [0.01, 0.05]}  # fmt: skip
        return {name: np.array(values) for name, values in found.items()}

    def flow(self, arm: str, size: int) -> SimpleNamespace:
        rng = np.random.default_rng(4)
        order = self.proposed + 0.1 * rng.standard_normal((1, 1, self.samples))
        log_weights = self.spread * rng.standard_normal((1, 1, self.samples))
        arrays = {"t": np.array([0.28]), "order": order, "log_weights": log_weights}
        return SimpleNamespace(arrays=arrays)


def read(stand: Stand) -> tuple[dict[str, Measurement], dict[str, pd.DataFrame]]:
    found: dict[str, Any] = dict(efficiency.sampling(stand))
    tables = {name: item for name, item in found.items() if isinstance(item, pd.DataFrame)}
    return {name: item for name, item in found.items() if name not in tables}, tables


def test_ratios_are_those_of_the_chains() -> None:
    measured, tables = read(Stand(2.0, 20.0))
    for name, value in (
        ("bulk_tau", 2.0),
        ("boundary_tau", 20.0),
        ("cluster_tau", 2.0),
        ("tau_ratio", 10.0),
        ("force_ratio", 100.0),
        # Nearly independent proposals against two trajectories of five evaluations.
        ("whole_field_ratio", 0.09),
        # And against twenty trajectories of fifty.
        ("whole_over_boundary", 9e-4),
        # 20 ms for five evaluations against 1 ms for fifty forces.
        ("evaluation_cost", 200.0),
        # Twenty times dearer, ten times faster.
        ("seconds_ratio", 0.5),
        # 20 trajectories of 1 ms against 2 sweeps of 0.1 ms.
        ("cluster_advantage", 100.0),
        ("bulk_mean", 1.2),
    ):
        found = measured[f"sampling.critical.{name}"]
        assert found.value == pytest.approx(value, abs=4.0 * found.error), name
        assert found.error < 0.45 * value
    # Σ e^{−n/τ} from n = 1; the ordered field has |φ| = 2.
    relaxation = measured["sampling.critical.bulk_relaxation"]
    assert relaxation.value == pytest.approx(1.0 / np.expm1(1.0 / 3.0), rel=1e-6)
    # The chains do not scatter: what is left is the true value's error, 0.001 of 0.8, in 399 terms.
    off = (399.0 - relaxation.value) * 0.001 / 0.8
    assert relaxation.error == pytest.approx(off, rel=1e-6)
    first = measured["sampling.critical.boundary_first"]
    assert first.value == pytest.approx(1.2 + 0.8 * np.exp(-1.0 / 30.0)) and first.error == 0.0
    assert set(tables["sampling"]["sampler"]) == {"bulk", "boundary", "cluster", "independence"}
    assert "sampling.critical.hamiltonian_step" not in measured


def test_the_step_of_trajectories_in_the_bulk_is_told() -> None:
    stand = Stand(2.0, 20.0)
    stand.chosen.chains["critical_hamiltonian"] = stand.chosen.chains["critical_bulk"]
    stand.taus["critical_hamiltonian"] = 5.0
    measured, _ = read(stand)
    assert measured["sampling.critical.hamiltonian_step"].value == 0.1


def test_what_is_not_known_gives_no_number() -> None:
    # Proposals worth fewer than ten samples, and chains too short for their τ_int.
    measured, tables = read(Stand(2.0, 3000.0, length=100, spread=8.0))
    assert "independence" not in set(tables["sampling"]["sampler"])
    assert measured["sampling.critical.whole_field_ratio"].value is None
    assert measured["sampling.critical.boundary_tau"].error is None
    assert measured["sampling.critical.tau_ratio"].error is None


@pytest.mark.parametrize("samples", [2, 7, 15])
def test_proposals_too_few_for_an_autocorrelation_give_no_number(samples) -> None:
    """However good they are; sixteen of them make four chains of four."""
    stand = Stand(2.0, 20.0, spread=0.0)
    stand.samples = 16
    assert read(stand)[0]["sampling.critical.whole_field_ratio"].value is not None
    stand.samples = samples
    measured, tables = read(stand)
    assert "independence" not in set(tables["sampling"]["sampler"])
    assert measured["sampling.critical.whole_field_ratio"].value is None


def test_ising_truth_is_exact_or_from_clusters() -> None:
    settings = SimpleNamespace(seed=1)
    value, error = efficiency.spin_truth(settings, 4, 2.269185314213022)
    assert value == pytest.approx(0.7613589086, abs=1e-9) and error == 0.0
    value, error = efficiency.spin_truth(settings, 16, 2.269185314213022)
    assert value == pytest.approx(0.54544, abs=4.0 * error)
    assert 0.0 < error < 0.003


def test_the_figure_is_drawn_with_and_without_runs(tmp_path: Any) -> None:
    _, tables = read(Stand(2.0, 20.0))
    for name in ("sampling", "cold"):
        artifacts.write_table(tmp_path / f"{name}.csv", tables[name])
    with plotting.style():
        sampling_figures.sampling(tmp_path, tmp_path / "sampling")
    assert (tmp_path / "sampling.png").stat().st_size > 10_000
    empty = {
        "diagram": ["observable", "shipped"],
        "trajectories": ["t"],
        "correlations": ["r"],
        "correlations_small": ["r"],
        "correlation_fits": ["law"],
    }
    for name, columns in empty.items():
        artifacts.write_table(tmp_path / f"{name}.csv", pd.DataFrame(columns=columns))
    with plotting.style():
        diagram_figures.phase_diagram(tmp_path, tmp_path / "phase_diagram")
        diagram_figures.correlation(tmp_path, tmp_path / "correlation")
    assert (tmp_path / "correlation.png").exists() and (tmp_path / "phase_diagram.svg").exists()


def test_a_sampler_whose_mean_is_off_has_no_error_of_its_time() -> None:
    stand = Stand(2.0, 20.0)
    stand.proposed = 1.3
    measured, tables = read(stand)
    table = tables["sampling"].set_index("sampler")
    assert np.isnan(table["tau_error"]["independence"])
    assert table["tau_error"].drop("independence").notna().all()
    assert measured["sampling.critical.whole_field_ratio"].error is None
