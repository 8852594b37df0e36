"""What a preflight check finds, and the checks of a GPU: driver, compute capability, libraries.

No GPU is ever required; an unsupported one gets one sentence and the processor's way.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import Literal

State = Literal["well", "advice", "fault"]

DRIVER = (525, 60, 13)
"""Oldest NVIDIA driver for CUDA 12 on Linux (CUDA's release notes, minor version compatibility)."""
DRIVER_PTX = (555, 42, 2)
"""That of CUDA 12.5, which the wheels are built with: GPUs without code of their own in the wheels
have it compiled by the driver, which an older one refuses."""
LAST_BUILT = (9, 0)
"""From this compute capability on, TensorFlow 2.21's wheels hold code for the driver to compile."""


@dataclass(frozen=True)
class Finding:
    """What one check came to."""

    name: str
    state: State
    sentence: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.sentence} {self.remedy}".strip()


def driver_version() -> tuple[int, ...] | None:
    """Return the NVIDIA driver's version; None where there is none."""
    try:
        answer = subprocess.run(
            ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=20, check=True,
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    numbers = re.findall(r"\d+", answer.partition("\n")[0])
    return tuple(map(int, numbers)) or None


def graphics(
    gpus: list[tuple[str, tuple[int, int] | None]],
    driver: tuple[int, ...] | None,
    built: tuple[int, int],
) -> list[Finding]:
    """What the GPUs can do for a run: never a fault, because none is required."""
    cpu = "Nothing is lost without: everything also runs on the processor, paper scale excepted."
    oldest, told = _dotted(DRIVER), None if driver is None else _dotted(driver)
    if driver is None:
        sentence = (
            "No NVIDIA driver was found, so everything will run on the processor; a GPU would need "
            f"driver {oldest} or later and compute capability {_dotted(built)} or more."
        )
        return [Finding("gpu", "well", sentence)]
    if driver < DRIVER:
        return [
            Finding(
                "gpu", "advice", f"The NVIDIA driver {told} is older than {oldest}, which CUDA 12 "
                "needs, so everything will run on the processor.",
                f"Update the driver to use the GPU. {cpu}",
            )
        ]  # fmt: skip
    if not gpus:
        return [
            Finding(
                "gpu", "advice", f"There is an NVIDIA driver ({told}), but TensorFlow sees no GPU.",
                "Install its CUDA libraries with `make env LOCK=requirements-gpu.lock`; in a "
                f"container, start it with --gpus all. {cpu}",
            )
        ]  # fmt: skip
    return [_one_gpu(name, version, driver, built, cpu) for name, version in gpus]


def _one_gpu(
    name: str,
    version: tuple[int, int] | None,
    driver: tuple[int, ...],
    built: tuple[int, int],
    cpu: str,
) -> Finding:
    if version is None:
        sentence = f"{name} does not tell its compute capability; at least {_dotted(built)} is "
        return Finding("gpu", "advice", f"{sentence}needed.", cpu)
    has = f"{name} has compute capability {_dotted(version)}"
    if version < built:
        return Finding(
            "gpu", "advice", f"{has}, but TensorFlow is built for {_dotted(built)} and later, so that it "
            "will not be used.",
            cpu,
        )  # fmt: skip
    if version >= LAST_BUILT and driver < DRIVER_PTX:
        return Finding(
            "gpu", "advice", f"{has}, whose code the driver {_dotted(driver)} may be too old to "
            f"compile; {_dotted(DRIVER_PTX)} is not.",
            f"Update the driver, or hide the GPU with CUDA_VISIBLE_DEVICES=-1. {cpu}",
        )  # fmt: skip
    return Finding("gpu", "well", f"{has}, driver {_dotted(driver)}: it will be used.")


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
