"""One rule for each step of a plan, which lab/flow/tasks.py writes down; nothing is decided here.

Usually called by `make reproduce`. By hand, or on a cluster, with the plan that `make plan` left behind:
snakemake --config plan=runs/smoke/plan.json --rerun-triggers input mtime params
"""

from pathlib import Path

from lab.flow import tasks

TASKS = {task.step: task for task in tasks.read(Path(config["plan"]))}


rule all:
    input:
        [file for task in TASKS.values() for file in task.outputs],


# One rule a step: explicit files are quicker to resolve than wildcards, and a failing rule names itself.
for task in TASKS.values():

    rule:
        name:
            task.step
        input:
            task.inputs,
        # Not removed beforehand: a step replaces its files itself, and a notebook that was only edited reads a finished run.
        output:
            [update(file) for file in task.outputs],
        log:
            task.log,
        priority: task.priority
        # A scheduler's; here a step takes one of the jobs at a time, whatever it does with it, and its GPUs.
        threads: 1
        resources:
            gpu=task.gpus,
            cpus_per_task=task.threads,
            runtime=task.minutes,
        params:
            digest=task.digest,
            page=task.page,
            parameters=str(task.parameters),
        run:
            # Or else, when the last cell of a notebook fails, the run before it would be put back over the new one.
            for file in output:
                workflow.persistence.cleanup_backup(Path(file))
            TASKS[rule].run()
