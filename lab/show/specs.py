"""Files that only the report reads: its contents, claims that no question asks about, contradictions, and coverage."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from pydantic import Field, model_validator

from lib.recipes.specs import Spec


class OtherClaim(Spec):
    """A claimed gain that no question asks about: an ensemble shows it, or ``untested`` says why nothing does."""

    trick: str
    value: float | None = None
    metric: str
    source: str
    note: str = ""
    touched: str = ""
    ensemble: str = ""
    untested: str = ""

    @model_validator(mode="after")
    def has_an_answer(self) -> OtherClaim:
        if bool(self.ensemble) == bool(self.untested):
            raise ValueError("give either ensemble (that shows it) or untested (why nothing does)")
        return self


class Claims(Spec):
    """``params/claims.yaml``: what the ledger holds beside the claims of the questions."""

    others: tuple[OtherClaim, ...]


class Comparison(Spec):
    """Two arms of a question: one does what the original's code does, the other what is said of it or what mends it."""

    question: str
    coded: str
    said: str


class Contradiction(Spec):
    """Where a write-up, or a name in the code, and what the code does part.

    ``id`` is the quirk's number in the recipe's list, or a word of its own. What the recipe's list says already is not
    repeated: without ``coded`` the row takes the quirk's sentence, and its switch is the quirk's.
    """

    recipe: str
    id: str
    said: str
    coded: str = ""
    variant: str = ""  # of the recipe, where no quirk has the switch
    measured: Comparison | None = None
    unmeasured: str = ""  # what no comparison shows, and why

    @model_validator(mode="after")
    def says_what_measures_it(self) -> Contradiction:
        if self.measured is None and not self.unmeasured:
            raise ValueError(
                f"{self.recipe} {self.id}: give measured (two arms of a question) or unmeasured (why none)"
            )
        return self


class Contradictions(Spec):
    """``params/contradictions.yaml``: what the page of that name holds."""

    rows: tuple[Contradiction, ...]

    @model_validator(mode="after")
    def every_row_is_there_once(self) -> Contradictions:
        for (recipe, name), times in Counter((row.recipe, row.id) for row in self.rows).items():
            if times > 1:
                raise ValueError(f"rows: {recipe} {name} is there twice; keep one of them")
        return self


class Statement(Spec):
    """What a write-up says of a model, task, trick or number, and where that is found here: ``aiac_rank1: stages.pretrain``
    (keys of a recipe), ``ablation/ema`` (or ``ensemble``, ``feature``; keys may follow), ``claim: trick``, ``lib/FILE: Class``."""

    says: str
    where: tuple[str, ...] = ()
    not_reproduced: str = ""  # why

    @model_validator(mode="after")
    def has_a_place_or_a_reason(self) -> Statement:
        if bool(self.where) == bool(self.not_reproduced):
            raise ValueError(f"{self.says}: give either where (it is found) or not_reproduced (why)")
        return self


class Coverage(Spec):
    """``params/coverage.yaml``: team -> statements of its write-up."""

    teams: dict[str, tuple[Statement, ...]]


class NoiseTable(Spec):
    """``params/noise.yaml``: scale -> metric -> fields of ``lib.evaluation.compare.Noise``, of the comparisons so far."""

    scales: dict[str, dict[str, dict[Literal["sd_seeds", "df", "sd_items"], float]]]


class ReportSpec(Spec):
    """``params/report.yaml``: which systems, questions and ensembles the report shows, and its headline questions."""

    title: str
    recipes: tuple[str, ...]
    ablations: tuple[str, ...]
    headline: tuple[str, ...] = ()  # those of the ablations that the first report asks
    later: tuple[str, ...] = ()  # further recipes: not in the first report, with one seed in the default one
    first_seeds: int = Field(2, ge=1)  # of a question in the first report, at most
    ensembles: tuple[str, ...]

    def at(self, depth: str) -> tuple[str, ...]:
        """Recipes of a report of some depth."""
        return self.recipes if depth == "first" else (*self.recipes, *self.later)
