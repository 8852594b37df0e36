"""Settings of growing wave functions: what could not be measured at the end is told before."""

import pytest
from mappings import changed
from refused_settings import refusal

from emergence.settings import parse


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("configurations",), 20, "no multiple of the batch"),
        (("configurations",), 24, "chains.ising has probes"),
        (("chains", "ising", "sizes"), {6: "none"}, "chains.ising.sizes.6"),
        (("chains", "ising", "sizes"), {2: "brief", 6: "brief"}, "an open chain of 2 sites is one"),
    ],
)
def test_a_fault_names_key_and_reason(build_settings, path, value, told):
    settings = changed(build_settings(), ("retraining", "chains", "ising", "probes"), [6])
    assert told in refusal(changed(settings, ("retraining", *path), value))


def test_couplings_of_second_neighbours_need_some(build_settings):
    arm = {"model": "j1j2", "j2": 0.5, "geometry": "chain", "network": "gated"}
    for boundary in ("open", "periodic"):
        grown = arm | {"boundary": boundary, "sizes": {2: "brief", 4: "brief"}}
        place = ("retraining", "chains", "frustrated")
        told = refusal(changed(build_settings(), place, grown))
        assert "chains.frustrated is inconsistent: a chain of 2 sites has no second" in told
        parse(changed(build_settings(), place, grown | {"sizes": {4: "brief"}}), "x")


@pytest.mark.parametrize(
    ("geometry", "boundary", "size"),
    [("chain", "open", 3), ("chain", "periodic", 2), ("square", "open", 2)],
)
def test_the_smallest_lattices_there_are(build_settings, geometry, boundary, size):
    network = {"chain": "gated", "square": "tensor"}[geometry]
    arm = {"model": "ising", "field": 1.0, "network": network, "sizes": {size: "brief"}}
    arm |= {"geometry": geometry, "boundary": boundary}
    parse(changed(build_settings(), ("retraining", "chains", "small"), arm), "x")
