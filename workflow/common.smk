# What the rules of every system share.
#
# These functions take the input only so that Snakemake leaves their paths out of what it decides a
# rerun by: that are the fingerprints of the settings and the ledgers' contents, wherever they lie.


import shlex

from emergence.holography.identity import flow_of
from emergence.holography.points import points_of
from emergence.verification.page_figures import caption
from emergence.verification.seeds import certificate_of

SYSTEMS = ["introspection", "holography", "retraining"]
SCALES = ["smoke", "laptop", "paper"]
# As whose claims these are decided.
JUDGED_AS = SETTINGS.judged_as or (SETTINGS.scale if SETTINGS.scale in SCALES else "laptop")

# How networks are compiled and evaluated, where it is not as always: a part of every fingerprint.
EVALUATION = SETTINGS.unusual()
VERB = "Evaluating the shipped weights of" if TRAINED else "Training"
GROWING = "Evaluating the shipped weights of" if TRAINED else "Growing"
TRAINED_OPTION = f"--trained {shlex.quote(TRAINED)}" if TRAINED else ""


def trained_option(wildcards, input):
    return TRAINED_OPTION


def taken(job):
    """Of shipped weights, what a rerun is decided by, for the fingerprint of a job that takes them."""
    if MANIFEST is None:
        return {}
    try:
        return {"trained": MANIFEST.entry(job).sha256}
    except EmergenceError as error:
        print(f"emergence: {error}", file=sys.stderr)
        sys.exit(error.exit_status)


def settings_file(wildcards, input):
    return SETTINGS_FILE


def ledgers_folder(wildcards, input):
    return HOUSE / "claims"


def house_folder(wildcards, input):
    return HOUSE


def costs_record(wildcards, input):
    return HOUSE / "config/costs.csv"


def caption_of(system):
    """Of each figure of a system what Snakemake's report says below it."""

    def told(wildcards, input):
        return caption(system, wildcards.figure, HOUSE / "claims")

    return told


def sabotage_settings_file(wildcards, input):
    return HOUSE / "config/smoke.yaml"


# The ledger's own controls were measured by a run; where there is none, by that of the shipped weights.
MEASURED = Path("results")
if not any(Path(RESULTS, system, "measurements.json").is_file() for system in SYSTEMS):
    if all((HOUSE / "weights" / SCALE / s / "measurements.json").is_file() for s in SYSTEMS):
        MEASURED = HOUSE / "weights"


def measured_folder(wildcards, input):
    return MEASURED


def measurements_at_hand():
    paths = [f"{MEASURED}/{SCALE}/{system}/measurements.json" for system in SYSTEMS]
    return paths if MEASURED == Path("results") else [local(path) for path in paths]


def certificate():
    """The certificate of drift by which claims are decided too, where there is one."""
    found = certificate_of(JUDGED_AS, Path("figures"), HOUSE)
    return [local(str(found))] if found else []


def cases_folder(wildcards, input):
    return Path(input.cases[0]).parent


def weights_before(system, folder, name, arm, size):
    """What a size of a growing arm starts from: weights of the run, shipped ones, or nothing."""
    before = arm.starts_from(name, size)
    if before is not None:
        return [f"{folder}/{before[0]}/{before[1]}/weights"]
    return [local(str(HOUSE / f"weights/{system}/{arm.shipped}"))] if arm.shipped else []


def before_option(wildcards, input):
    return f"--before {input.before[0]}" if input.before else ""


def flow_fingerprint(chosen, common, name, size):
    """Of all that the numbers of a flow at one side depend on, beside the weights it starts from."""
    arm = chosen.flows[name]
    stages = chosen.stages[arm.sizes[size]]
    theory = chosen.theories[arm.theory]
    return fingerprint(
        {
            # Apart, as an arm may have samples of its own.
            "arm": flow_of(arm),
            "precision": chosen.precision,
            "samples": chosen.samples,
            "chunk": chosen.chunk,
            "theory": theory.model_dump(mode="json"),
            "stages": [stage.model_dump(mode="json") for stage in stages],
            "points": points_of(chosen, name),
            "common": common,
        }
        | taken(f"holography/flows/{name}/{size}")
    )


def plane_theory():
    """The theory that the map of t and μ is of; its hopping and chemical potential are those of the map."""
    chosen = SETTINGS.holography
    if not chosen.plane:
        return None
    return chosen.theories[chosen.flows[chosen.plane.flow].theory].model_dump(mode="json")


def samples_of(job, settings):
    """The shipped samples that a job takes instead of its own: of the same settings, unless anew."""
    there = MANIFEST.samples.get(job) if MANIFEST and not ANEW else None
    return there if there and there.settings == settings else None


def records_before(study):
    """What chains go on from: shipped records, or nothing."""
    return (
        [local(str(HOUSE / f"weights/holography/chains/{study.shipped}.npz"))]
        if study.shipped
        else []
    )


def study_inputs(kind, name, study):
    settings = study_of(SETTINGS, study)
    taken = samples_of(f"holography/{kind}/{name}", settings)
    return {
        "weights": f"{BULK}/flows/{study.flow}/{study.size}/weights",
        # Other samples make other results, although the settings are the same.
        "settings": settings + (taken.sha256[:16] if taken else ""),
        "sampled": f"--sampled {shlex.quote(TRAINED)}" if taken else "",
        "before": records_before(study) if kind == "chains" and not taken else [],
    }


def chains_sampled(wildcards, input):
    return STUDIES["chains"][wildcards.arm]["sampled"]


def bulk_sampled(wildcards, input):
    return STUDIES["bulks"][wildcards.arm]["sampled"]
