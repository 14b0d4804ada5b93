"""What is asked of the systems: ablations, ensembles, and the report that holds both."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from lib.recipes.specs.base import Component, Spec
from lib.recipes.specs.recipe import Published


class Claim(Spec):
    """A gain its authors claimed for a trick.

    ``recipe`` and ``arm`` say which comparison of the question it is held against: without them the first of each.
    """

    value: float
    metric: str
    source: str
    note: str = ""
    recipe: str = ""
    arm: str = ""
    touched: str = ""  # by which quirk or leak

    def is_about(self, recipe: str, arm: str) -> bool:
        """Whether a comparison is one that the claim may be held against."""
        return self.recipe in ("", recipe) and self.arm in ("", arm)


class OtherClaim(Spec):
    """A claimed gain that no question asks after: an ensemble shows it, or ``untested`` says why nothing does."""

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
        seen: set[tuple[str, str]] = set()
        for row in self.rows:
            if (row.recipe, row.id) in seen:
                raise ValueError(f"rows: {row.recipe} {row.id} is there twice; keep one of them")
            seen.add((row.recipe, row.id))
        return self


class Ablation(Spec):
    question: str
    family: str
    stage: str  # where the score is read
    recipes: tuple[str, ...]
    arms: dict[str, dict[str, Any]] = Field(min_length=2)
    reference: str
    member: str = "base"  # the model of the system that the arms are laid over
    leak_free: str = ""  # the arm that trains on no video it is scored on: the leaderboard shows it beside the score
    stages: dict[str, str] = {}  # arm -> stage, where an arm is read at another stage than ``stage``
    against: dict[str, str] = {}  # arm -> the arm it is compared with, where that is not the reference
    other_seeds: dict[str, int] = {}  # arm -> added to each of its seeds: other luck than the reference has
    check: Literal["", "placebo", "planted"] = ""  # a question whose answer is known, asked of the laboratory itself
    claimed: tuple[Claim, ...] = ()
    about: str = ""
    discussion: str = ""
    discussion_digest: str = ""  # of the numbers the discussion was written for

    def compared_with(self, arm: str) -> str:
        """The arm that another is compared with."""
        return self.against.get(arm, self.reference)

    @model_validator(mode="after")
    def reference_is_an_arm(self) -> Ablation:
        if self.reference not in self.arms:
            raise ValueError(f"reference: {self.reference!r} is not an arm; arms: {', '.join(self.arms)}")
        if self.leak_free and self.leak_free not in self.arms:
            raise ValueError(f"leak_free: {self.leak_free!r} is not an arm; arms: {', '.join(self.arms)}")
        for arm, other in self.against.items():
            if not {arm, other} <= set(self.arms) or arm in (other, self.reference):
                raise ValueError(
                    f"against: {arm}: {other}: needs two arms, the first not the reference; arms: {', '.join(self.arms)}"
                )
        if unknown := [arm for arm in self.other_seeds if arm not in self.arms or arm == self.reference]:
            raise ValueError(
                f"other_seeds: {unknown[0]!r} is not an arm beside the reference; arms: {', '.join(self.arms)}"
            )
        return self


class Member(Spec):
    """One vector (or logits) per video: a model, or the mean of the unit vectors of its folds."""

    recipe: str
    stage: str = "finetune"
    arm: str = "base"
    folds: bool = False

    @property
    def label(self) -> str:
        return f"{self.recipe} {self.arm}" + (" folds" if self.folds else "")


class EnsembleSpec(Spec):
    """Members are listed (then with the first seed), or are some arms of one recipe's stage with every seed.

    ``combine`` is how they are joined; ``also`` are other ways of joining the same members, shown beside it.
    """

    title: str
    recipe: str
    stage: str = "finetune"
    arms: tuple[str, ...] = ("base",)
    members: tuple[Member, ...] = ()
    combine: Component
    also: tuple[Component, ...] = ()
    published: tuple[Published, ...] = ()
    about: str = ""


class ReportSpec(Spec):
    title: str
    recipes: tuple[str, ...]
    ablations: tuple[str, ...]
    headline: tuple[str, ...] = ()  # those of the ablations that get the scale's headline seeds
    ensembles: tuple[str, ...]
