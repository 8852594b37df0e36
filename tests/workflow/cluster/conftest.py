"""A SLURM cluster of one node, with device files that stand in for its GPUs."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from keeper import isolation, kept

PROGRAMS = {"slurmctld": "slurm-wlm", "slurmd": "slurm-wlm", "munged": "munge"}
SYSTEM_FOLDER = Path("/etc/slurm")
"""Where SLURM looks for its settings unless a variable tells another place, which jobs lose."""
LONGEST_S = 1800
GPUS = 2

# The last one is waited for; when it ends, the others are ended.
SERVICES = """
mkdir -p {system} && mount --bind {folder} {system} || exit
munged --foreground --force {munge} > munged.out 2>&1 &
until [ -e munge.socket ]; do sleep 0.1; done
slurmctld -D > slurmctld.out 2>&1 &
slurmd -D -N {host}
"""

SLURM_CONF = """
ClusterName=tests
SlurmctldHost={host}
SlurmUser=root
SlurmctldPort={ctld_port}
SlurmdPort={node_port}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
ReturnToService=2
MinJobAge=3600
KillWait=2
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} CPUs=4 RealMemory=8000 Gres=gpu:{gpus} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
GRES_CONF = "NodeName={host} Name=gpu File=/dev/tty[0-{last}]\n"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Path]:
    """The folder of a running cluster of one node; its four processors and two GPUs need not exist."""
    if why := _missing():
        pytest.skip(why)
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    try:
        services = _settle(folder)
        with (
            kept(
                *(folder, "sh", "-c", services),
                seconds=LONGEST_S,
                log=folder / "slurmd.out",
                cwd=folder,
            ) as running,
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
            deadline = time.monotonic() + 60
            while "idle" not in ask("sinfo", "--noheader", "--format=%T"):
                if running.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"No SLURM cluster came up:\n{_told(folder)}")
                time.sleep(0.2)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _missing() -> str:
    """Why no cluster can be started here; empty where one can."""
    if not os.environ.get("EMERGENCE_DAEMONS"):
        return "Daemons are started only where EMERGENCE_DAEMONS=1: `make cluster-test`."
    if os.geteuid() != 0:
        return "Only root can start a SLURM cluster."
    missing = {package for program, package in PROGRAMS.items() if not shutil.which(program)}
    if missing:
        named = ", ".join(sorted(missing))
        return f"Starting a SLURM cluster needs {named}: see .ci/apt-packages."
    if why := isolation():
        return f"A SLURM cluster cannot be kept apart here: {why}."
    return ""


def _settle(folder: Path) -> str:
    """Write the cluster's settings; the commands that start its services."""
    # They look for each other's sockets below it.
    folder.chmod(0o755)
    host = socket.gethostname().split(".")[0]
    ports = {"ctld_port": free_port(), "node_port": free_port()}
    conf = SLURM_CONF.format(folder=folder, host=host, gpus=GPUS, **ports)
    (folder / "slurm.conf").write_text(conf)
    (folder / "gres.conf").write_text(GRES_CONF.format(host=host, last=GPUS - 1))
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    names = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munge.pid"}
    names |= {"log-file": "munge.log", "seed-file": "munge.seed"}
    munge = " ".join(f"--{option}={folder / name}" for option, name in names.items())
    return SERVICES.format(folder=folder, system=SYSTEM_FOLDER, munge=munge, host=host)


def _told(folder: Path) -> str:
    """The ends of what the services said and wrote down."""
    outputs = sorted(folder.glob("*.out")) + sorted(folder.glob("*.log"))
    return "\n".join(f"{path.name}: {path.read_text()[-1000:]}" for path in outputs)


def ask(*command: str) -> str:
    """What one of SLURM's commands answers; nothing where it cannot."""
    limited = ["timeout", "-k", "5", "20", *command]
    return subprocess.run(limited, capture_output=True, text=True).stdout
