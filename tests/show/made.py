"""Tables of comparisons made by hand, for what reads them."""

from __future__ import annotations

import pandas as pd

from lab.show.verdicts import COLUMNS, MISSING

SCORES = (0.5, 0.52, 0.51)


def arm(ablation: str = "ema", recipe: str = "aiac_rank1", arm: str = "with", scores=SCORES, **more) -> list[dict]:
    """The row of an arm, then those of its runs; ``difference`` 0.03 within 0.01 unless told otherwise."""
    about = {"ablation": ablation, "question": f"Does {ablation} help?", "family": "x", "check": "", "recipe": recipe, "arm": arm,
             "reference": "without", "metric": "spearman", "claimed_source": "", "verdict": "", "seconds": 12.5, "digest": ""}  # fmt: skip
    numbers = {"n": len(scores), "score": sum(scores) / len(scores), "sd": 0.01, "verdict": "helps"}
    numbers |= {"difference": 0.03, "low": 0.02, "high": 0.04, "p": 0.01, "holm": 0.2, "detectable": 0.05,
                "sd_seeds": 0.005, "sd_items": 0.002}  # fmt: skip
    together = MISSING | about | numbers | more
    about |= {key: more[key] for key in about if key in more and key not in ("verdict", "claimed_source")}
    runs = [MISSING | about | {"seed": k, "n": 1, "score": score, "digest": f"d{k}"} for k, score in enumerate(scores)]
    return [together, *runs]


def reference(ablation: str = "ema", recipe: str = "aiac_rank1", scores=(0.47, 0.49, 0.48), **more) -> list[dict]:
    """The rows of a reference arm."""
    nothing = dict.fromkeys(
        ("difference", "low", "high", "p", "holm", "detectable", "sd_seeds", "sd_items"), float("nan")
    )
    return arm(ablation, recipe, "without", scores, reference="", verdict="", **{**nothing, **more})


def frame(*arms: list[dict]) -> pd.DataFrame:
    rows = pd.DataFrame([row for arm in arms for row in arm]).reindex(columns=list(COLUMNS))
    return rows.astype({"seed": "Int64"})
