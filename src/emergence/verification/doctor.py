"""Preflight: whether this machine can run the project.

Every check is one sentence with its remedy. What stops a run is a fault; what only slows it, or what
a GPU would need, is advice: every number of the project can be computed without a GPU.
"""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from emergence.devices import capability, usable_processors
from emergence.errors import HostError
from emergence.verification.expected import memory_needed
from emergence.verification.graphics import Finding, driver_version, graphics

PYTHONS = ((3, 11), (3, 13))
"""Oldest and newest that the locked packages have wheels for."""
DEFAULT = "laptop"
"""The scale that `make reproduce` runs."""
DISK_GIB = 2.0
"""Results of that scale take 0.3 GiB; checkpoints and logs come on top. A smoke run takes a fraction,
and what one of the paper scale takes is not known."""


def examine(lock: Path, folder: Path, record: Path, quick: bool = False) -> list[Finding]:
    """Run every check; ``quick`` leaves out those that start TensorFlow.

    Args:
        lock: the lock that the environment was made from.
        folder: where results will be written.
        record: of what each job costs, ``config/costs.csv``.

    Raises:
        ArtifactError: the record is missing or malformed.
    """
    needed = memory_needed(record)
    checks: list[Callable[[], Finding]] = [
        lambda: python_version(sys.version_info[:2]),
        lambda: locked_versions(lock),
        processors,
        lambda: memory(available_memory_gib(), needed),
        lambda: disk(shutil.disk_usage(_existing(folder)).free / 2**30, folder),
        lambda: writing(folder),
        lambda: programs(shutil.which),
    ]
    findings = [check() for check in checks]
    if not quick:
        compiled, gpus, built = compiled_op()
        findings += [compiled, *graphics(gpus, driver_version(), built)]
    return findings


def require(findings: Iterable[Finding]) -> None:
    """Do nothing where nothing stops a run.

    Raises:
        HostError: a sentence per fault.
    """
    faults = [finding for finding in findings if finding.state == "fault"]
    if faults:
        *earlier, last = faults
        told = [f"{finding.sentence} {finding.remedy}" for finding in earlier]
        raise HostError(" ".join([*told, last.sentence]), last.remedy)


def python_version(version: tuple[int, int]) -> Finding:
    """Whether this Python is one that the lock was made for."""
    text = ".".join(map(str, version))
    if PYTHONS[0] <= version <= PYTHONS[1]:
        return Finding("python", "well", f"Python {text}.")
    return Finding(
        "python", "fault", f"Python {text} is not one of 3.11 to 3.13.", "Install one of these."
    )


def locked_versions(lock: Path) -> Finding:
    """Whether what is installed is what the lock says; what is installed beside it is not looked at."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        text = lock.read_text(encoding="utf-8")
    except OSError as error:
        return Finding(
            "lock", "fault", f"The lock {lock} cannot be read ({error.strerror}).",
            "git checkout restores it.",
        )  # fmt: skip
    pins, different, missing = 0, [], []
    for line in re.findall(r"(?m)^[A-Za-z0-9][^\\\n]*==[^\\\n]*", text):
        try:
            pin = Requirement(line)
        except InvalidRequirement:
            return Finding(
                "lock", "fault", f"{lock} is damaged: '{line}'.", "git checkout restores it."
            )
        pins += 1
        if pin.marker and not pin.marker.evaluate():
            continue  # for another platform or Python
        try:
            installed = importlib.metadata.version(pin.name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(pin.name)
            continue
        if installed not in pin.specifier:
            different.append(f"{pin.name} is {installed}, not {str(pin.specifier)[2:]}")
    if not pins:
        return Finding("lock", "fault", f"{lock} pins nothing.", "git checkout restores it.")
    if missing:
        return Finding(
            "lock", "fault",
            f"{len(missing)} of {pins} packages of {lock.name} not installed: {', '.join(missing[:5])}.",
            "`make env` installs what is locked.",
        )  # fmt: skip
    if different:
        return Finding(
            "lock", "advice",
            f"{len(different)} packages differ from the lock: {'; '.join(different[:5])}.",
            "Numbers may differ in their last digits; `make env` installs what is locked.",
        )  # fmt: skip
    return Finding("lock", "well", f"What is installed is what {lock.name} says.")


def processors() -> Finding:
    """How many processors this process may use."""
    count = usable_processors()
    return Finding("processors", "well", f"{count} processor{'s' if count > 1 else ''} to use.")


def available_memory_gib() -> float | None:
    """Return what is free, a container's limit heeded; None where the system does not say."""
    found = []
    try:
        text = Path("/proc/meminfo").read_text()
        found.append(int(re.search(r"MemAvailable:\s+(\d+)", text).group(1)) / 2**20)
    except (OSError, AttributeError):
        pass
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = Path("/sys/fs/cgroup/memory.current").read_text()
        # Pages of files that were read or written lately are counted, but given back where needed.
        kept = re.search(
            r"^inactive_file (\d+)", Path("/sys/fs/cgroup/memory.stat").read_text(), re.M
        )
        found.append((int(limit) - int(used) + int(kept[1])) / 2**30)
    except (OSError, ValueError, TypeError):  # no limit: the file says "max"
        pass
    return min(found, default=None)


