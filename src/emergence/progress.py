"""Progress of long work: a bar with its ETA in a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

LINE_SECONDS = 10.0
"""In a log, one line per so many seconds."""


def say(sentence: str) -> None:
    """One sentence on standard error, where progress and warnings go."""
    print(sentence, file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """Seconds as a person reads them: 8 s, 3 min 20 s, 2 h 5 min."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


class Progress(AbstractContextManager):
    """Follows one training; ``advance`` tells how much of the work is done and how it goes."""

    def __init__(self, title: str, total: float, done: float = 0.0) -> None:
        self.title, self.total = title, max(total, 1e-12)
        self._first, self._began = done, time.monotonic()
        self._last_line = self._began
        self._bar: Any = None

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as RichProgress

            self._bar = RichProgress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f} %  {task.fields[note]}"),
                TimeElapsedColumn(),
                console=Console(stderr=True),
            )
            self._bar.start()
            self._task = self._bar.add_task(
                self.title, total=self.total, completed=self._first, note=""
            )
        return self

    def skip(self, done: float) -> None:
        """Tell that so much was done before: it took no time."""
        self._first, self._began = done, time.monotonic()
        if self._bar is not None:
            self._bar.update(self._task, completed=done)

    def advance(self, done: float, note: str) -> None:
        """Tell that ``done`` of the total is done; ``note`` says how it goes."""
        now = time.monotonic()
        share = (done - self._first) / self.total
        remaining = (now - self._began) * (self.total - done) / self.total / max(share, 1e-9)
        note = f"{note}, {clock(remaining)} to go"
        if self._bar is not None:
            self._bar.update(self._task, completed=done, note=note)
        elif now - self._last_line >= LINE_SECONDS:
            self._last_line = now
            say(f"{self.title}: {100.0 * done / self.total:.0f} % done, {note}.")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif kind is None:
            say(f"{self.title}: done in {clock(time.monotonic() - self._began)}.")
