# Retraining (arXiv:2003.06228): a wave function grown from size to size -> analysis -> figures.

RETRAINING = SETTINGS.retraining
THERE = f"{RESULTS}/retraining"
RETRAINING_COMMON = fingerprint(
    RETRAINING.model_dump(mode="json", exclude={"stages", "chains"})
    | {"seed": SETTINGS.seed, "threads": SETTINGS.threads}
    | EVALUATION
)
RETRAINING_FIGURES = [
    "energy_error",
    "bulk_energy",
    "correlations",
    "forgetting",
    "edge_profile",
    "directional_bias",
    "two_dimensions",
    "entanglement",
    "training",
    "original_network",
]


# Of each size of each arm: what it starts from, and a fingerprint of all its numbers depend on.
GROWN = {
    name: {
        str(size): {
            "before": weights_before("retraining", f"{THERE}/chains", name, arm, size),
            "settings": fingerprint(
                arm.model_dump(mode="json", exclude={"sizes"})
                | {
                    "stages": [s.model_dump(mode="json") for s in RETRAINING.stages[stages]],
                    "common": RETRAINING_COMMON,
                }
                | taken(f"retraining/chains/{name}/{size}")
            ),
        }
        for size, stages in arm.sizes.items()
    }
    for name, arm in RETRAINING.chains.items()
}


rule retraining_grow:
    input:
        before=lookup("{arm}/{size}/before", within=GROWN),
    output:
        arrays=f"{THERE}/chains/{{arm}}/{{size}}/arrays.npz",
        history=f"{THERE}/chains/{{arm}}/{{size}}/history.csv",
        weights=directory(f"{THERE}/chains/{{arm}}/{{size}}/weights"),
        trained=f"{THERE}/chains/{{arm}}/{{size}}/trained.npz",
    log:
        f"{THERE}/logs/chains/{{arm}}/{{size}}.log",
    benchmark:
        f"{THERE}/benchmarks/chains/{{arm}}/{{size}}.tsv"
    priority: 20
    threads: SETTINGS.threads
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=0,
    params:
        file=settings_file,
        settings=lookup("{arm}/{size}/settings", within=GROWN),
        folder=subpath(output.arrays, parent=True),
        before=before_option,
        trained=trained_option,
    message:
        f"{GROWING} the wave function {{wildcards.arm}} to size {{wildcards.size}} (progress in {{log}})."
    shell:
        "emergence retraining grow --settings {params.file:q} --arm {wildcards.arm}"
        " --size {wildcards.size} {params.before} {params.trained} --output {params.folder}"
        " > {log} 2>&1"


rule retraining_analysis:
    input:
        [
            f"{THERE}/chains/{name}/{size}/{file}"
            for name, sizes in GROWN.items()
            for size in sizes
            for file in ("arrays.npz", "history.csv")
        ],
    output:
        measurements=f"{THERE}/measurements.json",
        tables=directory(f"{THERE}/tables"),
    log:
        f"{THERE}/logs/analysis.log",
    benchmark:
        f"{THERE}/benchmarks/analysis.tsv"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        file=settings_file,
        folder=subpath(output.measurements, parent=True),
    message:
        "Comparing the grown wave functions with the exact ground states."
    shell:
        "emergence retraining analysis --settings {params.file:q} --results {params.folder}"
        " --output {params.folder} > {log} 2>&1"


rule retraining_figure:
    input:
        tables=f"{THERE}/tables",
    output:
        png=report(
            f"{FIGURES}/retraining/{{figure}}.png",
            caption="report/retraining.rst",
            category="Retraining (arXiv:2003.06228)",
            labels={"figure": "{figure}"},
        ),
        svg=f"{FIGURES}/retraining/{{figure}}.svg",
        csv=f"{FIGURES}/retraining/{{figure}}.csv",
    log:
        f"{THERE}/logs/figures/{{figure}}.log",
    benchmark:
        f"{THERE}/benchmarks/figures/{{figure}}.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        file=settings_file,
        stem=f"{FIGURES}/retraining/{{figure}}",
        caption=caption_of("retraining"),
    message:
        "Drawing {output.png}."
    shell:
        "emergence retraining figure --settings {params.file:q} --name {wildcards.figure}"
        " --tables {input.tables} --output {params.stem} > {log} 2>&1"


rule retraining_figures:
    input:
        collect(
            f"{FIGURES}/retraining/{{figure}}.{{suffix}}",
            figure=RETRAINING_FIGURES,
            suffix=["png", "svg", "csv"],
        ),
