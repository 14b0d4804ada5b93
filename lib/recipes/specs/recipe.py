"""A system: where it comes from, its features and model, its stages, and what its original did besides."""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from lib.recipes.specs.stage import Component, CorpusName, Spec, StageSpec


class Origin(Spec):
    """Who made the original, for which contest, and where its paper and code are."""

    contest: Literal["aiac2021", "wechat2022", "none"]
    rank: int | None = None
    team: str = ""
    paper: str = ""
    repository: str = ""


class Published(Spec):
    """A score its authors reported; shown beside ours, never mixed with it."""

    stage: str
    arm: str = "base"
    split: str
    metric: str
    value: float
    source: str
    note: str = ""


class TextSpec(Spec):
    """How the fields of a video become one sequence of token ids (``lib.features.text``)."""

    set: str = "tokens"
    layout: Literal[
        "cls_sep_title", "cls_title", "cls_title_cut", "packed", "blocks", "title_asr", "title_asr_cut", "words"
    ] = "cls_title"
    length: int = Field(ge=4)
    pad: Literal["batch", "full"] = "batch"  # full: always ``length``, as the originals do


class FramesSpec(Spec):
    """Which frames of a video a model sees (``lib.features.frames``)."""

    set: str = "given"  # the corpus' own features, or a set of images of params/features
    length: int = Field(ge=1)
    sample: Literal["linspace_round", "bin_centre", "segment_centre", "floor_step", "head", "head_or_step"] = (
        "bin_centre"
    )
    train_sample: Literal["same", "random_sorted", "random_bin"] = "same"
    pad: Literal["batch", "full"] = "batch"


class Features(Spec):
    """What a model reads of a video: its text and its frames."""

    text: TextSpec
    frames: FramesSpec

    @property
    def batches(self) -> dict[str, Any]:
        """Arguments of ``lib.features.loader.Assembler``."""
        text, frames = self.text, self.frames
        return {
            "layout": text.layout, "text_length": text.length, "pad_text": text.pad == "full",
            "frames_length": frames.length, "sample": frames.sample, "train_sample": frames.train_sample, "pad_frames": frames.pad == "full",
        }  # fmt: skip


class ModelSpec(Spec):
    """The slots of the model, each a component of ``lib.models``; widths flow from slot to slot."""

    text: Component
    frames: Component
    fusion: Component
    pooling: Component
    head: Component
    images: Component | None = None  # encodes pictures inside the model; null: frame features are read, not computed

    def slots(self) -> dict[str, Component]:
        """Those that are filled."""
        slots = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: component for name, component in slots.items() if component is not None}


class SubmissionSpec(Spec):
    """The zip of embeddings that a team of the pair track handed in."""

    member: str = "result.json"  # the file in the zip
    precision: Literal["float16", "float64"] = "float16"


class Quirk(Spec):
    """A behaviour of the original that the recipe's default mends; ``switch`` is the dotted path that restores it."""

    id: str
    says: str
    switch: dict[str, Any] = {}


class Assumption(Spec):
    """What no source of the original states, so that the recipe had to choose: its entry in the register of uncertain
    points, and the keys that rest on it, as dotted paths (``*`` for any part)."""

    id: str
    says: str
    keys: tuple[str, ...] = Field(min_length=1)


STAGE_NOTEBOOKS = {
    "pretrain": "notebooks/02_pretrain.ipynb",
    "finetune": "notebooks/03_finetune.ipynb",
    "distill": "notebooks/04_distill.ipynb",
}
# what a stage of pseudo labels takes from the one whose models it asks
GIVES_PSEUDO = ("phase", "data", "objectives", "optimizer", "schedule", "evaluation")
TRACKS: dict[CorpusName, Literal["pairs", "classes"]] = {
    "aiac2021": "pairs",
    "wechat2022": "classes",
    "wechat2022_pictures": "classes",
}


class Recipe(Spec):
    """A system as its authors published it, corrected where ``quirks`` says so: ``params/recipes/<name>.yaml``.

    ``model`` names the parts, ``stages`` the trainings in their order. ``variants`` are overlays (dotted path -> value) that
    restore what the authors did or ask for something else; ``members`` are those of them that are models of the system.
    ``published`` and ``sources`` say what it scored and who says so.
    """

    folder: ClassVar[str] = "recipes"
    title: str
    summary: str
    origin: Origin
    published: tuple[Published, ...] = ()
    corpus: CorpusName  # a scale says which corpus that is
    features: Features
    model: ModelSpec
    stages: dict[str, StageSpec]
    added: dict[str, str] = {}  # stage that the published system does not have -> what it is
    variants: dict[str, dict[str, Any]] = {}
    behind: dict[str, str] = {}  # model, "base" or a member -> why it stays behind in a small laboratory
    members: dict[str, str] = {}  # variants that are models of the system, not switches: name -> title
    submission: SubmissionSpec = SubmissionSpec()
    quirks: tuple[Quirk, ...] = ()
    assumed: tuple[Assumption, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def track(self) -> str:
        """Of the corpora that fit: pairs or classes."""
        return TRACKS[self.corpus]

    @property
    def main_stages(self) -> list[str]:
        """Those that are trained for themselves, not only where another stage needs them."""
        return [name for name, stage in self.stages.items() if not stage.on_demand]

    @model_validator(mode="before")
    @classmethod
    def stages_say_what_they_are(cls, tree: Any) -> Any:
        """A stage whose very name is a phase need not say so."""
        stages = tree.get("stages") if isinstance(tree, dict) else None
        if not isinstance(stages, dict):
            return tree
        named = {
            name: {"phase": name, **stage} if name in STAGE_NOTEBOOKS and isinstance(stage, dict) else stage
            for name, stage in stages.items()
        }
        for name, stage in named.items():
            asked = named.get(stage.get("init_from")) if isinstance(stage, dict) and stage.get("pseudo") else None
            if isinstance(asked, dict) and isinstance(asked.get("data"), dict):
                whole = {**{key: asked[key] for key in GIVES_PSEUDO if key in asked}, "on_demand": True, **stage}
                named[name] = {**whole, "data": {**whole["data"], "epochs": 0, "min_steps": 0, "pseudo": None}}
        return {**tree, "stages": named}

    @model_validator(mode="after")
    def members_are_variants(self) -> "Recipe":
        for name in self.members:
            if name not in self.variants:
                raise ValueError(f"members.{name}: not a variant; variants: {', '.join(self.variants) or 'none'}")
        return self

    @model_validator(mode="after")
    def stages_follow_each_other(self) -> "Recipe":
        seen: set[str] = set()
        for name, stage in self.stages.items():
            if stage.phase is None:
                raise ValueError(f"stages.{name}.phase: missing; say which it is: {', '.join(STAGE_NOTEBOOKS)}")
            if stage.data.pseudo in seen and self.stages[stage.data.pseudo or ""].pseudo is None:
                raise ValueError(
                    f"stages.{name}.data.pseudo: {stage.data.pseudo} gives no pseudo labels; say `pseudo` there"
                )
            named = {"init_from": stage.init_from, "teacher": stage.teacher, "data.pseudo": stage.data.pseudo}
            for role, parent in {**named, "expert.stage": stage.expert and stage.expert.stage}.items():
                if parent is not None and parent not in seen:
                    raise ValueError(
                        f"stages.{name}.{role}: {parent!r} is not an earlier stage; earlier: {sorted(seen) or 'none'}"
                    )
            seen.add(name)
        return self
