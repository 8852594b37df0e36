"""Settings of flows, chains and bulks: what cannot be trained or measured is told before."""

import pytest
from mappings import changed
from refused_settings import refusal

from emergence.settings import parse

CHAINS = {
    "flow": "line", "size": 2, "space": "bulk",
    "chains": 2, "tuning": 5, "trajectories": 5, "leapfrogs": 2,
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("flows", "disc", "sizes"), {6: "brief"}, "power of two"),
        (("flows", "disc", "sizes"), {4: "brief", 2: "brief"}, "must exceed its predecessor"),
        (("theories", "disc", "lam"), 0.0, "no lowest value"),
        (("theories", "disc", "lam"), -1.0, "greater than or equal to 0"),
        (("theories", "line", "t"), [0.5, 0.1], "runs from 0.5 down to 0.1"),
        (("theories", "ising", "t"), 1.0, "takes no t"),
        (("flows", "disc", "theory"), "ising", "splines are for complex fields"),
        (("flows", "disc", "theory"), "none", "flows.disc.theory"),
        (("stages", "brief", 0, "update"), "natural_gradient", "must use adam"),
        (("stages", "brief", 0, "candidates"), 2, "must fall to 1"),
        (("stages", "brief", 0, "groups"), 3, "multiple of its groups"),
        (("samples",), 13, "no multiple of the chunk"),
        (("flows", "disc", "samples"), 12, "flows.disc: the samples 12 are no multiple"),
        (("diagram", "lam"), 20.0, "whose λ is 20, but line is of λ = 25"),
        (("chains",), {"a": {**CHAINS, "flow": "none"}}, "chains.a.flow"),
        (("chains",), {"a": {**CHAINS, "size": 8}}, "has no size 8"),
        (("chains",), {"a": {**CHAINS, "flow": "disc", "t": [0.2]}}, "is not told t"),
        (("chains",), {"a": {**CHAINS, "t": [0.7]}}, "outside the flow's"),
    ],
)
def test_a_fault_names_file_key_and_reason(build_settings, path, value, told):
    settings = build_settings()
    settings["holography"]["chains"] = {"along": {**CHAINS, "t": [0.2]}}
    assert told in refusal(changed(settings, ("holography", *path), value))


def test_what_goes_on_from_weights_is_one_candidate(build_settings):
    settings = build_settings()
    brief = settings["holography"]["stages"]["brief"][0]
    several = [brief | {"candidates": 2}, brief]
    accepted = changed(settings, ("holography", "stages", "several"), several)
    parse(
        changed(accepted, ("holography", "flows", "disc", "sizes"), {2: "several", 4: "brief"}), "x"
    )
    assert "is one candidate" in refusal(
        changed(accepted, ("holography", "flows", "disc", "sizes"), {2: "brief", 4: "several"})
    )
