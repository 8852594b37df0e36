"""Comparison of a phase diagram with its reference: what agrees passes, what differs does not."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from emergence.holography import diagram
from emergence.holography.analysis import Flow
from emergence.holography.crossover import HELICITY, pooled
from emergence.holography.observables import PRIMARY, formulas, primary

HOPPINGS = np.linspace(0.1, 0.5, 20)


def table_of(shift: float, seed: int = 0) -> pd.DataFrame:
    """Corrected values about a smooth reference, ``shift`` standard errors off."""
    rng = np.random.default_rng(seed)
    rows = []
    for observable in (*diagram.OBSERVABLES, *diagram.TESTED.values()):
        for t in HOPPINGS:
            for kind in ("reference", "corrected", "raw"):
                noise = (
                    rng.standard_normal() + shift * (kind == "corrected") + 9.0 * (kind == "raw")
                )
                value = 1.0 + t + 0.002 * noise
                rows.append({"kind": kind, "t": t, "observable": observable, "value": value,
                             "error": 0.002, "tau": 0.5})  # fmt: skip
    return pd.DataFrame(rows)


def probabilities(pulls: pd.DataFrame, kind: str) -> list[float]:
    return [diagram.probability(part[kind]) for _, part in pulls.groupby("observable")]


def test_what_agrees_passes_and_its_controls_do_not() -> None:
    pulls = diagram.pulls_of(table_of(0.0))
    assert len(pulls) == len(diagram.OBSERVABLES) * len(HOPPINGS)
    assert min(probabilities(pulls, "corrected")) > 0.01
    for control in ("displaced", "neighbour", "raw"):
        assert max(probabilities(pulls, control)) < 1e-6
    # A shift of two combined errors at every hopping.
    shifted = diagram.pulls_of(table_of(2.0 * np.sqrt(2.0)))
    assert max(probabilities(shifted, "corrected")) < 0.01


def test_chains_that_know_nothing_leave_their_control_green() -> None:
    table = table_of(0.0)
    table.loc[table["kind"] == "corrected", "error"] = 1.0
    pulls = diagram.pulls_of(table)
    assert min(probabilities(pulls, "corrected")) > 0.01
    assert min(probabilities(pulls, "displaced")) > 0.01


def test_p_values_are_uniform_where_nothing_differs() -> None:
    found = np.ravel([
        probabilities(diagram.pulls_of(table_of(0.0, seed)), "corrected") for seed in range(40)
    ])  # fmt: skip
    assert 0.4 < found.mean() < 0.6
    assert (found < 0.05).mean() < 0.12


def test_missing_values_do_not_count_as_agreement() -> None:
    assert diagram.probability(pd.Series([np.nan, 5.0])) < 1e-5
    assert diagram.probability(pd.Series([np.nan, np.nan])) == 0.0


def flow_with(spread: float) -> tuple[Flow, np.ndarray]:
    rng = np.random.default_rng(2)
    field = rng.standard_normal((400, 4, 4)) + 1j * rng.standard_normal((400, 4, 4))
    measured = {name: value[None, None] for name, value in primary(field, 0.3).items()}
    log_weights = spread * rng.standard_normal((1, 1, 400))
    arrays = measured | {"t": np.array([0.3]), "mu": np.array([-199.4]), "log_weights": log_weights}
    return Flow("line_4", 4, arrays, 0.1), log_weights[0, 0]


def test_flow_rows_are_plain_and_weighted_means() -> None:
    flow, log_weights = flow_with(0.5)
    rows = diagram.flow_rows(flow).set_index(["kind", "observable"])
    order = flow.arrays["order"][0, 0]
    raw = rows.loc[("raw", "order")]
    assert raw["value"] == pytest.approx(order.mean())
    assert raw["error"] == pytest.approx(order.std() / 20.0, rel=0.25)
    weights = np.exp(log_weights)
    expected = np.sum(weights * order) / np.sum(weights)
    assert rows.loc[("reweighted", "order"), "value"] == pytest.approx(expected)


def test_an_underpowered_reweighting_gives_no_number() -> None:
    flow, _ = flow_with(6.0)
    rows = diagram.flow_rows(flow).set_index(["kind", "observable"])
    assert rows.loc["reweighted", "value"].isna().all()
    assert rows.loc["raw", "value"].notna().any()


def test_chains_and_reference_become_rows() -> None:
    rng = np.random.default_rng(3)
    series = {name: rng.random((2, 3, 50)) + 1.0 for name in PRIMARY}
    # χ/F > 1 for a real correlation length.
    series["square"] += 9.0
    chains = series | {"t": np.array([0.2, 0.3])}
    rows = diagram.corrected_rows(chains, 8)
    assert set(rows["observable"]) == {*diagram.OBSERVABLES, *diagram.TESTED.values()}
    chosen = rows[(rows["observable"] == "susceptibility") & (rows["t"] == 0.3)].iloc[0]
    means = {name: value[1].mean() for name, value in series.items()}
    assert chosen["value"] == pytest.approx(formulas(8)["susceptibility"](means))
    assert chosen["error"] > 0.0 and chosen["tau"] >= 0.5


def test_p_values_know_what_hoppings_share() -> None:
    """Twenty estimates that move together are one deviation, not twenty."""
    together = pd.Series(np.full(20, 2.5))
    assert diagram.probability(together) < 1e-12
    shared = np.full((20, 20), 0.999)
    np.fill_diagonal(shared, 1.0)
    assert diagram.probability(together, shared) > 0.5
    # Against each other they would have to move by far less.
    apart = pd.Series(np.where(np.arange(20) % 2 == 0, 0.5, -0.5))
    assert diagram.probability(apart) > 0.9
    assert diagram.probability(apart, shared) < 1e-12


def test_what_chains_share_is_told_from_their_records() -> None:
    rng = np.random.default_rng(5)

    def chains(weight: float) -> dict[str, np.ndarray]:
        both = rng.standard_normal((1, 8, 300))
        series = {}
        for name in PRIMARY:
            own = rng.standard_normal((3, 8, 300))
            series[name] = 20.0 + weight * both + np.sqrt(1.0 - weight**2) * own
        series["square"] += 90.0
        return series | {"t": np.array([0.2, 0.3, 0.4])}

    for weight, low, high in ((0.0, -0.35, 0.35), (0.9, 0.6, 0.95)):
        drawn = chains(weight)
        rows = pooled(diagram.corrected_rows(drawn, 8), None)
        exact = rows.assign(kind="reference", error=0.0)
        found = diagram.correlations(drawn, pd.concat([rows, exact]), 8)
        for observable in diagram.OBSERVABLES:
            off = found[observable][~np.eye(3, dtype=bool)]
            assert low < off.min() and off.max() < high, observable
        # Beside a reference of the same errors half of the variance is shared.
        same = rows.assign(kind="reference")
        halved = diagram.correlations(drawn, pd.concat([rows, same]), 8)
        np.testing.assert_allclose(halved["order"][0, 1], 0.5 * found["order"][0, 1], rtol=1e-9)
        # Three times as many chains more at one hopping: a quarter of its weight is what it shares.
        first = (rows["t"] == 0.2) * 0.5 + (rows["t"] != 0.2) * 1.0
        more = rows.assign(error=rows["error"] * first)
        added = diagram.correlations(drawn, pd.concat([more, exact]), 8)
        for left, right, share in ((0, 1, 0.5), (0, 2, 0.5), (1, 2, 1.0)):
            expected = share * found["order"][left, right]
            np.testing.assert_allclose(added["order"][left, right], expected, rtol=1e-9)


def recorded(hoppings: list[float]) -> dict[str, np.ndarray]:
    """Records of chains, each hopping's the same whatever its place."""
    series = {}
    for name in PRIMARY:
        rows = [
            np.random.default_rng([int(1000 * t), len(name)]).standard_normal((8, 300))
            for t in hoppings
        ]
        series[name] = 20.0 + np.stack(rows)
    series["square"] += 90.0
    return series | {"t": np.array(hoppings)}


