# Introspection (arXiv:1901.11103): data -> translators -> distillers -> analysis -> figures.

INTROSPECTION = SETTINGS.introspection
HERE = f"{RESULTS}/introspection"
# What every stage of this system depends on, beside its own entry in the settings.
COMMON = fingerprint(
    INTROSPECTION.model_dump(
        mode="json",
        exclude={"datasets", "stages", "translators", "distillers", "spectral", "data_seed"},
    )
    # Only where there is one, so that a run without it stays what it was.
    | ({} if INTROSPECTION.data_seed is None else {"data_seed": INTROSPECTION.data_seed})
    | {
        "seed": SETTINGS.seed,
        "threads": SETTINGS.threads,
        "devices": SETTINGS.devices,
        "precision": SETTINGS.precision,
    }
    | EVALUATION
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

# Of each dataset and arm: the files it reads, and a fingerprint of all that its numbers depend on.
DATASETS = {
    name: {"settings": fingerprint(chosen.model_dump(mode="json") | {"common": COMMON})}
    for name, chosen in INTROSPECTION.datasets.items()
}
ARMS = {
    kind: {
        name: {
            "data": f"{HERE}/data/{arm.dataset}.npz",
            "translator": f"{HERE}/translators/{getattr(arm, 'translator', name)}/arrays.npz",
            "settings": fingerprint(
                arm.model_dump(mode="json")
                | {
                    "stages": [s.model_dump(mode="json") for s in INTROSPECTION.stages[arm.stages]],
                    "common": COMMON,
                }
                | taken(f"introspection/{kind}/{name}")
            ),
        }
        for name, arm in getattr(INTROSPECTION, kind).items()
    }
    for kind in ("translators", "distillers")
}


rule introspection_data:
    output:
        f"{HERE}/data/{{dataset}}.npz",
    log:
        f"{HERE}/logs/data/{{dataset}}.log",
    benchmark:
        f"{HERE}/benchmarks/data/{{dataset}}.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        file=settings_file,
        settings=lookup("{dataset}/settings", within=DATASETS),
    message:
        "Solving the Schrödinger equation for the dataset {wildcards.dataset}."
    shell:
        "emergence introspection data --settings {params.file:q} --dataset {wildcards.dataset}"
        " --output {output} > {log} 2>&1"


rule introspection_translator:
    input:
        data=lookup("translators/{arm}/data", within=ARMS),
    output:
        arrays=f"{HERE}/translators/{{arm}}/arrays.npz",
        history=f"{HERE}/translators/{{arm}}/history.csv",
        weights=directory(f"{HERE}/translators/{{arm}}/weights"),
        trained=f"{HERE}/translators/{{arm}}/trained.npz",
    log:
        f"{HERE}/logs/translators/{{arm}}.log",
    benchmark:
        f"{HERE}/benchmarks/translators/{{arm}}.tsv"
    priority: 10
    threads: SETTINGS.threads
    resources:
        mem_mb=2000,
        runtime=60,
        gpu=0,
    params:
        file=settings_file,
        settings=lookup("translators/{arm}/settings", within=ARMS),
        trained=trained_option,
        folder=subpath(output.arrays, parent=True),
    message:
        f"{VERB} the translators of the arm {{wildcards.arm}} (progress in {{log}})."
    shell:
        "emergence introspection translator --settings {params.file:q} --arm {wildcards.arm}"
        " --data {input.data} {params.trained} --output {params.folder} > {log} 2>&1"


rule introspection_distiller:
    input:
        data=lookup("distillers/{arm}/data", within=ARMS),
        translator=lookup("distillers/{arm}/translator", within=ARMS),
    output:
        arrays=f"{HERE}/distillers/{{arm}}/arrays.npz",
        history=f"{HERE}/distillers/{{arm}}/history.csv",
        weights=directory(f"{HERE}/distillers/{{arm}}/weights"),
        trained=f"{HERE}/distillers/{{arm}}/trained.npz",
    log:
        f"{HERE}/logs/distillers/{{arm}}.log",
    benchmark:
        f"{HERE}/benchmarks/distillers/{{arm}}.tsv"
    priority: 5
    threads: SETTINGS.threads
    resources:
        mem_mb=2000,
        runtime=120,
        gpu=0,
    params:
        file=settings_file,
        settings=lookup("distillers/{arm}/settings", within=ARMS),
        trained=trained_option,
        folder=subpath(output.arrays, parent=True),
    message:
        f"{VERB} the distillers of the arm {{wildcards.arm}} (progress in {{log}})."
    shell:
        "emergence introspection distiller --settings {params.file:q} --arm {wildcards.arm}"
        " --data {input.data} --translator {input.translator} {params.trained}"
        " --output {params.folder}"
        " > {log} 2>&1"


rule introspection_spectral:
    output:
        f"{HERE}/spectral/arrays.npz",
    log:
        f"{HERE}/logs/spectral.log",
    benchmark:
        f"{HERE}/benchmarks/spectral.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        file=settings_file,
        settings=fingerprint(INTROSPECTION.spectral.model_dump(mode="json") | {"common": COMMON}),
    message:
        "Fitting the network-free baseline."
    shell:
        "emergence introspection spectral --settings {params.file:q} --output {output}"
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
    log:
        f"{HERE}/logs/analysis.log",
    benchmark:
        f"{HERE}/benchmarks/analysis.tsv"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        file=settings_file,
        folder=subpath(output.measurements, parent=True),
    message:
        "Reading the law off every trained arm."
    shell:
        "emergence introspection analysis --settings {params.file:q} --results {params.folder}"
        " --output {params.folder} > {log} 2>&1"


rule introspection_figure:
    input:
        tables=f"{HERE}/tables",
    output:
        png=report(
            f"{FIGURES}/introspection/{{figure}}.png",
            caption="report/introspection.rst",
            category="Introspection (arXiv:1901.11103)",
            labels={"figure": "{figure}"},
        ),
        svg=f"{FIGURES}/introspection/{{figure}}.svg",
        csv=f"{FIGURES}/introspection/{{figure}}.csv",
    log:
        f"{HERE}/logs/figures/{{figure}}.log",
    benchmark:
        f"{HERE}/benchmarks/figures/{{figure}}.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        file=settings_file,
        stem=f"{FIGURES}/introspection/{{figure}}",
        caption=caption_of("introspection"),
    message:
        "Drawing {output.png}."
    shell:
        "emergence introspection figure --settings {params.file:q} --name {wildcards.figure}"
        " --tables {input.tables} --output {params.stem} > {log} 2>&1"


rule introspection_figures:
    input:
        collect(
            f"{FIGURES}/introspection/{{figure}}.{{suffix}}",
            figure=INTROSPECTION_FIGURES,
            suffix=["png", "svg", "csv"],
        ),
