"""What a learnt prior gains, of weights whose every answer is known."""

from types import SimpleNamespace

import numpy as np
import pytest

from emergence.holography.actions import ComplexPhi4
from emergence.holography.exact import small_torus
from emergence.holography.prior_readings import learnt_priors, trained_after
from emergence.settings import parse

EXACT = small_torus(ComplexPhi4(1.0, 1.0, 1.0)).log_partition
SAMPLES = 4000


class Results:
    """As much of :class:`analysis.Results` as the readings ask for: a map two nats off, and a prior."""

    def __init__(self, content) -> None:
        flows = content["holography"]["flows"]
        flows["prior"] = flows["disc"] | {"after": "disc", "prior": 1}
        self.chosen = parse(content, "settings of a test").holography

    def flow(self, arm: str, size: int) -> SimpleNamespace:
        rng = np.random.default_rng(0)
        plain = EXACT - 2.0 + rng.standard_normal((1, SAMPLES))
        arrays = {"t": np.array([1.0]), "mu": np.array([1.0]), "log_weights": plain[None]}
        if arm == "prior":
            gained = 0.5 + 0.1 * rng.standard_normal((1, SAMPLES))
            arrays |= {
                "log_weights": (plain + gained)[None],
                "map_log_weights": plain,
                "reversed_log_weights": plain - 0.3,
            }
        return SimpleNamespace(arm=arm, size=size, arrays=arrays, source=f"flows/{arm}/{size}")


def test_gains_are_differences_of_paired_samples(build_settings) -> None:
    results = Results(build_settings())
    found = dict(learnt_priors(results))
    assert set(found) == {
        f"prior.{name}_2" for name in ("gain", "gain_share", "reversed_gain", "reversed_gain_share")
    }
    gain = found["prior.gain_2"]
    assert gain.error == pytest.approx(0.1 / np.sqrt(SAMPLES), rel=0.05)
    assert gain.value == pytest.approx(0.5, abs=5.0 * gain.error)
    assert found["prior.reversed_gain_2"].value == pytest.approx(-0.3)
    share = found["prior.gain_share_2"]
    # Of the gain to a tenth of a nat by each sample, of the distance of two nats to one.
    expected = np.hypot(0.1 / 2.0, 0.25 / 2.0) / np.sqrt(SAMPLES)
    assert share.error == pytest.approx(expected, rel=0.05)
    assert share.value == pytest.approx(0.25, abs=5.0 * share.error)
    assert found["prior.reversed_gain_share_2"].value == pytest.approx(-0.15, abs=0.01)


def test_a_prior_is_found_by_its_map(build_settings) -> None:
    results = Results(build_settings())
    assert [flow.arm for flow in trained_after(results, "disc", 2)] == ["prior"]
    assert trained_after(results, "disc", 4) == trained_after(results, "line", 2) == []