class Stand:
    """Results of one torus whose chains know a part of the hoppings of the reference."""

    def __init__(self, hoppings: list[float]) -> None:
        self.drawn = recorded(hoppings)
        self.chosen = type("Chosen", (), {})()
        self.chosen.diagram = type("Diagram", (), {"sides": [8]})()
        run = SimpleNamespace(
            flow="line_8", space="bulk", untrained=False, shipped="line_8", trajectories=20
        )
        self.chosen.chains = {"line_8": run}
        self.chosen.flows = {"line_8": SimpleNamespace(shipped="line_8")}

    def has(self, *_: object) -> bool:
        return True

    def chains(self, name: str) -> tuple[dict, dict] | None:
        return (self.drawn, {}) if name == "line_8" else None

    def reference(self, _: int) -> dict[str, np.ndarray]:
        rows = diagram.corrected_rows(recorded([0.1, 0.2, 0.3, 0.4]), 8)
        found = {"t": np.array([0.1, 0.2, 0.3, 0.4])}
        for name, part in rows.groupby("observable"):
            part = part.sort_values("t")
            found |= {f"{name}{end}": part[key].to_numpy() for end, key in
                      (("", "value"), ("_error", "error"), ("_tau", "tau"))}  # fmt: skip
        return found

    def flow(self, *_: object) -> Flow:
        hoppings = self.drawn["t"]
        arrays = {name: self.drawn[name].reshape(len(hoppings), 1, -1) for name in PRIMARY}
        arrays |= {"t": hoppings, "log_weights": np.zeros((len(hoppings), 1, 2400))}
        arrays["shipped"] = np.array(0.0)
        return Flow("line_8", 8, arrays, 0.1)


