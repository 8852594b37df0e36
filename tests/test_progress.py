"""Progress: plain lines in a log at a bearable rate, a bar in a terminal, an ETA that is right."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emergence import progress
from emergence.progress import LINE_SECONDS, Progress, clock, say


class Watch:
    """A clock that moves when told to."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def watch(monkeypatch):
    watch = Watch()
    monkeypatch.setattr(progress, "time", watch)
    return watch


class Terminal(io.StringIO):
    def isatty(self):
        return True


class TestClock:
    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (0, "0 s"),
            (8.4, "8 s"),
            (59.4, "59 s"),
            (59.6, "1 min 0 s"),
            (200, "3 min 20 s"),
            (3599.7, "1 h 0 min"),
            (7500, "2 h 5 min"),
            (360_000, "100 h 0 min"),
        ],
    )
    def test_reads_as_a_person_would_say_it(self, seconds, text):
        assert clock(seconds) == text

    @given(seconds=st.floats(0, 1e7))
    def test_is_right_to_its_smallest_unit(self, seconds):
        units = {"h": 3600, "min": 60, "s": 1}
        parts = re.findall(r"(\d+) (h|min|s)", clock(seconds))
        told = sum(int(number) * units[unit] for number, unit in parts)
        assert abs(told - seconds) <= (60.5 if parts[0][1] == "h" else 0.5)
        assert all(int(number) < 60 for number, unit in parts if unit != "h")


class TestInALog:
    def test_say_is_one_line_on_standard_error(self, capsys):
        say("The sky is blue.")
        captured = capsys.readouterr()
        assert captured.err == "The sky is blue.\n"
        assert captured.out == ""

    def test_speaks_at_most_once_in_so_many_seconds_and_at_the_end(self, watch, capsys):
        with Progress("Walk", total=1000) as walk:
            for step in range(1, 101):
                watch.now += LINE_SECONDS / 20
                walk.advance(10.0 * step, "uphill")
        lines = capsys.readouterr().err.splitlines()
        # 100 advances of half a second: lines at 10, 20, 30, 40 and 50 seconds, then the end.
        assert len(lines) == 6
        assert lines[0] == "Walk: 20 % done, uphill, 40 s to go."
        assert lines[-1] == "Walk: done in 50 s."

    def test_short_work_only_says_that_it_is_done(self, watch, capsys):
        with Progress("Walk", total=2) as walk:
            walk.advance(1, "uphill")
            watch.now += 3
        assert capsys.readouterr().err == "Walk: done in 3 s.\n"

    def test_work_continued_from_a_checkpoint_is_timed_from_there(self, watch, capsys):
        with Progress("Walk", total=100, done=60) as walk:
            watch.now += 20
            walk.advance(70, "uphill")
        # Ten of a hundred took 20 seconds, and thirty remain.
        assert "Walk: 70 % done, uphill, 1 min 0 s to go." in capsys.readouterr().err

    def test_a_failure_is_not_told_as_done(self, watch, capsys):
        with pytest.raises(ZeroDivisionError), Progress("Walk", total=2):
            raise ZeroDivisionError
        assert capsys.readouterr().err == ""

    @pytest.mark.parametrize(("total", "done"), [(0, 0), (5, 5)])
    def test_nothing_left_to_do_is_no_fault(self, watch, capsys, total, done):
        with Progress("Walk", total=total, done=done) as walk:
            watch.now += 2 * LINE_SECONDS
            walk.advance(done, "there")
        assert capsys.readouterr().err.splitlines()[-1] == "Walk: done in 20 s."


class TestInATerminal:
    def test_shows_a_bar_with_the_share_the_note_and_the_time_to_go(self, watch, monkeypatch):
        terminal = Terminal()
        monkeypatch.setattr("sys.stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "120")
        with Progress("Walk", total=100) as walk:
            watch.now += 5
            walk.advance(25, "uphill")
        shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue())
        assert "Walk" in shown
        assert "25 %" in shown
        assert "uphill, 15 s to go" in shown
        assert "done in" not in shown

    def test_the_bar_ends_when_the_work_fails(self, monkeypatch):
        terminal = Terminal()
        monkeypatch.setattr("sys.stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        with pytest.raises(ZeroDivisionError), Progress("Walk", total=1):
            raise ZeroDivisionError
        # The cursor that the bar hid is back.
        assert terminal.getvalue().rstrip().endswith("\x1b[?25h")
