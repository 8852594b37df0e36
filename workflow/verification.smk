# Every claim of the ledger against what was measured.


rule verify:
    input:
        measurements=collect(f"{RESULTS}/{{system}}/measurements.json", system=SYSTEMS),
        ledgers=collect(HOUSE / "claims/{system}.yaml", system=SYSTEMS),
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
        judged_as=SETTINGS.judged_as or (SCALE if SCALE in SCALES else "laptop"),
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
