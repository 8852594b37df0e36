# Introspection (arXiv:1901.11103): data -> translators -> distillers -> analysis -> figures.

INTROSPECTION = SETTINGS.introspection
HERE = f"{RESULTS}/introspection"
# What every stage of this system depends on, beside its own entry in the settings.
COMMON = fingerprint(
    INTROSPECTION.model_dump(
        mode="json", exclude={"datasets", "stages", "translators", "distillers", "spectral"}
    )
    | {"seed": SETTINGS.seed, "threads": SETTINGS.threads, "precision": SETTINGS.precision}
)
INTROSPECTION_FIGURES = [
    "translation",
    "extrapolation",
    "bottleneck",
    "latents",
    "law",
    "density_form",
    "sign_and_current",
    "noise",
    "spectral",
]


def arm_settings(kind, arm):
    return getattr(INTROSPECTION, kind)[arm]


def arm_fingerprint(kind, arm):
    """Changes when the arm's own settings or its list of stages do."""
    chosen = arm_settings(kind, arm)
    stages = [s.model_dump(mode="json") for s in INTROSPECTION.stages[chosen.stages]]
    return fingerprint(chosen.model_dump(mode="json") | {"stages": stages, "common": COMMON})


def translator_data(wildcards):
    return f"{HERE}/data/{INTROSPECTION.translators[wildcards.arm].dataset}.npz"


def translator_fingerprint(wildcards):
    return arm_fingerprint("translators", wildcards.arm)


def distiller_data(wildcards):
    return f"{HERE}/data/{INTROSPECTION.distillers[wildcards.arm].dataset}.npz"


def distiller_translator(wildcards):
    return f"{HERE}/translators/{INTROSPECTION.distillers[wildcards.arm].translator}/arrays.npz"


def distiller_fingerprint(wildcards):
    return arm_fingerprint("distillers", wildcards.arm)


def dataset_fingerprint(wildcards):
    chosen = INTROSPECTION.datasets[wildcards.dataset].model_dump(mode="json")
    return fingerprint(chosen | {"common": COMMON})


rule introspection_data:
    output:
        f"{HERE}/data/{{dataset}}.npz",
    params:
        settings=dataset_fingerprint,
    log:
        f"{HERE}/logs/data/{{dataset}}.log",
    benchmark:
        f"{HERE}/benchmarks/data/{{dataset}}.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    message:
        "Solving the Schrödinger equation for the dataset {wildcards.dataset}."
    shell:
        "emergence introspection data --settings {SETTINGS_FILE:q} --dataset {wildcards.dataset}"
        " --output {output} > {log} 2>&1"


rule introspection_translator:
    input:
        data=translator_data,
    output:
        arrays=f"{HERE}/translators/{{arm}}/arrays.npz",
        history=f"{HERE}/translators/{{arm}}/history.csv",
        weights=directory(f"{HERE}/translators/{{arm}}/weights"),
    params:
        settings=translator_fingerprint,
        folder=subpath(output.arrays, parent=True),
    log:
        f"{HERE}/logs/translators/{{arm}}.log",
    benchmark:
        f"{HERE}/benchmarks/translators/{{arm}}.tsv"
    threads: SETTINGS.threads
    resources:
        mem_mb=2000,
        runtime=60,
        gpu=0,
    priority: 10
    message:
        "Training the translators of the arm {wildcards.arm} (progress in {log})."
    shell:
        "emergence introspection translator --settings {SETTINGS_FILE:q} --arm {wildcards.arm}"
        " --data {input.data} --output {params.folder} > {log} 2>&1"


rule introspection_distiller:
    input:
        data=distiller_data,
        translator=distiller_translator,
    output:
        arrays=f"{HERE}/distillers/{{arm}}/arrays.npz",
        history=f"{HERE}/distillers/{{arm}}/history.csv",
        weights=directory(f"{HERE}/distillers/{{arm}}/weights"),
    params:
        settings=distiller_fingerprint,
        folder=subpath(output.arrays, parent=True),
    log:
        f"{HERE}/logs/distillers/{{arm}}.log",
    benchmark:
        f"{HERE}/benchmarks/distillers/{{arm}}.tsv"
    threads: SETTINGS.threads
    resources:
        mem_mb=2000,
        runtime=120,
        gpu=0,
    priority: 5
    message:
        "Training the distillers of the arm {wildcards.arm} (progress in {log})."
    shell:
        "emergence introspection distiller --settings {SETTINGS_FILE:q} --arm {wildcards.arm}"
        " --data {input.data} --translator {input.translator} --output {params.folder}"
        " > {log} 2>&1"


rule introspection_spectral:
    output:
        f"{HERE}/spectral/arrays.npz",
    params:
        settings=fingerprint(INTROSPECTION.spectral.model_dump(mode="json") | {"common": COMMON}),
    log:
        f"{HERE}/logs/spectral.log",
    benchmark:
        f"{HERE}/benchmarks/spectral.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    message:
        "Fitting the network-free baseline."
    shell:
        "emergence introspection spectral --settings {SETTINGS_FILE:q} --output {output}"
        " > {log} 2>&1"


rule introspection_analysis:
    input:
        collect(f"{HERE}/data/{{dataset}}.npz", dataset=INTROSPECTION.datasets),
        collect(f"{HERE}/translators/{{arm}}/arrays.npz", arm=INTROSPECTION.translators),
        collect(f"{HERE}/distillers/{{arm}}/arrays.npz", arm=INTROSPECTION.distillers),
        f"{HERE}/spectral/arrays.npz",
    output:
        measurements=f"{HERE}/measurements.json",
        tables=directory(f"{HERE}/tables"),
    params:
        folder=HERE,
    log:
        f"{HERE}/logs/analysis.log",
    benchmark:
        f"{HERE}/benchmarks/analysis.tsv"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    message:
        "Reading the law off every trained arm."
    shell:
        "emergence introspection analysis --settings {SETTINGS_FILE:q} --results {params.folder}"
        " --output {params.folder} > {log} 2>&1"


rule introspection_figure:
    input:
        tables=f"{HERE}/tables",
    output:
        png=report(
            f"{FIGURES}/introspection/{{figure}}.png",
            caption=f"{HOUSE}/workflow/report/introspection.rst",
            category="Introspection (arXiv:1901.11103)",
            labels={"figure": "{figure}"},
        ),
        svg=f"{FIGURES}/introspection/{{figure}}.svg",
        csv=f"{FIGURES}/introspection/{{figure}}.csv",
    params:
        stem=f"{FIGURES}/introspection/{{figure}}",
    log:
        f"{HERE}/logs/figures/{{figure}}.log",
    benchmark:
        f"{HERE}/benchmarks/figures/{{figure}}.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    message:
        "Drawing {output.png}."
    shell:
        "emergence introspection figure --settings {SETTINGS_FILE:q} --name {wildcards.figure}"
        " --tables {input.tables} --output {params.stem} > {log} 2>&1"


rule introspection_figures:
    input:
        collect(f"{FIGURES}/introspection/{{figure}}.png", figure=INTROSPECTION_FIGURES),
    output:
        touch(f"{HERE}/figures.done"),
    message:
        "All figures of introspection are drawn."
