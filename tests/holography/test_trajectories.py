"""The diagram by trajectories: held against clusters at their own hoppings, and those beside them."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from emergence.holography import trajectories
from emergence.holography.diagram import OBSERVABLES, TESTED
from emergence.holography.observables import PRIMARY
from emergence.settings import ChainsSettings

EVERY = np.linspace(0.1, 0.5, 9)
OWN = EVERY[[1, 4, 8]]


def rows_of(hoppings: np.ndarray, seed: int, shift: float = 0.0, **more: object) -> pd.DataFrame:
    """About smooth curves, ``shift`` standard errors off."""
    rng = np.random.default_rng(seed)
    rows = [
        {"observable": name, "t": t, "value": 1.0 + t + 0.002 * (rng.standard_normal() + shift)}
        for name in (*OBSERVABLES, *TESTED.values())
        for t in hoppings
    ]
    return pd.DataFrame(rows).assign(error=0.002, tau=0.5, **more)


def told(shift: float = 0.0, trusted: bool = True, hoppings: np.ndarray = OWN, seed: int = 0):
    own = rows_of(hoppings, seed, shift, kind="hamiltonian", equilibrated=trusted)
    return dict(trajectories.agreement(own, rows_of(EVERY, seed + 1, kind="reference"), 8))


def test_what_agrees_passes_and_the_next_hopping_does_not() -> None:
    found = told()
    assert found["trajectories.p_smallest_8"].value > 0.01
    assert found["trajectories.displaced_p_smallest_8"].value < 1e-6
    assert found["trajectories.relative_error_order_8"].value == pytest.approx(
        0.002 / 1.15, rel=0.01
    )
    assert all(one.source == "chains/hamiltonian_8" for one in found.values())
    # Two combined errors off at every hopping.
    assert told(2.0 * np.sqrt(2.0))["trajectories.p_smallest_8"].value < 0.01


def test_p_values_are_uniform_where_nothing_differs() -> None:
    values = [
        told(seed=2 * seed)[f"trajectories.p_{name}_8"].value
        for seed in range(40)
        for name in OBSERVABLES
    ]
    assert 0.42 < np.mean(values) < 0.58
    assert np.mean(np.array(values) < 0.05) < 0.12


def test_the_last_hopping_is_held_against_the_one_before() -> None:
    own = rows_of(EVERY[-1:], 0, kind="hamiltonian", equilibrated=True)
    reference = rows_of(EVERY, 1, kind="reference")
    reference.loc[reference["t"] == EVERY[-2], "value"] = own["value"].to_numpy()
    found = dict(trajectories.agreement(own, reference, 8))
    assert found["trajectories.displaced_p_smallest_8"].value > 1.0 - 1e-9
    assert found["trajectories.p_smallest_8"].value < 1.0 - 1e-3


def test_of_chains_that_have_not_equilibrated_nothing_is_known() -> None:
    found = told(trusted=False)
    assert all(one.error is None and "equilibrated" in one.note for one in found.values())


def test_scales_without_such_chains_measure_nothing() -> None:
    """The table has its columns all the same, which its figure asks for."""
    chosen = SimpleNamespace(diagram=SimpleNamespace(sides=[8, 16]))
    none = SimpleNamespace(chosen=chosen, chains=lambda _: None)
    (found,) = trajectories.trajectories(none)
    assert found[0] == "trajectories" and list(found[1].columns) == trajectories.COLUMNS


def test_chains_become_rows_of_their_torus() -> None:
    rng = np.random.default_rng(3)
    series = {name: 20.0 + rng.standard_normal((3, 8, 300)) for name in PRIMARY}
    series["square"] += 90.0
    run = SimpleNamespace(
        flow="affine", space="bulk", untrained=False, shipped=None, trajectories=300
    )
    stand = SimpleNamespace(
        chosen=SimpleNamespace(
            diagram=SimpleNamespace(sides=[8, 16]),
            chains={"hamiltonian_8": run},
            flows={"affine": SimpleNamespace(shipped=None)},
        ),
        chains=lambda name: (series | {"t": OWN}, {}) if name == "hamiltonian_8" else None,
        reference=lambda _: _columns(rows_of(EVERY, 1)),
    )
    found = dict(trajectories.trajectories(stand))
    table = found["trajectories"]
    assert set(table["size"]) == {8} and set(table["records"]) == {300}
    assert not table["shipped"].any() and set(table["kind"]) == {"hamiltonian"}
    assert sorted(table["t"].unique()) == pytest.approx(sorted(OWN))
    assert found["trajectories.p_smallest_8"].value < 0.01  # of these curves it knows nothing


def _columns(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    found = {"t": EVERY}
    for name, part in rows.groupby("observable"):
        found |= {f"{name}{end}": part[key].to_numpy() for end, key in
                  (("", "value"), ("_error", "error"), ("_tau", "tau"))}  # fmt: skip
    return found


CHAINS = {
    "flow": "affine", "size": 8, "space": "bulk", "t": [0.2, 0.3], "chains": 4, "tuning": 5,
    "trajectories": 50, "leapfrogs": 5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"leapfrogs": None, "refreshes": 2}, "must move by leapfrogs in the bulk"),
        ({"space": "boundary"}, "must move by leapfrogs in the bulk"),
        ({"t": [0.2, 0.25]}, "t = 0.25 is no hopping of the diagram"),
        ({"t": None}, "must list hoppings"),
        ({"size": 4}, "its size is 4, but it must be 8"),
        ({"size": 4, "t": "diagram"}, "its size is 4, but it must be 8"),
    ],
)
def test_other_chains_are_refused(change: dict, said: str) -> None:
    run = ChainsSettings.model_validate(CHAINS | change)
    with pytest.raises((ValueError, ValidationError), match=said):
        run.check_hamiltonian("chains.hamiltonian_8", 8, [0.2, 0.3])


def test_all_hoppings_or_some_are_taken() -> None:
    for hoppings in ("diagram", [0.2, 0.3]):
        run = ChainsSettings.model_validate(CHAINS | {"t": hoppings})
        run.check_hamiltonian("chains.hamiltonian_8", 8, [0.2, 0.3])
