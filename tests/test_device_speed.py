"""The measurement of scaling runs through, and its table says what was measured; no speed is asserted."""

import pytest
from rich.console import Console

from emergence import device_speed
from emergence.device_speed import COUNTS, Speed
from emergence.errors import SettingsError


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_quick_run_times_each_training_on_each_number_of_devices(capsys):
    speeds = device_speed.run(quick=True)
    found = {(speed.what, speed.batch, speed.devices) for speed in speeds}
    assert found == {("2 translators, 4 sites", 4, count) for count in COUNTS}
    assert all(speed.wall > 0.0 and speed.processor > 0.0 for speed in speeds)
    assert "the numbers mean nothing" in " ".join(capsys.readouterr().out.split())


def test_ratios_are_to_one_device_of_the_same_batch():
    speeds = [
        Speed("flow", 64, 2, 0.25, 0.4),
        Speed("flow", 64, 1, 0.5, 0.5),
        Speed("flow", 8, 1, 0.1, 0.1),
        Speed("flow", 8, 2, 0.2, 0.3),
    ]
    table = device_speed.render(speeds)
    ratios = list(table.columns[-1].cells)
    assert ratios == ["1.00", "0.50", "1.00", "2.00"]
    with (console := Console(width=100)).capture() as shown:
        console.print(table)
    assert "250 ms" in shown.get()


def test_what_cannot_be_timed_is_one_sentence(monkeypatch):
    monkeypatch.setattr(device_speed.sys, "executable", "false")
    with pytest.raises(SettingsError, match="Trainings on 2 devices could not be timed"):
        device_speed._in_a_process(2, quick=True)
