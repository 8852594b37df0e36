"""How a stage ends where somebody presses Ctrl-C."""

import os
import signal

import pytest
import yaml

from emergence import stages
from emergence.errors import Interrupted


class Ended(BaseException):
    """In place of the end of the process."""


@pytest.fixture
def run(build_settings, tmp_path, monkeypatch):
    """Enters a stage; what it says to whom, and how it would end."""
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(build_settings()))
    said = []

    def end(status):
        said.append(status)
        raise Ended

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(os, "write", lambda handle, text: said.append((handle, text.decode())))
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.default_int_handler)
    return lambda: stages.stage("a stage", path, []), said


def test_ctrl_c_ends_it_at_once_in_one_sentence(run):
    enter, said = run
    with pytest.raises(Ended), enter():
        signal.raise_signal(signal.SIGINT)
    (handle, text), status = said
    assert (handle, status) == (2, 130)
    assert text == f"emergence: {Interrupted(*stages.INTERRUPTED)}\n"


def test_where_nobody_reads_any_more_it_ends_the_same(run, monkeypatch):
    enter, said = run

    def gone(*_):
        raise BrokenPipeError

    monkeypatch.setattr(os, "write", gone)
    with pytest.raises(Ended), enter():
        signal.raise_signal(signal.SIGINT)
    assert said == [130]


def test_afterwards_ctrl_c_is_what_it_was(run):
    enter, _ = run
    with pytest.raises(Ended), enter():
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_what_ignores_it_goes_on(run, monkeypatch):
    enter, said = run
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_IGN)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with enter():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert said == []
