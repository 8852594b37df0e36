"""A SLURM cluster of one node, with device files that stand in for its GPUs."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

PROGRAMS = {"slurmctld": "slurm-wlm", "slurmd": "slurm-wlm", "munged": "munge"}
SYSTEM_FILES = [Path("/etc/slurm/slurm.conf"), Path("/etc/slurm/gres.conf")]
"""Jobs lose the variable that would tell them of another place."""
LONGEST_S = 900
GPUS = 2

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


class Daemons:
    """Services that are started one after the other and ended by their process ids."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen] = []

    def start(self, *command: str) -> None:
        with (self.folder / f"{command[0]}.out").open("w") as output:
            self.running.append(
                # However the tests end, it does not live on.
                subprocess.Popen(
                    ["timeout", "-k", "10", str(LONGEST_S), *command], stdout=output, stderr=output
                )
            )

    def told(self) -> str:
        outputs = sorted(self.folder.glob("*.out")) + sorted(self.folder.glob("*.log"))
        return "\n".join(f"{path.name}: {path.read_text()[-1000:]}" for path in outputs)

    def end(self) -> None:
        for daemon in reversed(self.running):
            daemon.terminate()
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Path]:
    """The folder of a running cluster of one node; its four processors and two GPUs need not exist."""
    if not os.environ.get("EMERGENCE_DAEMONS"):
        pytest.skip("Daemons are started only where EMERGENCE_DAEMONS=1: `make cluster-test`.")
    if os.geteuid() != 0:
        pytest.skip("Only root can start a SLURM cluster.")
    missing = {package for program, package in PROGRAMS.items() if not shutil.which(program)}
    if missing:
        pytest.skip(
            f"Starting a SLURM cluster needs {', '.join(sorted(missing))}: see .ci/apt-daemons."
        )
    taken = [path for path in SYSTEM_FILES if path.is_symlink() or path.exists()]
    if taken:
        pytest.skip(f"This machine belongs to a cluster already: {taken[0]} exists.")
    with ExitStack() as undo:
        folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        # SLURM's services look for each other's sockets below it.
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
        for path in SYSTEM_FILES:
            path.symlink_to(folder / path.name)
            undo.callback(path.unlink)
        daemons = Daemons(folder)
        undo.callback(daemons.end)
        names = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munge.pid"}
        names |= {"log-file": "munge.log", "seed-file": "munge.seed"}
        places = [f"--{option}={folder / name}" for option, name in names.items()]
        daemons.start("munged", "--foreground", "--force", *places)
        wait(lambda: (folder / "munge.socket").exists(), daemons)
        daemons.start("slurmctld", "-D")
        daemons.start("slurmd", "-D", "-N", host)
        wait(lambda: "idle" in ask("sinfo", "--noheader", "--format=%T"), daemons)
        yield folder


def ask(*command: str) -> str:
    """What one of SLURM's commands answers; nothing where it cannot."""
    limited = ["timeout", "-k", "5", "20", *command]
    return subprocess.run(limited, capture_output=True, text=True).stdout


def wait(condition: Callable[[], bool], daemons: Daemons) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"No SLURM cluster came up:\n{daemons.told()}")
        time.sleep(0.2)
