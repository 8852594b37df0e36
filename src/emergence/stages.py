"""What the stages of every system share: read the settings, do the work, record its provenance."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from emergence.errors import Interrupted, SettingsError

SettingsFile = Annotated[Path, typer.Option("--settings", help="Settings file of the run.")]
Output = Annotated[Path, typer.Option("--output", help="File or folder to write.")]
Arm = Annotated[str, typer.Option("--arm", help="Name of an arm in the settings.")]


@contextmanager
def stage(name: str, settings_file: Path, outputs: list[Path]) -> Iterator[dict[str, Any]]:
    """Load the settings, run the body, record the provenance of what it wrote."""
    started = time.time()
    try:
        yield from _stage(name, settings_file, outputs, started)
    except KeyboardInterrupt:
        raise Interrupted(
            "Interrupted before the stage was done.", "A rerun continues from its last checkpoint."
        ) from None


def _stage(
    name: str, settings_file: Path, outputs: list[Path], started: float
) -> Iterator[dict[str, Any]]:
    from emergence import artifacts, devices
    from emergence.settings import load

    context: dict[str, Any] = {"settings": load(settings_file), "device": "CPU", "extra": None}
    devices.want(context["settings"].devices)
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
        written = [output.with_suffix(suffix) for suffix in (".png", ".svg", ".csv")]
        with stage(f"{system} figure", settings, written):
            plotting.draw(figures, name, tables, output)
