# Every claim of the ledger against what was measured.


rule verify:
    input:
        measurements=collect(f"{RESULTS}/{{system}}/measurements.json", system=SYSTEMS),
        ledgers=local(collect(HOUSE / "claims/{system}.yaml", system=SYSTEMS)),
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
