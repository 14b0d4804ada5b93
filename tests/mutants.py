"""Small plausible mistakes in what the report shows: does a test notice each?

    python tests/mutants.py [part of a file's name]

Works on a copy of the checked-out tree, one mistake at a time, and prints ``killed`` or ``SURVIVED`` for each. Exits with 1
when more than one in ten survives, or when a mistake no longer fits the code.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import pytest

for library in ("pandas", "seaborn", "scipy.stats", "scipy.special", "sklearn.manifold", "pyarrow.compute", "torch"):
    import_module(library)  # once for all children

ROOT = Path(__file__).parents[1]
SHOW, TESTS = "lab/show/", "tests/show/test_"
SURVIVORS = 0.1
# file, what stands there, the mistake, tests that ought to notice
MUTANTS = [
    ("classes", 'x="train", y="f1", ax=axis', 'x="videos", y="f1", ax=axis', "classes"),
    ("classes", "[[\"train\", \"f1\"]].mean()", "[[\"train\", \"f1\"]].max()", "classes"),
    ("classes", "shares = counts.div(totals.clip(lower=1), axis=0)", "shares = counts / counts.sum().clip(lower=1)", "classes"),
    ("classes", "pd.crosstab(truth, given, dropna=False)", "pd.crosstab(given, truth, dropna=False)", "classes"),
    ("classes", 'upper.bar(known["from"], known["accuracy"]', 'upper.bar(known["from"], known["confidence"]', "classes"),
    ("classes", "if found.confidence > found.accuracy else", "if found.confidence < found.accuracy else", "classes"),
    ("classes", 'f.score(r["all"], 4)', 'f.score(r["present"], 4)', "classes"),
    ("classes", 'f.score(r["precision"])', 'f.score(r["recall"])', "classes"),
    ("classes", "ascending=[False, True, True]).head(count)", "ascending=[True, True, True]).head(count)", "classes"),
    ("classes", 'frame["true"].map(pd.Series(ids[truth])', 'frame["true"].map(pd.Series(ids[given])', "classes"),
    ("classes", "f1.std(axis=0, ddof=1)", "f1.std(axis=0)", "classes"),
    ("longtail", "np.arange(len(train)) * 3 //", "np.arange(len(train)) * 2 //", "longtail"),
    ("longtail", "2 * hits / (videos + given)", "hits / (videos + given)", "longtail classes"),
    ("calibration", "max(0.0, 2 * error - high)", "max(0.0, low)", "calibration"),
    ("slices", "half = Z * 1.03 / np.sqrt(n - 3)", "half = Z / np.sqrt(n - 3)", "slices"),
    ("slices", '.min(axis=1), "characters")', '.max(axis=1), "characters")', "slices"),
    ("slices", 'axis.axvline(frame["score"].iloc[0]', 'axis.axvline(parts["score"].mean()', "slices"),
    ("slices", "(facts[\"asr\"].to_numpy()[place] == 0).any(axis=1)", "(facts[\"asr\"].to_numpy()[place] == 0).all(axis=1)", "slices"),
    ("pairs", 'x="rank_of_label", y="rank_of_cosine"', 'x="rank_of_cosine", y="rank_of_label"', "pairs"),
    ("pairs", 'xlabel="rank of label", ylabel="rank of cosine"', 'xlabel="rank of cosine", ylabel="rank of label"', "pairs"),
    ("pairs", 'frame[x], frame[low], frame[high]', 'frame[x], frame[low], frame[low]', "pairs"),
    ("pairs", '("gap", "gap_low", "gap_high"), "mean gap', '("spearman", "gap_low", "gap_high"), "mean gap', "pairs"),
    ("pairs", "weights=frame[\"n\"]", "weights=None", "pairs"),
    ("pairs", 'axis.scatter("teacher", "student"', 'axis.scatter("student", "teacher"', "pairs"),
    ("pairs", "-np.abs(gap)))[:count]", "-gap))[:count]", "pairs"),
    ("pairs", ".min(axis=1)\n\n\ndef mean_distance", ".max(axis=1)\n\n\ndef mean_distance", "pairs"),
    ("training", 'part["step"] == metrics["best_step"]', 'part["step"] == scores["step"].min()', "training"),
    ("training", "min_periods=1).median()", "min_periods=1).mean()", "training"),
    ("training", 'axis.plot(part["step"], part["smooth"]', 'axis.plot(part["step"], part["value"]', "training"),
    ("training", 'metrics["oracle"].get(metric) if known', 'value if known', "training"),
    ("systems", 'lambda r: f.score(r["leak_free"])', 'lambda r: f.score(r["unseen"])', "systems"),
    ("systems", 'axis.vlines(frame["oracle"], y - 0.3', 'axis.vlines(frame["score"], y - 0.3', "systems"),
    ("systems", "(seconds[:, None] < seconds) | (score", "(seconds[:, None] > seconds) | (score", "systems"),
    ("systems", "FIELDS[job.spec.features.text.layout]", 'FIELDS["packed"]', "systems"),
    ("systems", '"seconds": board["total_seconds"]', '"seconds": board["total_seconds"] / 2', "systems"),
    ("systems", 'apply(pd.to_numeric, errors="coerce").mean()', 'apply(pd.to_numeric, errors="coerce").max()', "systems"),
    ("corpus", "k=split.k, fold=split.fold", "k=5, fold=split.fold", "corpus"),
    ("corpus", "round(cut.leak(*keys), 4)", "round(1 - cut.leak(*keys), 4)", "corpus"),
    ("corpus", "sizes.to_numpy()[ranks - 1]", "sizes.to_numpy()[ranks - 2]", "corpus"),
    ("corpus", '"from": middle - 0.025', '"from": middle', "corpus"),
    ("space", "np.argsort(-alike, kind=\"stable\")[: found", "np.argsort(alike, kind=\"stable\")[: found", "space"),
    ("space", "ascending=False, kind=\"stable\").index[:GROUPS]", "kind=\"stable\").index[:GROUPS]", "space"),
    ("space", "(sizes * (sizes - 1)).sum()", "(sizes * sizes).sum()", "space"),
    ("style", 'frame["low"], frame["high"], color=SKY', 'frame["low"], frame["score"], color=SKY', "systems slices"),
]  # fmt: skip


def main(wanted: str) -> int:
    chosen = [mutant for mutant in MUTANTS if wanted in mutant[0]]
    survived, stale = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "tree"
        for name in subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines():
            if (ROOT / name).exists():  # as it lies there, committed or not
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, copy / name)
        if _tests_fail(copy, " ".join(sorted({test for mutant in chosen for test in mutant[3].split()}))):
            print("the tests fail as it is")
            return 1
        for name, right, wrong, tests in chosen:
            file = copy / SHOW / f"{name}.py"
            text = file.read_text(encoding="utf-8")
            if right not in text:
                stale += 1
                print(f"NO SUCH CODE  {name}: {right}", flush=True)
                continue
            file.write_text(text.replace(right, wrong, 1), encoding="utf-8")
            killed = _tests_fail(copy, tests)
            file.write_text(text, encoding="utf-8")
            survived += not killed
            print(f"{'killed      ' if killed else 'SURVIVED    '}  {name}: {wrong.strip()}", flush=True)
    print(f"{len(chosen) - survived - stale} of {len(chosen)} killed")
    return int(stale > 0 or survived > SURVIVORS * len(chosen))


def _tests_fail(copy: Path, tests: str) -> bool:
    """In a child that has the libraries already, and nothing of the copy."""
    child = os.fork()
    if not child:
        os.chdir(copy)
        sys.path.insert(0, str(copy))
        os.environ["VIDLAB_MUTANTS_HOME"] = str(copy.with_name("home"))  # the made-up runs are made once
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
            files = [f"{TESTS}{test}.py" for test in tests.split()]
            os._exit(int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", *files])))
    return os.waitpid(child, 0)[1] != 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
