"""What the numbers of a study depend on, as a fingerprint: who has the same may take its samples."""

from __future__ import annotations

from typing import Any

from emergence.settings import Settings, fingerprint
from emergence.settings.holography import BulkSettings, ChainsSettings, FlowArm

NEWER = (
    "exchanges",
    "portions",
    "precision",
    "reflections",
    "shifts",
    "shipped",
    "subtrees",
    "untrained",
)
"""Keys of a study that change nothing where they are not given."""
NEWER_OF_FLOWS = ("after", "prior")
"""And of a flow."""


def flow_of(arm: FlowArm, *but: str) -> dict[str, Any]:
    """Return the keys of a flow that its numbers depend on, without those named."""
    told = arm.model_dump(mode="json", exclude={"sizes", *but})
    return {k: v for k, v in told.items() if k not in NEWER_OF_FLOWS or v is not None}


def common_of(settings: Settings) -> str:
    """Return the fingerprint of what every number of holography depends on."""
    usual = {"seed": settings.seed, "threads": settings.threads, "devices": settings.devices}
    return fingerprint(usual | settings.unusual())


def study_of(settings: Settings, study: ChainsSettings | BulkSettings) -> str:
    """Return the fingerprint of a run of chains or of a bulk, beside the weights that it reads."""
    chosen = settings.holography
    line = chosen.diagram.model_dump(
        mode="json", include={"lam", "mu", "mu_slope", "t", "thermalisation"}
    )
    line |= {"chunk": chosen.chunk}
    if study.t == "plane":
        line = chosen.plane.model_dump(mode="json", include={"t", "mu"}) | {"chunk": chosen.chunk}
    # Only where they are given, for the same reason.
    own = {k: v for k, v in study.model_dump(mode="json").items() if k not in NEWER or v}
    return fingerprint(own | {"line": line, "common": common_of(settings)})
