"""The peer's process: its leash, its answers, and what it says where it cannot run."""

import json
import subprocess
import sys

import pytest

from emergence.errors import HostError
from emergence.retraining import peers

TASK = peers.Task("FastGRUNet1D", sites=4, units=3, samples=8)

ECHO = """
import json, sys
print(json.dumps({"parameters": 7}), flush=True)
for line in sys.stdin:
    print(json.dumps({"seconds": 2.0 * int(line), "energy": -4.5}), flush=True)
"""


@pytest.fixture
def process(monkeypatch):
    """Let the process run other code instead of NetKet."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    started, popen = [], subprocess.Popen

    def replace(code):
        def start(command, **options):
            started.append((command, popen([sys.executable, "-c", code], **options)))
            return started[-1][1]

        monkeypatch.setattr(subprocess, "Popen", start)
        return started

    return replace


def test_a_process_is_given_its_task_answers_in_turn_and_ends(process):
    started = process(ECHO)
    with peers.NetKet(TASK) as peer:
        assert peer.about == {"parameters": 7}
        assert peer.advance(3) == 6.0
        assert peer.energy == -4.5
    ((command, child),) = started
    assert peers.Task(**json.loads(command[-1])) == TASK
    assert child.poll() == 0


def test_a_process_that_dies_is_told_with_its_last_words(process):
    started = process("raise SystemExit('out of memory')")
    with pytest.raises(HostError, match=r"ended before its answer \(out of memory\)"):
        peers.NetKet(TASK)
    assert started[0][1].poll() == 1


def test_an_import_that_fails_is_told_with_its_remedy(process):
    process('print(\'{"error": "no jax"}\')')
    with pytest.raises(HostError, match=r"cannot be imported \(no jax\).*make peers"):
        peers.NetKet(TASK)


def test_without_netket_one_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(HostError, match=r"NetKet cannot be imported.*make peers"):
        peers.NetKet(TASK)


def test_one_thread_is_asked_of_its_matrix_products():
    assert "multi_thread_eigen=false" in peers.environment(1)["XLA_FLAGS"]
    assert peers.environment(2)["XLA_FLAGS"] == ""


@pytest.mark.slow
def test_netket_lowers_the_energy_of_a_short_chain():
    pytest.importorskip("netket", reason="NetKet is optional: `make peers` installs it")
    with peers.NetKet(peers.Task("FastGRUNet1D", 4, 8, 200, rate=1e-2)) as peer:
        assert peer.advance(1) > 0.0
        before = peer.energy
        peer.advance(60)
        # Exact: −4.758770 for the open critical chain of four sites.
        assert -4.9 < peer.energy < before - 0.1
        assert peer.about["versions"].keys() == {"netket", "jax"}
