"""Checks of the laboratory itself: questions whose answer is known. A placebo must not help, a planted effect must be found."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from scipy import stats

from lab.show import figures_compare, pages_questions, reading, tables
from lab.show import formats as f
from lab.show.answers import Answer, folder
from lab.show.certainty import LEVEL
from lab.show.plan import Plan
from lab.show.site import Site
from lib.evaluation.compare import HELPS, HURTS

SOUND = 0.95  # share of sound laboratories that stay within what is allowed


def allowed(arms: int) -> int:
    """Most false verdicts among so many placebo arms: the 95 % quantile of a binomial. Half of the false verdicts of a 95 %
    interval are helps, half are harms.

    >>> allowed(20)
    2
    """
    return int(stats.binom.ppf(SOUND, arms, LEVEL / 2))


def result(answer: Answer) -> tuple[bool, str]:
    """Whether a check passed, and a sentence that says why.

    Placebo: of the arms that change nothing few are called anything; help and harm are counted alike, and no more than
    :func:`allowed` may help. Planted: every comparison helps.
    """
    rows = answer.comparisons
    verdicts = rows["verdict"]
    if answer.spec.check == "placebo":
        helps, hurts, most = int((verdicts == HELPS).sum()), int((verdicts == HURTS).sum()), allowed(len(rows))
        passed = helps <= most and hurts <= most
        return passed, (
            f"Of {f.plural(len(rows), 'arm')} that change nothing {helps or 'none'} came out as a help and {hurts or 'none'} as a "
            f"harm. With 95 % intervals up to {most} of either kind are no surprise: "
            f"{'the rule holds' if passed else '**the rule does not hold**'}."
        )
    passed = bool((verdicts == HELPS).all())
    told = "; ".join(f"{row['recipe']}: {row['verdict']}, {reading.short(row)}" for row in rows.to_dict("records"))
    return passed, f"{told}: {'the effect was found' if passed else '**the effect was not found**'}."


def checks(site: Site, plan: Plan, answers: Sequence[Answer], notebooks: dict[str, str]) -> tuple[str, str] | None:
    """Write ``checks``; None where the scale has no checks."""
    if not answers:
        return None
    shown = []
    for answer in answers:
        forest = pages_questions.forest_rows(answer)
        where = str(folder(plan, answer.name))
        shown.append(
            {
                "name": answer.name,
                "question": answer.spec.question,
                "about": answer.spec.about.strip(),
                "sentence": result(answer)[1],
                "method": pages_questions.method(plan, answer),
                "forest": site.picture(
                    f"forest_{answer.name}",
                    figures_compare.forest(forest, answer.frame["metric"].iloc[0], pages_questions.other(answer)),
                    pages_questions.forest_alt(forest, answer.frame["metric"].iloc[0]),
                    pages_questions.FOREST,
                ),
                "table": site.table(f"check_{answer.name}", tables.question(answer)),
                "notebook": notebooks.get(where),
            }
        )
    frame = pd.DataFrame([{"check": a.name, "passed": result(a)[0]} for a in answers])
    site.page(
        "checks",
        "checks.md.j2",
        "Can this laboratory be trusted?",
        eyebrow=f"{f.plural(len(answers), 'check')} with a known answer, {int(frame['passed'].sum())} passed",
        checks=shown,
        scale=plan.scale,
    )
    return "Checks", "checks.md"
