"""What the stages of every system share: read the settings, do the work, record its provenance."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from emergence.errors import Interrupted, SettingsError

if TYPE_CHECKING:
    from emergence.shipped import Manifest

INTERRUPTED = (
    "Interrupted before the stage was done.",
    "A rerun continues from its last checkpoint.",
)
SHOW_CURSOR = "\r\x1b[?25h"
"""What a terminal is told after a progress bar, which hides the cursor."""

SettingsFile = Annotated[Path, typer.Option("--settings", help="Settings file of the run.")]
Output = Annotated[Path, typer.Option("--output", help="File or folder to write.")]
Arm = Annotated[str, typer.Option("--arm", help="Name of an arm in the settings.")]
TrainedFolder = Annotated[
    Path | None,
    typer.Option(
        "--trained", help="Folder of shipped weights to evaluate; nothing is trained then."
    ),
]
SampledFolder = Annotated[
    Path | None,
    typer.Option("--sampled", help="Folder of shipped samples to take; nothing is sampled then."),
]


@contextmanager
def stage(name: str, settings_file: Path, outputs: list[Path]) -> Iterator[dict[str, Any]]:
    """Load the settings, run the body, record the provenance of what it wrote."""
    started, before = time.time(), signal.getsignal(signal.SIGINT)
    # What was started in the background ignores Ctrl-C, and goes on doing so.
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupted)
    try:
        yield from _stage(name, settings_file, outputs, started)
    except KeyboardInterrupt:
        raise Interrupted(*INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupted(_number: int, _frame: FrameType | None) -> NoReturn:
    """Say so and end at once, wherever the stage is.

    An exception that unwinds through TensorFlow's calls back into Python ends in a segmentation fault
    now and then. What is half written has a hidden name, and the rerun sweeps it away, as after a kill.
    """
    error = Interrupted(*INTERRUPTED)
    try:
        # Not print: the interrupt may have come amid a line of its own buffer.
        os.write(2, f"{SHOW_CURSOR if os.isatty(2) else ''}emergence: {error}\n".encode())
    finally:  # Whoever read it may be gone already.
        os._exit(error.exit_status)


def _stage(
    name: str, settings_file: Path, outputs: list[Path], started: float
) -> Iterator[dict[str, Any]]:
    from emergence import artifacts, devices, evaluating
    from emergence.settings import load

    context: dict[str, Any] = {"settings": load(settings_file), "device": "CPU", "extra": None}
    devices.want(context["settings"].devices)
    evaluating.want(context["settings"].evaluation)
    yield context
    artifacts.record_provenance(
        outputs,
        stage=name,
        settings=context["settings"].model_dump(mode="json"),
        seed=context["settings"].seed,
        started=started,
        device=context["device"],
        extra=context["extra"],
    )


class Training:
    """What a stage that trains takes instead of training, and what it leaves for others to take."""

    def __init__(self, trained: Path | None, job: str, output: Path) -> None:
        """Read the shipped weights of a job, if a folder of them is given.

        Raises:
            ArtifactError: they are missing, corrupt, or not those that were shipped.
        """
        from emergence import finished, shipped

        self.file = output / finished.FILE
        self.manifest: Manifest | None = shipped.read_manifest(trained) if trained else None
        self.finished = self.manifest.trainings(job) if self.manifest else None
        self.pace = self.manifest.entry(job).seconds_per_step if self.manifest else None

    def leave(self, checkpoints: Path) -> None:
        """Write the trainings that the stage took, or has just run: trained.npz."""
        from emergence import finished

        finished.write(self.file, self.finished or finished.collect(checkpoints))

    def provenance(self) -> dict[str, Any] | None:
        """Where the weights that were taken come from, for the record beside the results."""
        return _taken_from("trained", self.manifest) if self.manifest else None


def _taken_from(what: str, manifest: Manifest) -> dict[str, Any]:
    return {what: {"folder": manifest.folder, "commit": manifest.commit}}


def drawn_with(weights: Path) -> dict[str, Any]:
    """The hash of the weights that samples are drawn with, for the record beside them."""
    from emergence.artifacts import sha256

    return {"weights": sha256(weights)}


def keep_training(run: dict[str, Any], weights: Path, output: Path) -> list[Path]:
    """Keep how shipped weights were trained: in their provenance, and as ``<output>.history.csv``.

    Returns:
        What was written; nothing where the trainings left no record.

    Raises:
        ArtifactError: a record of the trainings is corrupt, or the history cannot be written.
    """
    from emergence.artifacts import write_table
    from emergence.training_record import record_of

    record = record_of(weights)
    if record is None:
        return []
    run["extra"] = {"trained": record.trainings}
    path = output.with_name(f"{output.name}.history.csv")
    write_table(path, record.history)
    return [path]


def take_samples(
    run: dict[str, Any], sampled: Path, job: str, settings: str
) -> tuple[dict[str, Any], dict[str, float]]:
    """Return the shipped samples of a job and its times, and note in the run where they come from.

    Raises:
        ArtifactError: they are missing, corrupt, or were drawn with other settings.
    """
    from emergence.shipped import read_manifest

    manifest = read_manifest(sampled)
    run["extra"] = _taken_from("sampled", manifest)
    return manifest.sampling(job, settings)


def choose(table: dict[str, Any], name: str, what: str) -> None:
    if name not in table:
        raise SettingsError(
            f"There is no {what} named {name!r} in these settings.",
            f"Choose one of: {', '.join(sorted(table))}.",
        )


def add_readings(app: typer.Typer, system: str, does: str) -> None:
    """Give a system's commands the two that are the same everywhere: ``analysis`` and ``figure``.

    Args:
        does: what the analysis does, for the help.
    """

    @app.command("analysis", help=f"{does}: measurements.json and the figures' tables.")
    def analysis(
        settings: SettingsFile,
        results: Annotated[Path, typer.Option(help="Folder of the system's results.")],
        output: Output,
    ) -> None:
        from emergence import artifacts
        from emergence.statistics import write_measurements

        measurements_file = output / "measurements.json"
        with stage(f"{system} analysis", settings, [measurements_file, output / "tables"]) as run:
            analyse = import_module(f"emergence.{system}.analysis").analyse
            tables, measurements = analyse(run["settings"], results)
            for name, table in tables.items():
                artifacts.write_table(output / "tables" / f"{name}.csv", table)
            write_measurements(measurements_file, measurements)

    @app.command("figure", help="Draw one figure: .png, .svg and its source .csv.")
    def figure(
        settings: SettingsFile,
        name: Annotated[str, typer.Option(help="Name of a figure of this system.")],
        tables: Annotated[Path, typer.Option(help="Folder with the tables of the analysis.")],
        output: Annotated[Path, typer.Option(help="Path of the figure without its suffix.")],
    ) -> None:
        from emergence import plotting

        figures = import_module(f"emergence.{system}.figures").FIGURES
        choose(figures, name, "figure")
        written = plotting.paths_of(output)
        with stage(f"{system} figure", settings, written):
            plotting.draw(figures, name, tables, output)
