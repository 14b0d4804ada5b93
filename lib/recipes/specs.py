"""The skeleton of everything in ``params/`` as frozen pydantic models: unknown keys and wrong types are errors.

Components (``{use: Class, ...}``) keep their arguments as they are here; their own signatures check them when they are
bound (``lib.recipes.bind``), so no argument is declared twice. ``folder`` is where the files of a kind lie in ``params/``.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

# What recipes call the corpora they are made for; a scale says which corpus each is.
CorpusName = Literal["aiac2021", "aiac2021_planted", "wechat2022", "wechat2022_pictures"]


class Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    folder: ClassVar[str] = "."


class Component(BaseModel):
    """``use`` names a class that the slot's ``__init__.py`` imports; everything else are its keyword arguments."""

    model_config = ConfigDict(extra="allow", frozen=True)
    use: str

    @property
    def arguments(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class ObjectiveSpec(Component):
    weight: float = 1.0  # 0.0 skips the term: neither computed nor allowed to corrupt the input


class SplitSpec(Spec):
    """Which labelled items are held out.

    pairs: ``both_mod_k`` (published: both ids = fold mod k), ``strict_mod_k`` (the same validation pairs, and no training
    pair touches one of their residues), ``components``; in folds, as AIAC rank 6: ``kfold_rows`` (shuffled pairs, whatever
    they share) or ``kfold_components`` (no video in two folds). classes: ``random`` (official 10 %), ``stratified``
    (scikit-learn's StratifiedKFold, shuffled).
    """

    use: Literal[
        "both_mod_k", "strict_mod_k", "components", "kfold_rows", "kfold_components", "random", "stratified", "none"
    ] = "none"
    k: int = Field(default=5, ge=2)
    fold: int = Field(default=0, ge=0)
    seed: int = 2022

    @model_validator(mode="after")
    def fold_exists(self) -> SplitSpec:
        if self.use != "none" and self.fold >= self.k:
            raise ValueError(f"fold: folds of k = {self.k} are 0 to {self.k - 1}, got {self.fold}")
        return self

    @property
    def in_folds(self) -> bool:
        """Its folds together hold out every item exactly once."""
        return self.use in ("kfold_rows", "kfold_components", "stratified")


class DataSpec(Spec):
    """What a stage learns from, and what is held out: items, targets, batches and how long.

    ``batch_size`` counts items (videos or pairs), ``epochs`` passes over the training items, ``min_steps`` updates,
    ``limit`` training items.
    """

    parts: tuple[str, ...] = ()  # videos of these parts; empty = all that carry what the stage needs
    items: Literal["videos", "pairs"] = "videos"
    split: SplitSpec = SplitSpec()
    # pairs kept from training and from selection, to be scored on; ``split`` cuts the rest
    hold: SplitSpec | None = None
    unlabeled: bool = False  # pretraining: also videos whose tags or category are unknown
    # rank_all ranks with the validation labels in sight (quirk A7-8)
    target: Literal["raw", "rank", "rank_all"] = "raw"
    batch_size: int = Field(ge=1)
    epochs: float = Field(ge=0)  # 0, with a soup only: nothing is trained
    min_steps: int = Field(0, ge=0)  # a small corpus is gone over more often, until there are so many updates
    bucket: bool = True  # batches of similar length: less padding
    order: Literal["shuffle", "parts"] = "shuffle"  # parts: one part after the other inside each epoch
    limit: int | None = Field(None, ge=1)
    resample: tuple[tuple[int, int], ...] = ()  # categories below this size are seen so often: [[100, 5], [500, 3]]
    resample_counts: Literal["train", "all"] = "train"  # all counts validation videos too (quirk R15)

    @field_validator("resample")
    @classmethod
    def table_ascends(cls, value: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        sizes = [size for size, _ in value]
        if sizes != sorted(set(sizes)) or any(size < 1 or times < 1 for size, times in value):
            raise ValueError(f"wants pairs of ascending category sizes and how often, both at least 1; got {value}")
        return value


class LearningRate(Spec):
    backbone: float = Field(gt=0)
    rest: float = Field(gt=0)


class OptimizerSpec(Spec):
    """AdamW (Loshchilov and Hutter 2019), Adam, or BERT's own Adam without bias correction (``lib.training.bert_adam``).

    ``lr`` are the rates at the top of the schedule, of pretrained parts and of the rest; ``weight_decay`` is per unit of
    rate; ``layer_decay`` multiplies the rate once for every layer further from the output.
    """

    use: Literal["AdamW", "Adam", "BertAdam"] = "AdamW"
    lr: LearningRate
    weight_decay: float = Field(0.01, ge=0)
    eps: float = 1e-6
    betas: tuple[float, float] = (0.9, 0.999)
    layer_decay: float = Field(1.0, gt=0, le=1)
    # regular expressions of names: rates from half to whole, evenly in ratio (rank 6)
    layer_groups: tuple[str, ...] = ()
    no_decay: Literal["vectors", "names"] = "vectors"  # what never decays (``lib.training.optimizers``)
    tensor_norm: float | None = Field(1.0, gt=0)  # BertAdam only: limit of each tensor's gradient; null: no clipping

    @field_validator("lr", mode="before")
    @classmethod
    def one_rate_for_all(cls, value: Any) -> Any:
        return {"backbone": value, "rest": value} if isinstance(value, int | float | str) else value


class EmaSpec(Spec):
    decay: float = Field(0.999, ge=0, lt=1)


class SwaSpec(Spec):
    """Stochastic weight averaging: the mean of the weights over the last part of the run."""

    start: float = Field(0.75, ge=0, lt=1)  # share of the run after which averaging begins
    every: int = Field(0, ge=0)  # updates between two members; 0 = once an epoch
    lr_factor: float | None = Field(None, gt=0)  # of the base rates, held constant from there on; null = the schedule's
    buffers: bool = False  # average BatchNorm's statistics too; false leaves those of the live weights


class SoupSpec(Spec):
    """Model soup: the mean weights of several runs of the stage it starts from, whose seeds are ``SEEDS_APART`` apart."""

    runs: int = Field(3, ge=2)
    kind: Literal["uniform", "greedy"] = "uniform"  # greedy: from the best run down, those that do not lower the score


class RewindSpec(Spec):
    """Divergence: loss above ``factor`` times its best running median for ``patience`` steps, or not finite."""

    factor: float = Field(default=3.0, gt=1)
    window: int = Field(default=50, ge=2)
    patience: int = Field(default=5, ge=1)
    max_rewinds: int = Field(default=3, ge=0)


class EvaluationSpec(Spec):
    """How a checkpoint is chosen: metric, how often, best or last; and what is done to its logits."""

    select: str  # metric that picks the best checkpoint: spearman, mse, mean_f1, tag_loss, loss (of all objectives)
    every: int = Field(0, ge=0)  # steps; 0 = once an epoch
    keep: Literal["best", "last"] = "best"
    postprocess: tuple[Component, ...] = ()  # what is done to the logits of categories before they are judged and kept
    limit: int | None = Field(None, ge=1)  # validation videos (the original looked at the first 10,112)


class StageSpec(Spec):
    """One training: where its weights come from, its data, loss, optimizer and tricks, and how a checkpoint is chosen.

    Whatever is left out is off. ``max_grad_norm`` is the L2 norm over all parameters; ``schedule`` and ``adversarial`` are
    components of ``lib.training``, ``objectives`` those of ``lib.objectives`` under names of one's own.
    """

    phase: Literal["pretrain", "finetune", "distill"] | None = None  # its notebook; null: the stage's own name is one
    init_from: str | None = None  # stage whose weights this one starts from
    soup: SoupSpec | None = None  # of several runs of it
    teacher: str | None = None  # stage whose run gives soft targets
    # which folds of it: this one, all, the one that has not seen a pair
    teacher_folds: Literal["same", "mean", "oof"] = "same"
    on_demand: bool = False  # trained only where another stage needs it
    data: DataSpec
    objectives: dict[str, ObjectiveSpec]
    optimizer: OptimizerSpec
    schedule: Component
    max_grad_norm: float | None = 1.0  # over all parameters; BertAdam clips each tensor by itself besides (tensor_norm)
    freeze: tuple[str, ...] = ()  # slots or dotted parts of the model that do not train (``text``, ``frames.layers.0``)
    freeze_mode: Literal["eval", "train"] = "eval"  # train: their dropout stays active (quirk C7-4)
    ema: EmaSpec | None = None
    swa: SwaSpec | None = None
    adversarial: Component | None = None
    rewind: RewindSpec | None = RewindSpec()
    reload_best_each_epoch: bool = False  # quirk A7-5
    evaluation: EvaluationSpec
    seed: int | None = None  # fixed seed of the original; None = the job's

    @model_validator(mode="after")
    def possible(self) -> StageSpec:
        if not any(objective.weight > 0 for objective in self.objectives.values()):
            raise ValueError("objectives: every weight is 0, nothing would be trained; give one a positive weight")
        if self.reload_best_each_epoch and self.evaluation.keep == "last":
            raise ValueError("reload_best_each_epoch: needs evaluation.keep: best, but keep is 'last'")
        if self.soup is not None and (self.init_from is None or self.freeze):
            raise ValueError("soup: the stage needs init_from, whose runs are averaged, and no freeze")
        if not self.data.epochs and (self.soup is None or self.data.min_steps):
            raise ValueError("data.epochs: 0 is for a stage that is a soup and has no min_steps; give it at least one")
        if self.ema is not None and self.swa is not None:
            raise ValueError("swa: the stage has an ema already, and one average is kept; set ema: null or swa: null")
        if self.evaluation.postprocess and self.evaluation.select != "mean_f1":
            raise ValueError(
                f"evaluation.postprocess: changes the logits of categories, but the stage selects by "
                f"{self.evaluation.select}; leave it out, or select: mean_f1"
            )
        if self.data.items == "pairs" and self.data.split.use in ("random", "stratified"):
            raise ValueError(
                f"data.split.use: {self.data.split.use} splits videos; pairs need both_mod_k, strict_mod_k or components"
            )
        if self.teacher_folds != "same" and self.data.split.use not in ("kfold_rows", "kfold_components"):
            raise ValueError(
                f"teacher_folds: {self.teacher_folds} needs folds, but data.split.use is {self.data.split.use}; use kfold_rows or kfold_components"
            )
        if self.data.items == "videos" and self.data.target != "raw":
            raise ValueError(f"data.target: {self.data.target} transforms pair scores, but data.items is videos")
        return self


class Origin(Spec):
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


STAGE_NOTEBOOKS = {
    "pretrain": "notebooks/02_pretrain.ipynb",
    "finetune": "notebooks/03_finetune.ipynb",
    "distill": "notebooks/04_distill.ipynb",
}
TRACKS: dict[CorpusName, Literal["pairs", "classes"]] = {
    "aiac2021": "pairs",
    "aiac2021_planted": "pairs",
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
    variants: dict[str, dict[str, Any]] = {}
    members: dict[str, str] = {}  # variants that are models of the system, not switches: name -> title
    submission: SubmissionSpec = SubmissionSpec()
    quirks: tuple[Quirk, ...] = ()
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
        return {**tree, "stages": named}

    @model_validator(mode="after")
    def members_are_variants(self) -> Recipe:
        for name in self.members:
            if name not in self.variants:
                raise ValueError(f"members.{name}: not a variant; variants: {', '.join(self.variants) or 'none'}")
        return self

    @model_validator(mode="after")
    def stages_follow_each_other(self) -> Recipe:
        seen: set[str] = set()
        for name, stage in self.stages.items():
            if stage.phase is None:
                raise ValueError(f"stages.{name}.phase: missing; say which it is: {', '.join(STAGE_NOTEBOOKS)}")
            for role in ("init_from", "teacher"):
                parent = getattr(stage, role)
                if parent is not None and parent not in seen:
                    raise ValueError(
                        f"stages.{name}.{role}: {parent!r} is not an earlier stage; earlier: {sorted(seen) or 'none'}"
                    )
            seen.add(name)
        return self


class Scale(Spec):
    """How big, not what: a scale replaces names and limits; it never changes an objective, a weight or a trick."""

    folder: ClassVar[str] = "scales"
    about: str
    corpora: dict[CorpusName, str]  # what a recipe calls its corpus -> corpus
    backbone: str | None = None  # replaces every pretrained name; null keeps the recipe's
    tokenizer: str | None = None  # "corpus" builds a character vocabulary from the corpus; null keeps the recipe's
    encoder: str | None = None  # replaces the encoder of every image set; null keeps the set's
    pictures: str = "pixels_small"  # set of images for a user's corpus that has pictures and no frame features
    word_dim: int | None = Field(None, ge=4)  # replaces the width of word vectors, tag profile included
    seeds: tuple[int, ...] = (0,)
    headline_seeds: tuple[int, ...] = ()  # of the report's headline questions; empty for ``seeds``
    checks: tuple[str, ...] = ()  # questions with a known answer, asked beside those of the report
    member_seeds: int = Field(1, ge=1)  # how many of them for the further models of a system
    overrides: dict[str, dict[str, Any]] = {}  # recipe -> dotted paths; only those of SCALE_MAY_SET
    expected_seconds: dict[str, float] = {}  # per rule, before there are timings
    threads: int = Field(1, ge=1)  # part of the scale: another thread count gives other bits
    banner: str = ""


# What a scale may set, as the last parts of a dotted path: sizes, budgets and the step size that goes with them.
# Besides, whether frames come from pictures: small corpora have them where a large one has only features.
SCALE_MAY_SET = (
    "corpus",
    "features.frames.set",
    "features.text.length",
    "features.frames.length",
    "data.batch_size",
    "data.epochs",
    "data.min_steps",
    "data.limit",
    "data.resample",
    "data.split.k",
    "data.split.use",
    "data.hold.k",
    "optimizer.lr",
    "optimizer.lr.backbone",
    "optimizer.lr.rest",
    "evaluation.every",
    "evaluation.limit",
    "model.frames.clusters",
    "model.frames.output_dim",
    "model.frames.groups",
    "model.frames.expansion",
    "model.fusion.output_dim",
    "model.head.dim",
    "model.text.dim",
    "model.frames.dim",
    "model.text.output_dim",
    "model.fusion.width",
    "model.fusion.channels",
    "model.frames.depth",
    "model.frames.heads",
    "model.frames.head_dim",
    "model.frames.ffn",
    "model.fusion.depth",
    "model.fusion.heads",
    "model.fusion.ffn",
    "rewind.window",
    "ema.decay",
)


class CorpusSpec(Spec):
    """A corpus by name: how its official files come to be, or where they lie."""

    folder: ClassVar[str] = "corpora"
    about: str
    track: Literal["pairs", "classes"]
    generate: dict[str, dict[str, Any]] = {}  # scale -> arguments of the twin generator
    code: tuple[str, ...] = ()  # modules that generate it: a change in them makes another corpus
    source: str | None = None  # folder of official files that the user provides
    format: str | None = None

    @model_validator(mode="after")
    def generator_is_named(self) -> CorpusSpec:
        if bool(self.generate) != bool(self.code):
            raise ValueError("code: names the modules that generate the corpus, and only a generated corpus has them")
        return self


class WordVectorSpec(Spec):
    """Skip-gram vectors of a corpus' own words, as AIAC rank 6 trained them."""

    dim: int = Field(300, ge=2)
    window: int = Field(30, ge=1)
    negative: int = Field(5, ge=1)
    epochs: int = Field(8, ge=1)
    seed: int = 2020
    tag_dim: int = Field(0, ge=0)  # further numbers per word: its tag profile P(tag | word), reduced

    def narrowed(self, width: int) -> WordVectorSpec:
        """Together ``width`` numbers per word, in the same proportion."""
        tags = round(width * self.tag_dim / (self.dim + self.tag_dim))
        return self.model_copy(update={"dim": width - tags, "tag_dim": tags})


class ImagesSpec(Spec):
    """How pictures become frame features (``lib.features.images``, ``lib.features.encoders``)."""

    encoder: str = Field(min_length=1)  # timm name, random-<timm name>, transformers name, or the folder of either
    weights: str | None = None  # local file of weights for a timm name, instead of those timm would fetch
    output: Literal["pooled", "projected"] = "pooled"  # projected: CLIP's space shared with text
    size: int = Field(224, ge=8)  # pixels of a side the encoder sees
    resize: int | None = Field(None, ge=8)  # of the shorter side before the crop; null = ``size``
    crop: Literal["centre", "squash"] = "centre"  # squash: both sides to ``size``, nothing cut off
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    # JPEG decoded at 1/2, 1/4 or 1/8 where that is still large enough: faster, slightly other pixels
    draft: bool = False
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    length: int = Field(32, ge=1)  # most pictures of a video
    sample: Literal["linspace_round", "bin_centre", "segment_centre", "floor_step", "head"] = "head"
    batch_size: int = Field(64, ge=1)
    # of the forward pass; features are kept as float16
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    shard: int = Field(64, ge=1)  # videos between two points that a killed build goes on from
    seed: int = 0  # of random encoders

    @property
    def pictures(self) -> dict[str, Any]:
        """Arguments of ``lib.features.pictures.Pictures``."""
        return self.model_dump(include={"length", "sample", "size", "resize", "crop", "interpolation", "draft", "mean"})

    def encoding(self, name: str = "") -> dict[str, Any]:
        """Arguments of ``lib.features.encoders.ImageEncoder``; under another name, its own weights and pooled output."""
        names = {"encoder", "weights", "output", "size", "mean", "std", "precision", "seed"}
        own = {"encoder": name, "weights": None, "output": "pooled"} if name not in ("", self.encoder) else {}
        return self.model_dump(include=names) | own

    @model_validator(mode="after")
    def possible(self) -> ImagesSpec:
        if self.resize is not None and self.crop == "squash":
            raise ValueError("resize: squash brings both sides to size; leave resize out or set crop: centre")
        if self.resize is not None and self.resize < self.size:
            raise ValueError(f"resize: {self.resize} is less than size {self.size}; the crop would leave the picture")
        if min(self.std) <= 0:
            raise ValueError(f"std: {self.std} has a number that is not positive")
        return self


class FieldRules(Spec):
    """What happens to the fields of a video before they are cut into tokens (``lib.features.fields``)."""

    fillers: str = ""  # runs of three or more of one of these characters leave the ASR
    keywords: int = Field(0, ge=0)  # characters of title and of key words that make the title; 0: the title as it is
    shortest_title: int = Field(0, ge=0)  # shorter titles are dropped, key words and all (quirk R2)
    ends: int = Field(0, ge=0)  # characters kept of either end of a long field; 0: all up to ``max_characters``


class FeatureSet(Spec):
    """A feature set of a corpus, built once by ``01_features``: text (Tokens, Words) or frames from pixels (Images)."""

    folder: ClassVar[str] = "features"
    about: str
    use: Literal["Tokens", "Words", "Images"]
    tokenizer: str = ""  # "corpus", a pretrained tokenizer's name or local path, or, for words, jieba
    vectors: WordVectorSpec | None = None  # words only
    images: ImagesSpec | None = None  # images only
    fields: tuple[Literal["title", "asr", "ocr"], ...] = ("title", "asr", "ocr")
    min_count: int = Field(1, ge=1)  # corpus vocabulary: rarer characters become [UNK]
    max_characters: int = Field(512, ge=1)  # per field; longer text is cut before it is tokenized
    rules: FieldRules | None = None  # tokens only

    def arguments(self, model: str) -> dict[str, Any]:
        """Arguments of ``build`` in ``lib.features.tokens``, ``words`` or ``images``, made with that tokenizer or encoder."""
        if self.images is not None:
            sizes = {"batch_size": self.images.batch_size, "shard": self.images.shard}
            return {"pictures": self.images.pictures, "encoder": self.images.encoding(model), **sizes}
        text = self.model_dump(include={"min_count", "max_characters"})
        if self.vectors is not None:
            return text | {"vectors": self.vectors.model_dump()}
        return text | self.model_dump(include={"fields", "rules"}) | {"tokenizer": model}

    @model_validator(mode="after")
    def has_what_it_needs(self) -> FeatureSet:
        if (self.use == "Images") != (self.images is not None):
            raise ValueError("images: a set with use: Images needs {encoder: ..., ...}, and no other set takes it")
        if (self.use == "Images") == bool(self.tokenizer):
            raise ValueError("tokenizer: sets of text need one, sets of images take none")
        return self


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


class Ablation(Spec):
    """A question: arms (dotted path -> value) laid over the same recipes, compared with ``reference`` at ``stage``.

    File: ``params/ablations/<name>.yaml``. An arm is named ``<ablation>.<arm>`` elsewhere. ``discussion`` is written by hand
    for the numbers of ``discussion_digest``.
    """

    folder: ClassVar[str] = "ablations"
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
