"""Emergence: every result, figure and verdict from one command, `snakemake`.

SCALE=smoke|laptop|paper chooses the size (default: laptop); --config settings=FILE takes your own.
--config trained=weights/laptop takes shipped weights, trains nothing and writes to results/verify;
with anew=1 it also draws the long samplings again whose records are shipped.
"""

import os
import sys
from pathlib import Path

from snakemake.utils import min_version

from emergence.errors import EmergenceError
from emergence.holography.identity import common_of, study_of
from emergence.settings import fingerprint, load
from emergence.shipped import VERIFY_SCALE, read_manifest

min_version("9.0")

# --- settings: checked whole before any work -----------------------------------------------------

# Relative, so that results are still up to date after the whole folder was moved; in the image, where
# every pod of a cluster has it.
HOUSE = Path(os.environ.get("EMERGENCE_HOUSE") or os.path.relpath(workflow.basedir))
os.environ.update(EMERGENCE_HOUSE=str(HOUSE))  # where the commands of its rules look, too
SETTINGS_FILE = config.get("settings", HOUSE / f"config/{os.environ.get('SCALE', 'laptop')}.yaml")
TRAINED = config.get("trained")
ANEW = bool(config.get("anew"))
try:
    SETTINGS = load(SETTINGS_FILE)
    MANIFEST = read_manifest(TRAINED) if TRAINED else None
except EmergenceError as error:
    print(f"emergence: {error}", file=sys.stderr)
    sys.exit(error.exit_status)

# What was not trained here never stands among results that were.
SCALE = config.get("into", VERIFY_SCALE) if TRAINED else SETTINGS.scale
RESULTS = f"results/{SCALE}"
FIGURES = f"figures/{SCALE}"


# Only for `--software-deployment-method apptainer`: what `make container` built on this machine.
container: "docker-daemon://emergence:cpu"


wildcard_constraints:
    dataset="[a-z0-9_]+",
    arm="[a-z0-9_]+",
    figure="[a-z0-9_]+",
    size="[0-9]+",
    case="[a-z0-9_]+",


# --- the systems, then what is claimed of them ---------------------------------------------------


include: "workflow/common.smk"
include: "workflow/introspection.smk"
include: "workflow/holography.smk"
include: "workflow/retraining.smk"
include: "workflow/verification.smk"


# --- targets -------------------------------------------------------------------------------------


localrules:
    all,
    introspection_figures,
    holography_figures,
    retraining_figures,
    sabotage,


# Every file that is read, by name: whichever of them was deleted is made again.
rule all:
    default_target: True
    input:
        rules.introspection_analysis.input,
        rules.introspection_analysis.output,
        rules.introspection_figures.input,
        rules.holography_analysis.input,
        rules.holography_analysis.output,
        rules.holography_figures.input,
        rules.retraining_analysis.input,
        rules.retraining_analysis.output,
        rules.retraining_figures.input,
        rules.verify.output,
        rules.report.output,
