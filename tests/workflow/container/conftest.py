"""A container engine of the tests' own, and a base image made of Debian's packages.

Nothing is pulled from a registry: the base is bootstrapped by mmdebstrap, the engine is unpacked
(not installed) from its package, listens to a socket of its own and ends with the tests.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from keeper import ENDS_WITH_PARENT, isolation, kept

ROOT = Path(__file__).parents[3]
VARIANT = os.environ.get("CONTAINER_VARIANT", "cpu")
"""Which image is built and run: cpu, or cuda."""

FREE_GIB = {"cpu": 12, "cuda": 30}
"""Disk that building takes: the image, and the environment once more in the stage that makes it."""

LONGEST_S = 3000
"""That the engine may live."""

PROGRAMS = {"mmdebstrap": "mmdebstrap", "runc": "runc", "iptables": "iptables"}
BASE = "emergence-base:debian"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# How this machine reaches its packages, if it says so; nothing of it stands in the project.
PASSED_ON = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST")


def run(*command: object, timeout: float = 600, **options) -> subprocess.CompletedProcess:
    """Run to the end, standard error among the output."""
    return subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        **options,
    )


def must(*command: object, timeout: float = 600, **options) -> str:
    done = run(*command, timeout=timeout, **options)
    assert done.returncode == 0, f"{command[0]} failed:\n{done.stdout[-3000:]}"
    return done.stdout


@dataclass(frozen=True)
class Engine:
    """A running container engine: its client, and what that client needs to find it."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *arguments: object, timeout: float = 120) -> subprocess.CompletedProcess:
        return run("docker", *arguments, timeout=timeout, env=self.environment)

    def must(self, *arguments: object, timeout: float = 120) -> str:
        return must("docker", *arguments, timeout=timeout, env=self.environment)


@pytest.fixture(scope="session")
def engine(tmp_path_factory) -> Iterator[Engine]:
    if why := _missing():
        pytest.skip(why)
    programs = _unpack(tmp_path_factory.mktemp("engine"))
    # Short, because the path of a socket may have 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="engine-"))
    try:
        with_programs = f"{programs / 'usr/bin'}:{programs / 'usr/sbin'}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": with_programs, "HOME": str(folder)}
        environment |= {"DOCKER_HOST": f"unix://{folder}/socket", "DOCKER_BUILDKIT": "0"}
        yield from _running(Engine(folder, environment))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _missing() -> str:
    """Why no container engine can be started here; empty where one can."""
    if not os.environ.get("EMERGENCE_DAEMONS"):
        return "Daemons are started only where EMERGENCE_DAEMONS=1: `make container-test`."
    if os.geteuid() != 0:
        return "Only root can start a container engine."
    missing = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    if missing:
        return f"Starting a container engine needs {', '.join(missing)}: see .ci/apt-packages."
    if why := isolation():
        return f"A container engine cannot be kept apart here: {why}."
    free = shutil.disk_usage(tempfile.gettempdir()).free / 2**30
    if free < FREE_GIB[VARIANT]:
        return f"Building the image takes {FREE_GIB[VARIANT]} GiB of disk, {free:.0f} are free."
    return ""


def _unpack(folder: Path) -> Path:
    """The programs of the engine, from Debian's packages."""
    debs, programs = folder / "debs", folder / "programs"
    debs.mkdir()
    download = ("apt-get", "download", "docker.io", "containerd")
    fetched = run(*download, cwd=debs)
    if fetched.returncode != 0:
        # The lists of packages may be old, or there may be none.
        run("apt-get", "update", "-qq")
        fetched = run(*download, cwd=debs)
    if fetched.returncode != 0:
        pytest.skip(f"The packages docker.io and containerd cannot be had: {fetched.stdout[-500:]}")
    for deb in debs.iterdir():
        must("dpkg-deb", "-x", deb, programs)
    return programs