def memory(gib: float | None, needed: Mapping[str, float]) -> Finding:
    """Whether the dearest job of each scale fits.

    Args:
        gib: what is free, None where that is not known.
        needed: by the dearest job of each scale of which it is known, in GiB.
    """
    needs = ", ".join(f"{scale} {least:g}" for scale, least in needed.items())
    if gib is None:
        return Finding(
            "memory", "advice", "This system does not say how much memory is free.",
            f"The dearest job of each scale needs, in GiB: {needs}.",
        )  # fmt: skip
    fit = {scale: int(gib // least) for scale, least in needed.items() if gib >= least}
    if DEFAULT in needed and DEFAULT not in fit:
        return Finding(
            "memory", "advice" if fit else "fault",
            f"{gib:.1f} GiB of memory are free, but the dearest job of each scale needs, in GiB: "
            f"{needs}.",
            "Close other programs, or give the container more"
            + "".join(f"; SCALE={scale} fits" for scale in fit) + ".",
        )  # fmt: skip
    jobs = ", ".join(f"{number} of scale {scale}" for scale, number in fit.items())
    less = [f"{scale} ({least:g} GiB a job)" for scale, least in needed.items() if scale not in fit]
    return Finding(
        "memory", "well",
        f"{gib:.1f} GiB of memory are free, for so many jobs at once: {jobs}"
        + (f"; not enough for {', '.join(less)}." if less else "."),
    )  # fmt: skip


def disk(gib: float, folder: Path) -> Finding:
    """Whether the results fit."""
    if gib < DISK_GIB:
        return Finding(
            "disk", "fault",
            f"{gib:.1f} GiB are free where {folder} is, but a run of scale {DEFAULT} needs {DISK_GIB:.0f}.",
            "Free some space, or run in another folder.",
        )  # fmt: skip
    return Finding("disk", "well", f"{gib:.0f} GiB are free for results.")


def writing(folder: Path) -> Finding:
    """Whether results can be written; nothing is left behind."""
    place = _existing(folder)
    try:
        with tempfile.NamedTemporaryFile(dir=place):
            pass
    except OSError as error:
        return Finding(
            "writing", "fault", f"{place} cannot be written ({error.strerror}).",
            "Make it writable for this user, or run in a folder that is.",
        )  # fmt: skip
    return Finding("writing", "well", "Results can be written.")


def programs(which: Callable[[str], str | None]) -> Finding:
    """Whether the rules will find their command."""
    if which("snakemake") is None or which("emergence") is None:
        return Finding(
            "programs", "fault", "snakemake or emergence is not on the PATH.",
            "Activate the environment (`. .venv/bin/activate`), or use make.",
        )  # fmt: skip
    if which("git") is None:
        return Finding(
            "programs", "advice", "There is no git, so provenance will not name the commit.",
            "Install git, or set EMERGENCE_REVISION.",
        )  # fmt: skip
    return Finding("programs", "well", "snakemake, emergence and git are on the PATH.")


def compiled_op() -> tuple[Finding, list[tuple[str, tuple[int, int] | None]], tuple[int, int]]:
    """Run one compiled operation.

    Returns:
        The finding; the name and compute capability of every GPU that TensorFlow sees; and the
        lowest capability that it was built for.
    """
    try:
        import tensorflow as tf

        @tf.function(jit_compile=True)
        def square(x):
            return tf.reduce_sum(x @ x)

        with tf.device("CPU:0"):
            right = abs(float(square(tf.eye(8, dtype=tf.float64))) - 8.0) < 1e-12
        gpus = []
        for gpu in tf.config.list_physical_devices("GPU"):
            told = tf.config.experimental.get_device_details(gpu)
            gpus.append((told.get("device_name", "GPU"), told.get("compute_capability")))
        built = tf.sysconfig.get_build_info().get("cuda_compute_capabilities", [])
    except Exception as error:  # whatever a broken installation raises: it is what is looked for
        what = (str(error).splitlines() or [type(error).__name__])[0]
        remedy = "Make the environment anew: `make clean env`."
        fault = Finding("compiled op", "fault", f"TensorFlow does not run here ({what}).", remedy)
        return fault, [], (0, 0)
    if not right:
        return (
            Finding("compiled op", "fault", "A compiled operation gave a wrong number.",
                    "Do not trust this machine; report its processor."), gpus, (0, 0),
        )  # fmt: skip
    lowest = min((capability(name) for name in built), default=(6, 0))
    version = importlib.metadata.version("tensorflow")
    well = Finding("compiled op", "well", f"TensorFlow {version} compiles and runs an operation.")
    return well, gpus, lowest


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(place for place in (folder, *folder.resolve().parents) if place.is_dir())
