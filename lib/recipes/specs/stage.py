"""One stage of training: its data and split, objectives, optimizer, tricks and evaluation; and what all specs share."""

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lib.recipes.errors import nearest

# What recipes call the corpora they are made for; a scale says which corpus each is.
CorpusName = Literal["aiac2021", "wechat2022", "wechat2022_pictures"]


class Spec(BaseModel):
    """Frozen, and without keys that nobody reads; ``folder`` is where the files of a kind lie in ``params/``."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    folder: ClassVar[str] = "."

    @model_validator(mode="before")
    @classmethod
    def keys_are_known(cls, tree: Any) -> Any:
        for key in tree if isinstance(tree, dict) else ():
            if key not in cls.model_fields:
                raise ValueError(f"{key}: unknown key; {nearest(key, cls.model_fields)}")
        return tree


class Component(BaseModel):
    """``use`` names a class that the slot's ``__init__.py`` imports; everything else are its keyword arguments."""

    model_config = ConfigDict(extra="allow", frozen=True)
    use: str

    @property
    def arguments(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class ObjectiveSpec(Component):
    """One term of a loss: a class of ``lib.objectives``, its arguments, its weight in the sum."""

    weight: float = 1.0  # 0.0 skips the term: neither computed nor allowed to corrupt the input


class SplitSpec(Spec):
    """Which labelled items are held out.

    pairs: ``both_mod_k`` (published: both ids = fold mod k), ``strict_mod_k`` (the same validation pairs, and no training
    pair touches one of their residues), ``thinned_mod_k`` (the same again, and as few training pairs, but left out at
    random), ``components``; in folds, as AIAC rank 6: ``kfold_rows`` (shuffled pairs, whatever
    they share) or ``kfold_components`` (no video in two folds). classes: ``random`` (official 10 %), ``stratified``
    (scikit-learn's StratifiedKFold, shuffled).
    """

    use: Literal[
        "both_mod_k", "strict_mod_k", "thinned_mod_k", "components", "kfold_rows", "kfold_components",
        "random", "stratified", "none",
    ] = "none"  # fmt: skip
    k: int = Field(default=5, ge=2)
    fold: int = Field(default=0, ge=0)
    seed: int = 2022

    @model_validator(mode="after")
    def fold_exists(self) -> "SplitSpec":
        if self.use != "none" and self.fold >= self.k:
            raise ValueError(f"fold: folds of k = {self.k} are 0 to {self.k - 1}, got {self.fold}")
        return self

    @property
    def in_folds(self) -> bool:
        """Its folds together hold out every item exactly once."""
        return self.use in ("kfold_rows", "kfold_components", "stratified")


class PseudoSpec(Component):
    """A rule of ``lib.evaluation`` that gives videos without category one, from what the models of the stage ``init_from``
    say of them; the mean of several ``arms`` where these are named. Such a stage trains nothing, and takes what it leaves
    out from that stage."""

    arms: tuple[str, ...] = ()


class ExpertSpec(Component):
    """How a second model's opinion is mixed in (a class of ``lib.evaluation``), and the stage whose model it is."""

    stage: str


class DataSpec(Spec):
    """What a stage learns from, and what is held out: items, targets, batches and how long. ``batch_size`` counts items
    (videos or pairs), ``epochs`` passes over the training items, ``min_steps`` updates without the repeats of
    ``resample``, ``limit`` training items."""

    parts: tuple[str, ...] = ()  # videos of these parts; empty = all that carry what the stage needs
    items: Literal["videos", "pairs"] = "videos"
    split: SplitSpec = SplitSpec()
    # pairs kept from training and from selection, to be scored on; ``split`` cuts the rest
    hold: SplitSpec | None = None
    pseudo: str | None = None  # stage whose pseudo labels are learnt too: added to the labelled videos, or soft targets
    frames: tuple[int, ...] = ()  # most frames of a video in this stage; of several one for each batch; else features'
    tail: int = Field(0, ge=0)  # only categories with fewer videos, and as many other videos at random
    fill: int = Field(0, ge=0)  # smaller categories are drawn from, with replacement, until they have so many videos
    unlabeled: bool = False  # pretraining: also videos whose tags or category are unknown
    # rank_all ranks with the validation labels in sight (quirk A7-8)
    target: Literal["raw", "rank", "rank_all"] = "raw"
    batch_size: int = Field(ge=1)
    epochs: float = Field(ge=0)  # 0, with a soup only: nothing is trained
    min_steps: int = Field(0, ge=0)  # a small corpus is gone over more often, until there are so many updates
    bucket: bool = True  # batches of similar length: less padding
    order: Literal["shuffle", "parts"] = "shuffle"  # parts: one part after the other inside each epoch
    order_seed: int = Field(0, ge=0)  # added to the run's seed for the order: the same items in another one
    limit: int | None = Field(None, ge=1)
    resample: tuple[tuple[int, int], ...] = ()  # categories below this size are seen so often: [[100, 5], [500, 3]]
    # repeats and pseudo-labelled videos come on top, as published, or in place of other updates: epochs and min_steps then
    # count each labelled video once
    resample_steps: Literal["more", "same"] = "more"
    resample_counts: Literal["train", "all"] = "train"  # all counts validation videos too (quirk R15)

    @field_validator("frames", mode="before")
    @classmethod
    def one_number(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int) else value

    @field_validator("resample")
    @classmethod
    def table_ascends(cls, value: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        sizes = [size for size, _ in value]
        if sizes != sorted(set(sizes)) or any(size < 1 or times < 1 for size, times in value):
            raise ValueError(f"wants pairs of ascending category sizes and how often, both at least 1; got {value}")
        return value


class LearningRate(Spec):
    """Peak rates: of the pretrained backbone, and of everything else. One number in YAML is both."""

    backbone: float = Field(gt=0)
    rest: float = Field(gt=0)


class OptimizerSpec(Spec):
    """AdamW (Loshchilov and Hutter 2019), Adam, or BERT's own Adam without bias correction (``lib.training.optimizers``).

    ``lr`` are the rates at the top of the schedule, of pretrained parts and of the rest; ``weight_decay`` is per unit of
    rate.
    """

    use: Literal["AdamW", "Adam", "BertAdam"] = "AdamW"
    lr: LearningRate
    weight_decay: float = Field(0.01, ge=0)
    eps: float = 1e-6
    # regular expressions of names: rates from half to whole, evenly in ratio (rank 6)
    layer_groups: tuple[str, ...] = ()
    no_decay: Literal["vectors", "names"] = "vectors"  # what never decays (``lib.training.optimizers``)
    tensor_norm: float | None = Field(1.0, gt=0)  # BertAdam only: limit of each tensor's gradient; null: no clipping

    @field_validator("lr", mode="before")
    @classmethod
    def one_rate_for_all(cls, value: Any) -> Any:
        return {"backbone": value, "rest": value} if isinstance(value, int | float | str) else value


class EmaSpec(Spec):
    """Exponential moving average of the weights (``lib.training.averaging``)."""

    decay: float = Field(0.999, ge=0, lt=1)
    # share of the run's updates that the average reaches back over: decay = 1 - 1 / (horizon * updates); null: as ``decay``
    horizon: float | None = Field(None, gt=0, le=1)
    correction: Literal["bias", "none"] = "bias"  # none: the initial weights stay part of it (quirk R21)

    def decay_of(self, steps: int) -> float:
        """The decay of a run of so many updates."""
        return self.decay if self.horizon is None else max(0.0, 1 - 1 / (self.horizon * steps))


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
    mean_of: int = Field(1, ge=1)  # the weights kept are the mean of so many of the best checkpoints
    postprocess: tuple[Component, ...] = ()  # what is done to the logits of categories before they are judged and kept
    limit: int | None = Field(None, ge=1)  # validation videos (the original looked at the first 10,112)


class StageSpec(Spec):
    """One training: where its weights come from, its data, loss, optimizer and tricks, and how a checkpoint is chosen.
    Whatever is left out is off. ``max_grad_norm`` is the L2 norm over all parameters; ``schedule`` and ``adversarial``
    are components of ``lib.training``, ``objectives`` those of ``lib.objectives`` under names of one's own."""

    phase: Literal["pretrain", "finetune", "distill"] | None = None  # its notebook; null: the stage's own name is one
    init_from: str | None = None  # stage whose weights this one starts from
    soup: SoupSpec | None = None  # of several runs of it
    teacher: str | None = None  # stage whose run gives soft targets
    # which folds of it: this one, all, the one that has not seen a pair
    teacher_folds: Literal["same", "mean", "oof"] = "same"
    expert: ExpertSpec | None = None  # joins in whenever the stage's model is judged or predicts
    pseudo: PseudoSpec | None = None  # the stage gives videos without category one
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
    def possible(self) -> "StageSpec":
        data, evaluation, split = self.data, self.evaluation, self.data.split.use
        trains = self.soup is None and self.pseudo is None
        rules = {
            "objectives: every weight is 0, nothing would be trained; give one a positive weight": not any(o.weight > 0 for o in self.objectives.values()),
            "reload_best_each_epoch: needs evaluation.keep: best, but keep is 'last'": self.reload_best_each_epoch and evaluation.keep == "last",
            "soup: the stage needs init_from, whose runs are averaged, and no freeze": self.soup is not None and (self.init_from is None or bool(self.freeze)),
            "data.epochs: 0 is for a stage that is a soup and has no min_steps; give it at least one": not data.epochs and (trains or data.min_steps > 0),
            "pseudo: the stage needs init_from, a stage that learnt categories, whose models it asks": self.pseudo is not None and (self.init_from is None or data.unlabeled),
            "evaluation.mean_of: is of the best checkpoints, but keep is 'last'": evaluation.mean_of > 1 and evaluation.keep == "last",
            "swa: the stage has an ema already, and one average is kept; set ema: null or swa: null": self.ema is not None and self.swa is not None,
            f"evaluation.postprocess: changes the logits of categories, but the stage selects by {evaluation.select}; leave it out, or select: mean_f1": bool(evaluation.postprocess) and evaluation.select != "mean_f1",
            f"data.split.use: {split} splits videos; pairs need both_mod_k, strict_mod_k or components": data.items == "pairs" and split in ("random", "stratified"),
            f"teacher_folds: {self.teacher_folds} needs folds, but data.split.use is {split}; use kfold_rows or kfold_components": self.teacher_folds != "same" and split not in ("kfold_rows", "kfold_components"),
            f"data.target: {data.target} transforms pair scores, but data.items is videos": data.items == "videos" and data.target != "raw",
        }  # fmt: skip
        for what, broken in rules.items():
            if broken:
                raise ValueError(what)
        return self
