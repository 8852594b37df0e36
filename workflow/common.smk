# What the rules of every system share.
#
# Both functions take the input only so that Snakemake leaves their paths out of what it decides a
# rerun by: that are the fingerprints of the settings and the ledgers' contents, wherever they lie.


def settings_file(wildcards, input):
    return SETTINGS_FILE


def ledgers_folder(wildcards, input):
    return HOUSE / "claims"


def weights_before(system, folder, arm, size):
    """What a size of a growing arm starts from: the size before, shipped weights, or nothing."""
    before = arm.before(size)
    if before is not None:
        return [f"{folder}/{before}/weights"]
    return [str(HOUSE / f"weights/{system}/{arm.shipped}")] if arm.shipped else []


def before_option(wildcards, input):
    return f"--before {input.before[0]}" if input.before else ""


SYSTEMS = ["introspection", "holography", "retraining"]
SCALES = ["smoke", "laptop", "paper"]
