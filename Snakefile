"""Emergence: every result, figure and verdict from one command, `snakemake`.

SCALE=smoke|laptop|paper chooses the size (default: laptop); --config settings=FILE takes your own.
"""

import os
import sys

from snakemake.utils import min_version

from emergence.errors import EmergenceError
from emergence.settings import fingerprint, load

min_version("9.0")

# --- settings: checked whole before any work -----------------------------------------------------

HOUSE = workflow.basedir
SETTINGS_FILE = config.get(
    "settings", f"{HOUSE}/config/{os.environ.get('SCALE', 'laptop')}.yaml"
)
try:
    SETTINGS = load(SETTINGS_FILE)
except EmergenceError as error:
    print(f"emergence: {error}", file=sys.stderr)
    sys.exit(error.exit_status)

SCALE = SETTINGS.scale
RESULTS = f"results/{SCALE}"
FIGURES = f"figures/{SCALE}"


wildcard_constraints:
    dataset="[a-z0-9_]+",
    arm="[a-z0-9_]+",
    figure="[a-z0-9_]+",


# --- targets -------------------------------------------------------------------------------------

localrules:
    all,


rule all:
    default_target: True
    input:
        f"{RESULTS}/verdict.json",
        f"{RESULTS}/introspection/figures.done",


# --- the systems, then what is claimed of them ---------------------------------------------------


include: "workflow/introspection.smk"
include: "workflow/verification.smk"
