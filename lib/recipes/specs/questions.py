"""What is asked of systems: claims, questions with their arms, ensembles."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from lib.recipes.specs.recipe import Published
from lib.recipes.specs.stage import Component, Spec


class Claim(Spec):
    """A gain its authors claimed for a trick. ``recipe`` and ``arm`` say which comparison of the question it is held
    against: without them the first of each."""

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


class Ablation(Spec):
    """A question: arms (dotted path -> value) laid over the same recipes, compared with ``reference`` at ``stage``.
    File: ``params/ablations/<name>.yaml``. An arm is named ``<ablation>.<arm>`` elsewhere. ``discussions`` are
    written by hand."""

    folder: ClassVar[str] = "ablations"
    like: str | None = Field(None, exclude=True)  # another question: what this one does not say is as there
    question: str
    family: str
    stage: str  # where the score is read
    # validation: the scores of that part, for questions on how it is cut, which the test part cannot answer
    scored_on: Literal["", "validation"] = ""
    called: dict[str, str] = {}  # arm -> what it is called in a sentence and in a figure
    recipes: tuple[str, ...]
    arms: dict[str, dict[str, Any]] = Field(min_length=2)
    reference: str
    member: str = "base"  # the model of the system that the arms are laid over
    members: dict[str, str] = {}  # arm -> the model that it is laid over, where that is another
    strict: str = ""  # the arm that trains on no video it is scored on: the leaderboard shows it beside the score
    stages: dict[str, str] = {}  # arm -> stage, where an arm is read at another stage than ``stage``
    against: dict[str, str] = {}  # arm -> the arm it is compared with, where that is not the reference
    seeds: int | None = Field(None, ge=1)  # how many its claim needs; the scale's own number if not given
    # per_seed: seed s is also that of the videos, from the second seed on; a number: that of the videos of all seeds
    corpora: Literal["one", "per_seed"] | Annotated[int, Field(ge=1)] = "one"
    depth: Literal["", "default", "all"] = ""  # of report; "": the default one with a claim, else all
    check: Literal["", "placebo"] = ""  # a question whose answer is known, asked of the laboratory itself
    claimed: tuple[Claim, ...] = ()
    about: str = ""
    discussions: dict[str, str] = {}  # digest of the numbers of a report -> what is to be said of them

    def compared_with(self, arm: str) -> str:
        """The arm that another is compared with."""
        return self.against.get(arm, self.reference)

    def claims_about(self, recipe: str, arm: str, metric: str) -> list[Claim]:
        """Claims in the metric that an arm is measured in."""
        return [claim for claim in self.claimed if claim.metric == metric and claim.is_about(recipe, arm)]

    def member_of(self, arm: str) -> str:
        """The model of the system that an arm is laid over."""
        return self.members.get(arm, self.member)

    def name_of(self, arm: str) -> str:
        """What an arm is called in a sentence: "label smoothing"."""
        return self.called.get(arm, arm.replace("_", " "))

    @model_validator(mode="after")
    def reference_is_an_arm(self) -> "Ablation":
        known = f"arms: {', '.join(self.arms)}"
        for key, named in (
            ("reference", [self.reference]),
            ("strict", [self.strict or self.reference]),
            ("called", self.called),
        ):
            if unknown := [arm for arm in named if arm not in self.arms]:
                raise ValueError(f"{key}: {unknown[0]!r} is not an arm; {known}")
        for arm, other in self.against.items():
            if not {arm, other} <= set(self.arms) or arm in (other, self.reference):
                raise ValueError(f"against: {arm}: {other}: needs two arms, the first not the reference; {known}")
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
    ``combine`` is how they are joined; ``also`` are other ways of joining the same members, shown beside it."""

    folder: ClassVar[str] = "ensembles"
    title: str
    recipe: str
    stage: str = "finetune"
    arms: tuple[str, ...] = ("base",)
    members: tuple[Member, ...] = ()
    combine: Component
    also: tuple[Component, ...] = ()
    scaled: bool = False  # vectors of pairs are scaled to length one before they are handed in
    published: tuple[Published, ...] = ()
    about: str = ""
