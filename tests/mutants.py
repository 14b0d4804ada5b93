"""Small plausible mistakes in what the report shows and in its statistics: does a test notice each?

    python tests/mutants.py [part of a file's name]

Works on a copy of the checked-out tree, one mistake at a time, and prints ``killed`` or ``SURVIVED`` for each. Exits with 1
when more than one in ten survives, or when a mistake no longer fits the code.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import pytest

for library in ("pandas", "seaborn", "scipy.stats", "scipy.special", "pyarrow.compute", "torch"):
    import_module(library)  # once for all children

ROOT = Path(__file__).parents[1]
SHOW = "lab/show/"
SURVIVORS = 0.1
# file (of lab/show, if not a path), what stands there, the mistake, tests that ought to notice (of tests/show likewise)
MUTANTS = [
    ("classes", 'x="train", y="f1", ax=axis', 'x="videos", y="f1", ax=axis', "classes"),
    ("classes", "[[\"train\", \"f1\"]].mean()", "[[\"train\", \"f1\"]].max()", "classes"),
    ("classes", "shares = counts.div(totals.clip(lower=1), axis=0)", "shares = counts / counts.sum().clip(lower=1)", "classes"),
    ("classes", "pd.crosstab(truth, given, dropna=False)", "pd.crosstab(given, truth, dropna=False)", "classes"),
    ("classes", 'upper.bar(known["from"], known["accuracy"]', 'upper.bar(known["from"], known["confidence"]', "classes"),
    ("classes", "(known[\"accuracy\"] - known[\"confidence\"]).abs()", "(known[\"accuracy\"] - known[\"confidence\"])", "classes"),
    ("classes", "f.score(sure.mean())}, right {f.score(right.mean())", "f.score(right.mean())}, right {f.score(sure.mean())", "classes"),
    ("classes", "ascending=[False, True, True]).head(count)", "ascending=[True, True, True]).head(count)", "classes"),
    ("classes", 'frame["true"].map(pd.Series(ids[truth])', 'frame["true"].map(pd.Series(ids[given])', "classes"),
    ("classes", "f1.std(axis=0, ddof=1)", "f1.std(axis=0)", "classes"),
    ("classes", "np.arange(len(train)) * 3 //", "np.arange(len(train)) * 2 //", "classes"),
    ("classes", "2 * hits / (videos + given)", "hits / (videos + given)", "classes"),
    ("classes", 'frame["recall"] = frame["right"] / frame["n"]', 'frame["recall"] = frame["right"] / frame["classes"]', "classes"),
    ("gallery", "frames[len(frames) // 2]", "frames[0]", "gallery"),
    ("gallery", 'found[found["query"] == row["id"]]', "found", "gallery"),
    ("slices", "half = Z * 1.03 / np.sqrt(n - 3)", "half = Z / np.sqrt(n - 3)", "slices"),
    ("slices", '.min(axis=1), "characters")', '.max(axis=1), "characters")', "slices"),
    ("slices", 'axis.axvline(frame["score"].iloc[0]', 'axis.axvline(parts["score"].mean()', "slices"),
    ("slices", "(facts[\"asr\"].to_numpy()[place] == 0).any(axis=1)", "(facts[\"asr\"].to_numpy()[place] == 0).all(axis=1)", "slices"),
    ("pairs", 'x="rank_of_label", y="rank_of_cosine"', 'x="rank_of_cosine", y="rank_of_label"', "pairs"),
    ("pairs", 'xlabel="rank of label", ylabel="rank of cosine"', 'xlabel="rank of cosine", ylabel="rank of label"', "pairs"),
    ("pairs", 'bins["low"], bins["high"], color', 'bins["low"], bins["low"], color', "pairs"),
    ("pairs", "weights=frame[\"n\"]", "weights=None", "pairs"),
    ("training", 'part["step"] == metrics["best_step"]', 'part["step"] == scores["step"].min()', "training"),
    ("training", "min_periods=1).median()", "min_periods=1).mean()", "training"),
    ("training", 'axis.plot(part["step"], part["smooth"]', 'axis.plot(part["step"], part["value"]', "training"),
    ("training", 'row["oracle"] = metrics["oracle"].get(metric)', 'row["oracle"] = value', "training"),
    ("systems", 'number("strict split", "strict"', 'number("strict split", "unseen"', "systems"),
    ("systems", 'row["seeds"] == 1 else ""', 'row["seeds"] > 1 else ""', "systems"),
    ("systems", "FIELDS_OF_LAYOUT[features.text.layout]", 'FIELDS_OF_LAYOUT["packed"]', "systems"),
    ("systems", '"\\n".join(r["keys"])', 'r["says"]', "systems"),
    ("systems", 'apply(pd.to_numeric, errors="coerce").mean()', 'apply(pd.to_numeric, errors="coerce").max()', "systems"),
    ("corpus", "k=split.k, fold=split.fold", "k=5, fold=split.fold", "corpus"),
    ("corpus", "round(cut.leak(*keys), 4)", "round(1 - cut.leak(*keys), 4)", "corpus"),
    ("corpus", "sizes.to_numpy()[ranks - 1]", "sizes.to_numpy()[ranks - 2]", "corpus"),
    ("corpus", '"from": middle - 0.025', '"from": middle', "corpus"),
    ("slices", 'parts["low"], parts["high"], color', 'parts["low"], parts["score"], color', "slices"),
    ("comparisons", 'own["score"].to_numpy(float) - other', '-own["score"].to_numpy(float) + other', "comparisons"),
    ("comparisons", "HIGHER_IS_BETTER[metric]", "True", "comparisons"),
    ("comparisons", '"score": own["score"].mean()', '"score": own["score"].max()', "comparisons"),
    ("comparisons", "one.score - two.score for", "two.score - one.score for", "comparisons"),
    ("comparisons", "one.influence - two.influence for", "one.influence + two.influence for", "comparisons"),
    ("comparisons", "higher_is_better=HIGHER_IS_BETTER[metric], identical", "identical", "comparisons"),
    ("comparisons", "one.one_answer for one in (*arm, *reference)", "one.one_answer for one in arm", "comparisons"),
    ("comparisons", "jobs[recipe, which]] for which in (arm, other))\n                told", "jobs[recipe, which]] for which in (other, arm))\n                told", "comparisons"),
    ("comparisons", "else (NAN, \"\")", "else (0.01, \"\")", "comparisons"),
    ("comparisons", "{\"claimed\": claimed,", "{\"claimed\": told[\"difference\"],", "comparisons"),
    ("comparisons", 'one.digest == two.digest for', 'one.score == two.score for', "comparisons"),
    ("comparisons", 'len({one.corpus for one in arm}) == 1', 'arm', "comparisons"),
    ("comparisons", '"low": -found["high"], "high": -found["low"]', '"low": -found["low"], "high": -found["high"]', "claims"),
    ("verdicts", 'holm(once["p"].tolist())', 'once["p"].tolist()', "comparisons"),
    ("verdicts", ' & (frame["check"] == "")]', ']', "comparisons"),
    ("verdicts", 'group.drop_duplicates("same")', 'group.drop_duplicates(["same", "ablation"])', "comparisons"),
    ("verdicts", '["metric", kinds]', '["metric"]', "comparisons"),
    ("verdicts", '{"quirks": "quirks", "splits": "leaks"}', '{"quirks": "quirks"}', "comparisons"),
    ("verdicts", "found[recipe] = max(", "found[recipe] = min(", "comparisons"),
    ("shared", '"unseen", f.score', '"score", f.score', "questions systems"),
    ("shared", '"detectable", f.effect', '"claimed", f.effect', "questions claims"),
    ("questions", 'same = known["metric"].isin(rows["metric"])', 'same = known["metric"].notna()', "questions"),
    ("questions", '(known["scored_on"].eq(spec.scored_on) |', '(known["scored_on"].notna() |', "questions"),
    ("questions", 'number("sd", "sd"', 'number("sd", "score"', "questions"),
    ("questions", 'Claimed: {f.difference(row[\'claimed\'])}', 'Claimed: {f.difference(row[\'difference\'])}', "questions"),
    ("questions", "Effects below {f.effect(row['detectable'])}", "Effects below {f.effect(row['claimed'])}", "questions"),
    ("claims", 'found["low"], found["high"], claim.value)', 'found["low"], found["high"], found["claimed"])', "claims"),
    ("claims", 'or found["verdict"] == NOT_IN_PLAY', '', "claims"),
    ("checks", "arms, LEVEL))", "arms, LEVEL / 2))", "checks"),
    ("checks", 'frame["verdict"] == HURTS', 'frame["verdict"] != HELPS', "checks"),
    ("checks", "(low, middle)", "(low, high)", "checks"),
    ("checks", "[one.run for one in reference]", "[one.run for one in map(read, group)]", "checks"),
    ("ensembles", '"without", f.score', '"score", f.score', "ensembles"),
    ("lib/evaluation/compare", "float(stats.t.ppf(0.975, df)) * error", "0 * error", "evaluation/compare"),
    ("lib/evaluation/compare", "sd_seeds**2 / n, sd_items**2", "sd_seeds**2 / n, 0 * sd_items", "evaluation/compare"),
    ("lib/evaluation/compare", "sd_seeds**2 / n, sd_items**2", "sd_seeds**2, sd_items**2 / n", "evaluation/compare"),
    ("lib/evaluation/compare", "TOO_SMALL if low <= claimed <= high", "TOO_SMALL if low <= 0 <= high", "evaluation/compare"),
    ("lib/evaluation/compare", "max(abs(low), abs(high))", "high", "evaluation/compare"),
    ("lib/evaluation/compare", "moderated, n, sd_items, df=", "sd_seeds, n, sd_items, df=", "evaluation/compare comparisons"),
    ("lib/evaluation/influence", "float(sums @ sums) - alone", "float(sums @ sums)", "evaluation/influence"),
    ("lib/evaluation/influence", "- 3 * of_both", "- of_both", "evaluation/influence"),
    ("lib/evaluation/influence", "- sum(own)) / (n * (n - 1))", ") / n**2", "evaluation/influence"),
    ("lib/evaluation/influence", "(2 * hit - f1[t]) / both[t]", "2 * hit / both[t]", "evaluation/influence"),
    ("questions", '"p after Holm", "holm"', '"p after Holm", "p"', "questions"),
    ("front", 'rows["holm"].astype(float) < LEVEL', 'rows["holm"].astype(float) < 1', "front"),
    ("front", 'known["claimed"].abs() >= known["detectable"]', 'known["claimed"].abs() < known["detectable"]', "front"),
    ("front", 'wrong & _survives(held)', 'wrong', "front"),
    ("front", '100 * rows[numbers]', 'rows[numbers]', "front"),
    ("front", 'known[known["below_floor"]]', 'known[~known["below_floor"]]', "front"),
    ("forest", 'rows.loc[chosen, "low"], rows.loc[chosen, "high"]', 'rows.loc[chosen, "low"], rows.loc[chosen, "low"]', "forest"),
    ("forest", 'rows.loc[known, "claimed"], place', 'rows.loc[known, "difference"], place', "forest"),
    ("forest", "axis.fill_between([-reach, reach]", "axis.fill_between([0, reach]", "forest"),
    ("forest", 'rows.groupby("metric", sort=False)', 'rows.groupby(lambda row: "spearman", sort=False)', "forest"),
    ("style", "verdict.startswith(look.word)), Look", "verdict.endswith(look.word)), Look", "forest"),
    ("order", 'part["published"].to_numpy(float), part["score"]', 'part["score"].to_numpy(float), part["score"]', "order"),
    ("order", "rng.integers(end - len(group), end,", "rng.integers(0, end,", "order"),
    ("order", "of_videos @ of_videos.T - influence", "influence", "order"),
    ("shared", 'number("claimed", "claimed"', 'number("claimed", "difference"', "questions claims"),
    ("questions", "spec.discussions[now]", "next(iter(spec.discussions.values()))", "questions"),
    ("questions", 'rows["reference"] == "")', 'rows["reference"] != "")', "questions"),
    ("claims", '"question/{name}", "measured": found["difference"]', '"question/{name}", "measured": found["high"]', "claims"),
    ("claims", "{name_of(by.coded)} against {name_of(by.said)}", "{name_of(by.said)} against {name_of(by.coded)}", "claims"),
    ("claims", 'claim.is_about(row["recipe"], row["arm"])', "True", "claims"),
    ("claims", '"low": found["difference_low"], "high": found["difference_high"]', '"low": found["low"], "high": found["high"]', "claims"),
    ("claims", '.abs() < held["detectable"]', '.abs() > held["detectable"]', "claims"),
    ("claims", "by.coded, by.said)", "by.said, by.coded)", "claims"),
    ("ensembles", 'frame["growth_low"], frame["growth_high"]', 'frame["growth_low"], frame["growth"]', "ensembles"),
    ("ensembles", 'axis.plot(frame["n"], frame["score"], "o"', 'axis.plot(frame["n"], frame["growth"], "o"', "ensembles"),
    ("ensembles", '"best": kind["best_score"]', '"best": kind["score"]', "ensembles"),
    ("ensembles", 'number("adds", "gain"', 'number("adds", "without"', "ensembles"),
    ("ensembles", 'low=rows["difference_low"]', 'low=rows["low"]', "ensembles"),
    ("ensembles", 'kind["unseen" if prefix else "score"]', 'kind["score"]', "ensembles"),
    ("ensembles", 'items["unseen"] < FEWEST', 'items["unseen"] <= FEWEST', "ensembles"),
    ("ensembles", "result.similarity, index=", "1 - result.similarity, index=", "ensembles"),
    ("runs", '"sd": frame["score"].std(ddof=1)', '"sd": frame["score"].std(ddof=0)', "runs"),
    ("runs", '["seconds"].sum() for job', '["seconds"].max() for job', "runs"),
    ("runs", "[recipe, question.strict]", "[recipe, question.reference]", "runs"),
    ("page", 'repeated, text = cell.source in shown', 'repeated, text = False', "page"),
    ("page", 'if output.get("name") != "stderr"]', ']', "page"),
    ("page", 'setdefault(file, text) != text', 'setdefault(file, text) is None', "page"),
    ("page", "if twin and page.twin else", "if twin else", "page"),
    ("page", 'filter(None, (name if page.joined else "", anchor))', 'filter(None, (name if page.joined else "",))', "page"),
    ("page", 'data["text/html"].removesuffix("</figure>") + csv', 'data["text/html"]', "page"),
    ("page", 'self.ids[name] += 1', 'self.ids[name] = 1', "page"),
    ("page", 'about.get("prefix", "")', '""', "page"),
    ("page", "text = text.replace(f\"{root}/\", \"\")", "pass", "page"),
    ("page", 'if value and key not in', 'if key not in', "page"),
    ("table", '"csv": csv(self.frame)', '"csv": csv(self.frame.head(1))', "tables page"),
    ("table", '"---:" if column.kind == "number"', '"---:" if column.kind == "text"', "tables"),
    ("table", "{_attribute('class', self.emphasis(row))}", '', "tables"),
    ("table", 'style.of_verdict(verdict).kind', 'style.LOOKS[0].kind', "tables"),
    ("table", "len(self.frame) > LONG", "len(self.frame) >= LONG", "tables"),
    ("style", 're.sub(r"<[^>]+>", lambda', 're.sub(r"(?s).+", lambda', "tables"),
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
            file = copy / (f"{name}.py" if "/" in name else f"{SHOW}{name}.py")
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
            parts = [test if "/" in test else f"show/{test}" for test in tests.split()]
            files = [f"tests/{part.replace('/', '/test_')}.py" for part in parts]
            os._exit(int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", *files])))
    return os.waitpid(child, 0)[1] != 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