def _running(engine: Engine) -> Iterator[Engine]:
    """The engine while it runs."""
    places = {name: engine.folder / name for name in ("data", "exec", "pid")}
    options = ["--data-root", places["data"], "--exec-root", places["exec"]]
    options += ["--pidfile", places["pid"], "--host", engine.environment["DOCKER_HOST"]]
    options += ["--storage-driver", "overlay2", "--bridge", "none"]
    options += ["--iptables=false", "--ip6tables=false"]
    log = engine.folder / "log"
    daemon = kept(
        *(engine.folder, "dockerd", *options),
        seconds=LONGEST_S,
        log=log,
        env=engine.environment,
    )
    with daemon as running:
        deadline = time.monotonic() + 60
        while engine("info", timeout=30).returncode != 0:
            if running.poll() is not None or time.monotonic() > deadline:
                pytest.skip(f"No container engine starts here: {log.read_text()[-500:]}")
            time.sleep(0.2)
        yield engine


@pytest.fixture(scope="session")
def base(engine) -> str:
    """A stand-in for the image that the Dockerfile starts from, named as it is used in builds."""
    archive = engine.folder / "base.tar"
    packages = ["--variant=minbase", "--include=ca-certificates"]
    made = run(
        *(*ENDS_WITH_PARENT, "mmdebstrap", *packages, "bookworm", archive),
        timeout=300,
        env={**os.environ, "TMPDIR": str(engine.folder)},
    )
    if made.returncode != 0:
        pytest.skip(f"Debian's packages cannot be had: {made.stdout[-500:]}")
    variables = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    imported = "emergence-imported"
    changes = [part for pair in variables.items() for part in ("-c", "ENV {}={}".format(*pair))]
    engine.must("import", *changes, archive, imported, timeout=300)
    archive.unlink()
    context = engine.folder / "base"
    context.mkdir()
    lines = [f"FROM {imported}"]
    if CERTIFICATES.exists():
        # A machine behind a proxy of its own trusts certificates that Debian does not know.
        shutil.copy(CERTIFICATES, context)
        lines += [f"COPY {CERTIFICATES.name} {CERTIFICATES}"]
        lines += [f"ENV SSL_CERT_FILE={CERTIFICATES} PIP_CERT={CERTIFICATES}"]
    (context / "Dockerfile").write_text("\n".join(lines) + "\n")
    engine.must("build", "--tag", BASE, context)
    return BASE


@pytest.fixture(scope="session")
def revision() -> str:
    """The commit as `make` tells it to the build, when that begins."""
    command = ["git", "-C", ROOT, "describe", "--always", "--abbrev=40", "--match=", "--dirty"]
    told = subprocess.run(command, capture_output=True, text=True)
    return told.stdout.strip() or "unknown"


@pytest.fixture(scope="session")
def image(engine, base, revision) -> str:
    """The image as `make` builds it, on the stand-in."""
    target = {"cpu": "container", "cuda": "container-cuda"}[VARIANT]
    arguments = f"--network host --build-arg BASE_IMAGE={base}"
    started = time.monotonic()
    must(
        *("make", "-C", ROOT, target, f"ARGS={arguments}", "IMAGE=emergence-test"),
        env=engine.environment,
        timeout=1500,
    )
    name = f"emergence-test:{VARIANT}"
    size = int(engine.must("image", "inspect", "--format", "{{.Size}}", name)) / 1e9
    print(f"\nThe image {VARIANT} took {time.monotonic() - started:.0f} s and has {size:.1f} GB.")
    return name


@pytest.fixture
def inside(engine, image, tmp_path) -> Callable[..., subprocess.CompletedProcess]:
    """Runs the image as a careful host would: no network, nothing writable but the results."""

    def start(
        *arguments: object,
        results: Path | None = None,
        user: str = "12345:12345",
        options: tuple[str, ...] = (),
        timeout: float = 300,
    ) -> subprocess.CompletedProcess:
        name = f"emergence-test-{time.monotonic_ns()}"
        confined = ["--network", "none", "--read-only", "--tmpfs", "/tmp"]
        mounted = ["--volume", f"{results}:/results"] if results else []
        try:
            return engine(
                *("run", "--rm", "--name", name, "--user", user),
                *(*confined, *mounted, *options, image, *arguments),
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            engine("kill", name)
            raise

    return start
