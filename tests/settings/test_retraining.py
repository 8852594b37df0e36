"""Settings of growing wave functions: what could not be measured at the end is told before."""

import pytest
from mappings import changed
from refused_settings import refusal


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("configurations",), 20, "no multiple of the batch"),
        (("configurations",), 24, "chains.ising has probes"),
        (("chains", "ising", "sizes"), {6: "none"}, "chains.ising.sizes.6"),
    ],
)
def test_a_fault_names_key_and_reason(build_settings, path, value, told):
    settings = changed(build_settings(), ("retraining", "chains", "ising", "probes"), [6])
    assert told in refusal(changed(settings, ("retraining", *path), value))
