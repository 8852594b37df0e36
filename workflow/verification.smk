# Every claim of the ledger against what was measured, and what a reviewer reads of it.

from emergence.artifacts import sha256
from emergence.provenance import PACKAGE
from emergence.verification.sabotage import CASES

# What is broken on purpose is always broken at the smallest size.
SABOTAGE_SETTINGS = load(HOUSE / "config/smoke.yaml")
# What is broken is the code: after a change of it nothing that was broken before counts.
CODE = fingerprint(
    {str(path.relative_to(PACKAGE)): sha256(path) for path in sorted(PACKAGE.rglob("*.py"))}
)


rule verify:
    input:
        measurements=collect(f"{RESULTS}/{{system}}/measurements.json", system=SYSTEMS),
        ledgers=local(collect(HOUSE / "claims/{system}.yaml", system=SYSTEMS)),
        spreads=certificate(),
        # Not read, but linked to.
        figures=[
            rules.introspection_figures.input,
            rules.holography_figures.input,
            rules.retraining_figures.input,
        ],
    output:
        json=f"{RESULTS}/verdict.json",
        table=f"{RESULTS}/verdict.md",
    log:
        f"{RESULTS}/logs/verify.log",
    benchmark:
        f"{RESULTS}/benchmarks/verify.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        scale=SCALE,
        judged_as=JUDGED_AS,
        ledgers=ledgers_folder,
    message:
        "Deciding the claims; read {output.table}."
    shell:
        "emergence verify --scale {params.scale} --judged-as {params.judged_as} --ledgers {params.ledgers} --report-only"
        " > {log} 2>&1"


rule report:
    input:
        verdict=rules.verify.output.json,
        ledgers=rules.verify.input.ledgers,
        figures=rules.verify.input.figures,
    output:
        f"{RESULTS}/report.html",
    log:
        f"{RESULTS}/logs/report.log",
    benchmark:
        f"{RESULTS}/benchmarks/report.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        scale=SCALE,
        ledgers=ledgers_folder,
        record=costs_record,
    message:
        "Writing the report; open {output} in a browser."
    shell:
        "emergence report --scale {params.scale} --ledgers {params.ledgers} --record {params.record} > {log} 2>&1"


# Negative controls: `snakemake sabotage`


rule sabotage_case:
    input:
        ledgers=rules.verify.input.ledgers,
    output:
        "results/sabotage/{case}.json",
    log:
        "results/sabotage/logs/{case}.log",
    benchmark:
        "results/sabotage/benchmarks/{case}.tsv"
    threads: SABOTAGE_SETTINGS.threads
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        file=sabotage_settings_file,
        settings=fingerprint(SABOTAGE_SETTINGS),
        code=CODE,
        ledgers=ledgers_folder,
    message:
        "Breaking the physics on purpose: {wildcards.case} (progress in {log})."
    shell:
        "emergence sabotage case --settings {params.file:q} --name {wildcards.case}"
        " --ledgers {params.ledgers} --output {output} > {log} 2>&1"


rule sabotage_judge:
    input:
        cases=collect("results/sabotage/{case}.json", case=CASES),
        measurements=measurements_at_hand(),
        ledgers=rules.verify.input.ledgers,
    output:
        f"{RESULTS}/sabotage.json",
    log:
        f"{RESULTS}/logs/sabotage.log",
    benchmark:
        f"{RESULTS}/benchmarks/sabotage.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        scale=SCALE,
        judged_as=rules.verify.params.judged_as,
        ledgers=ledgers_folder,
        folder=cases_folder,
        measured=measured_folder,
        kept=FIGURES,
    message:
        "Judging the negative controls; read {log}."
    shell:
        "emergence sabotage judge --scale {params.scale} --judged-as {params.judged_as}"
        " --ledgers {params.ledgers} --cases {params.folder} --results {params.measured}"
        " --output {output} > {log} 2>&1"
        # Beside the verdicts, once all is as it must be.
        " && mkdir -p {params.kept} && cp {output} {params.kept}"


# Every negative control, listed; fails where one of them stays green.
rule sabotage:
    input:
        rules.sabotage_judge.output,


# The run as a research object: `snakemake crate`


rule crate:
    input:
        rules.verify.output,
        rules.report.output,
        rules.verify.input.measurements,
        rules.verify.input.figures,
    output:
        f"{RESULTS}/crate.zip",
    log:
        f"{RESULTS}/logs/crate.log",
    benchmark:
        f"{RESULTS}/benchmarks/crate.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        scale=SCALE,
        file=settings_file,
        house=house_folder,
    message:
        "Packing the run as a Workflow Run RO-Crate."
    shell:
        "emergence crate --scale {params.scale} --settings {params.file:q} --house {params.house}"
        " --output {output} > {log} 2>&1"
