"""Other people's recurrent wave functions, for ``make bench``: NetKet's, in a process of their own.

NetKet (Vicentini et al., SciPost Phys. Codebases 7 (2022)) samples its autoregressive networks
directly and compiles every part of a step, by JAX. A process of its own keeps the two libraries'
threads and memory apart; between its turns it waits for a line and uses nothing.

The process runs this module: it reads the number of steps, a line each, and answers with lines of
JSON. It imports no TensorFlow.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from emergence.errors import HostError

NETWORKS = ("FastGRUNet1D", "GRUNet1D")
"""Gated recurrent units that keep the hidden states of the sites before, or compute them anew."""

REMEDY = "Run `make peers` to install it."


@dataclass(frozen=True)
class Task:
    """The critical Ising chain, open, and what one step of optimisation is made of."""

    network: str
    sites: int
    units: int
    samples: int
    threads: int = 1
    rate: float = 1e-3
    """Of Adam."""


class NetKet:
    """NetKet's variational Monte Carlo with Adam, step by step, as a context manager.

    Raises:
        HostError: NetKet is not installed, or its process ended before its answer.
    """

    def __init__(self, task: Task) -> None:
        if importlib.util.find_spec("netket") is None:
            raise HostError("NetKet cannot be imported (it is not installed).", REMEDY)
        # A file, because nobody reads along: a full pipe would stop the process.
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "emergence.retraining.peers", json.dumps(asdict(task))],
            env=os.environ | environment(task.threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        began = time.perf_counter()
        try:
            self.about = self._answer()
        except HostError:
            self.close()
            raise
        self.compile_seconds = time.perf_counter() - began
        """From the start of the process to the end of its first step."""
        self.energy = float("nan")
        """Mean local energy before the last step."""

    def __enter__(self) -> NetKet:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def advance(self, steps: int) -> float:
        """Take so many steps; seconds it took."""
        with suppress(BrokenPipeError):  # it has ended, and its answer is missing
            print(steps, file=self._process.stdin, flush=True)
        answer = self._answer()
        self.energy = answer["energy"]
        return answer["seconds"]

    def close(self) -> None:
        """End the process; its input is its leash."""
        try:
            self._process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        except BrokenPipeError:
            self._process.wait()
        finally:
            self._errors.close()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            told = self._errors.read().strip().splitlines() or ["it said nothing"]
            raise HostError(f"NetKet's process ended before its answer ({told[-1]}).", REMEDY)
        answer = json.loads(line)
        if "error" in answer:
            raise HostError(f"NetKet cannot be imported ({answer['error']}).", REMEDY)
        return answer


def environment(threads: int) -> dict[str, str]:
    """What holds JAX to the processor, and its products of matrices to so many threads."""
    # Its own XLA need not know the flags that are set for ours.
    flags = "--xla_cpu_multi_thread_eigen=false" if threads == 1 else ""
    return {"JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": str(threads), "XLA_FLAGS": flags}


def serve(task: Task) -> None:
    """Body of the process: compile, tell so, then answer each line with a timing."""
    # Libraries may print what they like; only answers go to the parent.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def tell(answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    try:
        driver, about = _prepare(task)
    except ImportError as error:
        tell({"error": str(error)})
        return
    _advance(driver, 1)
    tell(about)
    for line in sys.stdin:
        began = time.perf_counter()
        energy = _advance(driver, int(line))
        tell({"seconds": time.perf_counter() - began, "energy": energy})


def _prepare(task: Task) -> tuple[Any, dict[str, Any]]:
    """A driver ready for its first step, and what is to be known of it."""
    with _confined(task.threads):
        import jax
        import jax.numpy as jnp
        import netket
        import netket.experimental

        jax.devices()
    hilbert = netket.hilbert.Spin(0.5, task.sites)
    chain = netket.graph.Chain(task.sites, pbc=False)
    # Where its network ends in logits, NetKet puts a second, recurrent layer of two units.
    model = getattr(netket.experimental.models, task.network)(
        hilbert=hilbert, layers=2, features=task.units, param_dtype=jnp.float32
    )
    state = netket.vqs.MCState(
        netket.sampler.ARDirectSampler(hilbert), model, n_samples=task.samples, seed=0
    )
    hamiltonian = netket.operator.IsingJax(hilbert, chain, h=1.0, J=-1.0)
    driver = netket.driver.VMC(
        hamiltonian, netket.optimizer.Adam(task.rate), variational_state=state
    )
    versions = {"netket": netket.__version__, "jax": jax.__version__}
    return driver, {"parameters": int(state.n_parameters), "versions": versions}


class _confined:
    """Let a library that counts the processors at its start see only so many."""

    def __init__(self, threads: int) -> None:
        self._threads = threads

    def __enter__(self) -> None:
        # Only Linux can; elsewhere the flags of `environment` must do.
        if hasattr(os, "sched_setaffinity"):
            self._all = os.sched_getaffinity(0)
            os.sched_setaffinity(0, set(sorted(self._all)[: self._threads]))

    def __exit__(self, *_: object) -> None:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, self._all)


def _advance(driver: Any, steps: int) -> float:
    """So many steps; the energy before the last."""
    import jax

    driver.run(steps, out=None, show_progress=False)
    jax.block_until_ready(driver.state.parameters)
    return float(driver.energy.mean.real)


if __name__ == "__main__":
    serve(Task(**json.loads(sys.argv[1])))
