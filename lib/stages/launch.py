"""launch(job): in this process, or one process per device as a child that is stopped with its parent.

Both ways only write the run folder, and the cells of a notebook only read it, so no cell can tell the difference.
"""

from __future__ import annotations

import subprocess
import sys

from lib.recipes.job import Job
from lib.runs.folder import RunFolder
from lib.stages.run import require_inputs, run


def launch(job: Job, *, processes: int = 1, again: bool = False) -> RunFolder:
    """Run a job unless it is finished.

    Args:
        processes: 1 trains here; more start ``torch.distributed.run`` on this machine, each with its share of every batch.

    Raises:
        RuntimeError: a child failed; the message is the command that repeats it.
    """
    if processes == 1:
        return run(job, again=again)
    if job.folder.is_done(job.digest) and not again:
        return job.folder
    require_inputs(job)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}",
        "-m", "lib.stages.run", job.recipe, job.stage, "--arm", job.arm, "--seed", str(job.seed), "--scale", job.scale,
    ]  # fmt: skip
    command += ["--corpus", job.corpus_given] if job.corpus_given else []
    command += ["--again"] if again else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as child:
        try:
            for line in child.stdout:
                print(line, end="", flush=True)
        except KeyboardInterrupt:
            child.terminate()
            raise
    if child.returncode:
        raise RuntimeError(f"training failed (exit {child.returncode}); by hand: {' '.join(command)}")
    return job.folder
