# Holography (arXiv:1903.00804): reference, flows grown from side to side -> chains and bulks in them
# -> analysis -> figures.

HOLOGRAPHY = SETTINGS.holography
BULK = f"{RESULTS}/holography"
HOLOGRAPHY_COMMON = common_of(SETTINGS)
HOLOGRAPHY_FIGURES = [
    "likelihood",
    "symmetry",
    "ising_benchmark",
    "plane",
    "phase_diagram",
    "correlation",
    "sampling",
    "geometry",
    "information_budget",
    "bulk_mass",
    "footprints",
    "layers",
]

# Of each side of each flow: what it starts from, and a fingerprint of all its numbers depend on.
FLOWS = {
    name: {
        str(size): {
            "before": weights_before("holography", f"{BULK}/flows", name, arm, size),
            "settings": flow_fingerprint(HOLOGRAPHY, HOLOGRAPHY_COMMON, name, size),
        }
        for size in arm.sizes
    }
    for name, arm in HOLOGRAPHY.flows.items()
}
# Of each run of chains and each bulk: the weights it reads, its fingerprint, and shipped samples.
STUDIES = {
    kind: {
        name: study_inputs(kind, name, study) for name, study in getattr(HOLOGRAPHY, kind).items()
    }
    for kind in ("chains", "bulks")
}


rule holography_reference:
    output:
        f"{BULK}/reference/{{size}}.npz",
    log:
        f"{BULK}/logs/reference/{{size}}.log",
    benchmark:
        f"{BULK}/benchmarks/reference/{{size}}.tsv"
    priority: 15
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        file=settings_file,
        settings=fingerprint(
            HOLOGRAPHY.diagram.model_dump(mode="json", exclude={"sides"})
            | {"common": HOLOGRAPHY_COMMON}
        ),
    message:
        "Measuring the phase diagram of side {wildcards.size} by a cluster Monte Carlo."
    shell:
        "emergence holography reference --settings {params.file:q} --size {wildcards.size}"
        " --output {output} > {log} 2>&1"


rule holography_plane:
    output:
        f"{BULK}/reference/plane.npz",
    log:
        f"{BULK}/logs/reference/plane.log",
    benchmark:
        f"{BULK}/benchmarks/reference/plane.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        file=settings_file,
        settings=fingerprint(
            {
                "plane": HOLOGRAPHY.plane.model_dump(mode="json") if HOLOGRAPHY.plane else None,
                "theory": plane_theory(),
                "common": HOLOGRAPHY_COMMON,
            }
        ),
    message:
        "Measuring the map of t and μ by a cluster Monte Carlo."
    shell:
        "emergence holography plane --settings {params.file:q} --output {output} > {log} 2>&1"


rule holography_flow:
    input:
        before=lookup("{arm}/{size}/before", within=FLOWS),
    output:
        arrays=f"{BULK}/flows/{{arm}}/{{size}}/arrays.npz",
        history=f"{BULK}/flows/{{arm}}/{{size}}/history.csv",
        timing=f"{BULK}/flows/{{arm}}/{{size}}/timing.json",
        weights=directory(f"{BULK}/flows/{{arm}}/{{size}}/weights"),
        trained=f"{BULK}/flows/{{arm}}/{{size}}/trained.npz",
    log:
        f"{BULK}/logs/flows/{{arm}}/{{size}}.log",
    benchmark:
        f"{BULK}/benchmarks/flows/{{arm}}/{{size}}.tsv"
    priority: 20
    threads: SETTINGS.threads
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=0,
    params:
        file=settings_file,
        settings=lookup("{arm}/{size}/settings", within=FLOWS),
        folder=subpath(output.arrays, parent=True),
        before=before_option,
        trained=trained_option,
    message:
        f"{VERB} the flow {{wildcards.arm}} at side {{wildcards.size}} (progress in {{log}})."
    shell:
        "emergence holography flow --settings {params.file:q} --arm {wildcards.arm}"
        " --size {wildcards.size} {params.before} {params.trained} --output {params.folder}"
        " > {log} 2>&1"


