"""Which step makes which file. The plan (lab/show/plan.py, tasks.py) decides what there is; nothing is decided here.

Usually called by `make reproduce`; by hand: snakemake --cores 2 --config scale=smoke
"""

import sys

from lab.flow import steps

STEPS = steps.read(config)


rule all:
    input:
        STEPS[-1].outputs if STEPS else [],


# One rule a step: explicit files are quicker to resolve than wildcards, and a failing rule names itself.
for step in STEPS:

    rule:
        name:
            step.name
        input:
            step.inputs,
        output:
            step.outputs,
        log:
            step.log,
        threads: 1
        params:
            digest=step.digest,
            page=step.page,
            call=step.call,
        shell:
            "exec {sys.executable} -m lab.flow.runner {params.call} > {log} 2>&1"