@pytest.mark.parametrize("hoppings", [[0.2, 0.3, 0.4], [0.4, 0.2, 0.3], [0.3]])
def test_a_part_of_the_line_in_any_order_is_compared_where_it_was_drawn(hoppings) -> None:
    """The same records as the reference's are no deviation."""
    found = dict(diagram.diagram(Stand(hoppings)))
    assert found["diagram.corrected_p_smallest_8"].value == 1.0
    assert sorted(set(found["pulls"]["t"])) == sorted(hoppings)
    table = found["diagram"]
    assert set(table.loc[table["kind"] == "corrected", "shipped_records"]) == {280}
    assert set(table.loc[table["shipped"], "kind"]) == {"corrected", "raw", "reweighted"}
    control = found["diagram.displaced_p_smallest_8"].value
    assert (control is None) == (len(hoppings) == 1), "Nothing to compare is no difference."
    every = dict(diagram.diagram(Stand(sorted(hoppings))))
    for name, item in found.items():
        if not isinstance(item, pd.DataFrame) and item.value is not None:
            assert item.value == pytest.approx(every[name].value, rel=1e-9), name


def test_chains_are_trusted_where_only_the_correlation_length_has_no_value() -> None:
    drawn = recorded([0.2, 0.3])
    drawn["square"] -= 100.0  # of one hopping and all: ξ² is negative
    rows = diagram.corrected_rows(drawn, 8)
    assert rows.loc[rows["observable"] == "correlation_length", "value"].isna().all()
    assert rows["equilibrated"].all()


def test_nothing_is_left_out_where_the_helicity_is_large_everywhere() -> None:
    found = dict(diagram.diagram(Stand([0.2, 0.3, 0.4])))
    assert list(found["helicity_errors"].columns) == HELICITY
    assert set(found["helicity_errors"]["asked"]) == {"relative"}
    assert found["diagram.crossover_error_helicity_8"].value is None


def test_without_chains_the_samples_of_the_flow_are_compared_alone() -> None:
    class Bare(Stand):
        def chains(self, _: str) -> None:
            return None

    stand, every = Bare([0.1, 0.2, 0.3, 0.4]), Stand([0.1, 0.2, 0.3, 0.4])
    stand.chosen.chains = {}
    found, known = (dict(diagram.diagram(each)) for each in (stand, every))
    assert set(found["diagram"]["kind"]) == {"reference", "raw", "reweighted"}
    assert found["diagram"]["equilibrated"].all() and set(found["diagram"]["records"]) == {0}
    assert not any("corrected" in name or "displaced" in name for name in found)
    assert not any("error" in name for name in found if name != "helicity_errors")
    for name in ("raw_p_smallest_8", "neighbour_p_smallest_8", "raw_largest_pull_8"):
        assert found[f"diagram.{name}"].value == known[f"diagram.{name}"].value, name


def test_further_chains_at_a_hopping_tell_more_of_it_alone() -> None:
    class More(Stand):
        def chains(self, name: str) -> tuple[dict, dict] | None:
            return (recorded([0.2]), {}) if name == "crossover_8" else super().chains(name)

    stand, alone = More([0.1, 0.2, 0.3]), Stand([0.1, 0.2, 0.3])
    stand.chosen.chains["crossover_8"] = stand.chosen.chains["line_8"]
    tables = [dict(diagram.diagram(each))["diagram"] for each in (stand, alone)]
    both = [table[table["kind"] == "corrected"].set_index(["observable", "t"]) for table in tables]
    ratio = (both[0]["error"] / both[1]["error"]).unstack()
    np.testing.assert_allclose(ratio[0.2], np.sqrt(0.5))
    np.testing.assert_allclose(ratio[[0.1, 0.3]], 1.0)
    # The same records twice have the same mean, and the reference's.
    assert dict(diagram.diagram(stand))["diagram.corrected_p_smallest_8"].value == 1.0


def test_a_line_without_an_error_shares_nothing() -> None:
    drawn = recorded([0.2, 0.3])
    rows = pooled(diagram.corrected_rows(drawn, 8), None)
    rows.loc[rows["t"] == 0.2, "alone"] = np.nan
    exact = rows.assign(kind="reference", error=0.0)
    found = diagram.correlations(drawn, pd.concat([rows, exact]), 8)
    np.testing.assert_array_equal(found["order"], np.eye(2))