rule holography_chains:
    input:
        weights=lookup("chains/{arm}/weights", within=STUDIES),
        before=lookup("chains/{arm}/before", within=STUDIES),
    output:
        arrays=f"{BULK}/chains/{{arm}}/arrays.npz",
        timing=f"{BULK}/chains/{{arm}}/timing.json",
    log:
        f"{BULK}/logs/chains/{{arm}}.log",
    benchmark:
        f"{BULK}/benchmarks/chains/{{arm}}.tsv"
    priority: 10
    threads: SETTINGS.threads
    resources:
        mem_mb=3000,
        runtime=60,
        gpu=0,
    params:
        file=settings_file,
        settings=lookup("chains/{arm}/settings", within=STUDIES),
        sampled=chains_sampled,
        before=before_option,
        folder=subpath(output.arrays, parent=True),
    message:
        "Running the chains {wildcards.arm} (progress in {log})."
    shell:
        "emergence holography chains --settings {params.file:q} --name {wildcards.arm}"
        " --weights {input.weights} {params.before} {params.sampled} --output {params.folder}"
        " > {log} 2>&1"


rule holography_bulk:
    input:
        weights=lookup("bulks/{arm}/weights", within=STUDIES),
    output:
        f"{BULK}/bulks/{{arm}}.npz",
    log:
        f"{BULK}/logs/bulks/{{arm}}.log",
    benchmark:
        f"{BULK}/benchmarks/bulks/{{arm}}.tsv"
    priority: 10
    threads: SETTINGS.threads
    resources:
        mem_mb=4500,
        runtime=60,
        gpu=0,
    params:
        file=settings_file,
        settings=lookup("bulks/{arm}/settings", within=STUDIES),
        sampled=bulk_sampled,
    message:
        "Pushing true samples into the bulk {wildcards.arm} (progress in {log})."
    shell:
        "emergence holography bulk --settings {params.file:q} --name {wildcards.arm}"
        " --weights {input.weights} {params.sampled} --output {output} > {log} 2>&1"


rule holography_analysis:
    input:
        collect(f"{BULK}/reference/{{size}}.npz", size=HOLOGRAPHY.diagram.sides),
        [f"{BULK}/reference/plane.npz"] if HOLOGRAPHY.plane else [],
        collect(
            f"{BULK}/chains/{{arm}}/{{file}}",
            arm=HOLOGRAPHY.chains,
            file=["arrays.npz", "timing.json"],
        ),
        collect(f"{BULK}/bulks/{{arm}}.npz", arm=HOLOGRAPHY.bulks),
        [
            f"{BULK}/flows/{name}/{size}/{file}"
            for name, sizes in FLOWS.items()
            for size in sizes
            for file in ("arrays.npz", "history.csv", "timing.json")
        ],
    output:
        measurements=f"{BULK}/measurements.json",
        tables=directory(f"{BULK}/tables"),
    log:
        f"{BULK}/logs/analysis.log",
    benchmark:
        f"{BULK}/benchmarks/analysis.tsv"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        file=settings_file,
        folder=subpath(output.measurements, parent=True),
    message:
        "Comparing the flows with exact and Monte Carlo values."
    shell:
        "emergence holography analysis --settings {params.file:q} --results {params.folder}"
        " --output {params.folder} > {log} 2>&1"


rule holography_figure:
    input:
        tables=f"{BULK}/tables",
    output:
        png=report(
            f"{FIGURES}/holography/{{figure}}.png",
            caption="report/holography.rst",
            category="Holography (arXiv:1903.00804)",
            labels={"figure": "{figure}"},
        ),
        svg=f"{FIGURES}/holography/{{figure}}.svg",
        csv=f"{FIGURES}/holography/{{figure}}.csv",
    log:
        f"{BULK}/logs/figures/{{figure}}.log",
    benchmark:
        f"{BULK}/benchmarks/figures/{{figure}}.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        file=settings_file,
        stem=f"{FIGURES}/holography/{{figure}}",
        caption=caption_of("holography"),
    message:
        "Drawing {output.png}."
    shell:
        "emergence holography figure --settings {params.file:q} --name {wildcards.figure}"
        " --tables {input.tables} --output {params.stem} > {log} 2>&1"


rule holography_figures:
    input:
        collect(
            f"{FIGURES}/holography/{{figure}}.{{suffix}}",
            figure=HOLOGRAPHY_FIGURES,
            suffix=["png", "svg", "csv"],
        ),
