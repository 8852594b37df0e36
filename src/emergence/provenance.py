"""Where a result comes from: the code's commit, the lock, the versions and the machine.

:func:`emergence.artifacts.record_provenance` writes these beside every result. Nothing here imports
TensorFlow, and what cannot change while a process lives is asked for once.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent
CHECKOUT = PACKAGE.parents[1]
"""The folder of Snakefile, workflow/ and config/; where the package is installed without, others."""


def code_in_use() -> dict[str, Any]:
    """Return commit, dirty (whether the code differs from it), lock_sha256 and versions."""
    return {**_revision(), "lock_sha256": _lock_sha256(), "versions": _versions()}


def host_in_use() -> dict[str, Any]:
    """Return platform, cpu_count and this process's peak_memory_mib and processor_time_s so far."""
    return {
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "peak_memory_mib": round(_peak_memory(), 1),
        "processor_time_s": round(_processor_time(), 3),
    }


def _processor_time() -> float:
    """Of this process and those that it has waited for, since its start, in seconds."""
    told = os.times()
    return told.user + told.system + told.children_user + told.children_system


def _peak_memory() -> float:
    """Of this process in MiB."""
    # On Linux getrusage tells the peak of the process that started this one, where that was larger.
    if sys.platform == "linux":
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts in bytes.
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


@cache
def _revision() -> dict[str, Any]:
    """Return the commit of this code, and whether the code differs from it."""
    commit = os.environ.get("EMERGENCE_REVISION", "")  # an image holds no .git, but this
    if commit:
        return {
            "commit": commit.removesuffix("-dirty"),
            "dirty": commit.endswith("-dirty"),
        }
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "status", "--porcelain=v2", "--branch"]
    command += ["--untracked-files=no", "--", ":/", ":(exclude,top)figures"]
    # Optional locks off: stages that run side by side must not contend for the index.
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        answer = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return {"commit": "unknown", "dirty": False}
    commits = [line.split()[-1] for line in answer if line.startswith("# branch.oid ")]
    dirty = any(not line.startswith("#") for line in answer)
    return {"commit": commits[0] if commits else "unknown", "dirty": dirty}


@cache
def _lock_sha256() -> str:
    """Return the hash of the lock file: EMERGENCE_LOCK, or the one above this package."""
    above = [folder / "requirements.lock" for folder in Path(__file__).parents]
    named = os.environ.get("EMERGENCE_LOCK")
    for path in [Path(named)] if named else above:
        if path.is_file():
            return hashlib.sha256(path.read_bytes()).hexdigest()
    return "unknown"


@cache
def _versions() -> dict[str, str]:
    """Return the versions that numbers may depend on; TensorFlow is not imported for it."""
    versions = {"python": platform.python_version()}
    for name in ("emergence", "numpy", "scipy", "pandas", "tensorflow"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions
