"""How big (scales) and on what (corpora and their feature sets)."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from lib.recipes.specs.stage import CorpusName, Spec


class DeviceSpec(Spec):
    """How the steps of a scale run on their device: memory, speed and safety. What is learned changes in rounding alone;
    but losses that compare the items of a batch see fewer of them where ``accumulate`` cuts it."""

    accumulate: int = Field(default=1, ge=1)  # parts of a batch that go through the model in turn, for one update
    checkpointing: bool = False  # layers of transformers run again in the backward pass: memory for a third more time
    compile: bool = False  # layers of transformers by torch.compile, once for all lengths
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # of training; auto: bfloat16 on a GPU that has it
    scoring: Literal["trained", "float32", "bfloat16", "float16"] = "trained"  # of judging and predicting
    ahead: int | None = Field(default=None, ge=0)  # batches prepared in advance; null: two for a GPU, none on a CPU
    save_minutes: float = Field(default=0, ge=0)  # between checkpoints; 0: so that saving costs about 5 %
    gpus: int = Field(default=1, ge=1)  # of a training job, each with a process and its share of every batch
    card: str = ""  # the GPU that a plan reckons with; empty: none

    @property
    def bits(self) -> dict[str, Any]:
        """What other bits come of, where it is not the default."""
        return self.model_dump(exclude_defaults=True, exclude={"ahead", "save_minutes", "gpus", "card"})


class Scale(Spec):
    """How big, not what: a scale replaces names and limits; it never changes an objective, a weight or a trick."""

    folder: ClassVar[str] = "scales"
    about: str
    like: str | None = Field(None, exclude=True)  # another scale: what this one does not say is as there
    corpora: dict[CorpusName, str]  # what a recipe calls its corpus -> corpus
    # replaces every pretrained name, and the size of what starts from random weights; null keeps the recipe's
    backbone: str | None = None
    tokenizer: str | None = None  # "corpus" builds a character vocabulary from the corpus; null keeps the recipe's
    # the same for a user's corpus, which need not speak the language of the generated ones; null: no other
    own_backbone: str | None = None
    own_tokenizer: str | None = None
    encoder: str | None = None  # replaces the encoder of every image set; null keeps the set's
    pictures: str = "pixels_small"  # set of images for a user's corpus that has pictures and no frame features
    word_dim: int | None = Field(None, ge=4)  # replaces the width of word vectors, tag profile included
    seeds: tuple[int, ...] = (0,)
    most_seeds: int = Field(1, ge=1)  # of a question that asks for more than ``seeds``
    more_seeds: dict[str, Annotated[int, Field(ge=1)]] = {}  # question -> seeds, in place of those that it asks for
    folds: Literal["one", "per_seed"] = "one"  # per_seed: seed s validates on fold s, where a split has several
    questions: tuple[str, ...] = ()  # those of the report that make sense here; empty: all
    checks: tuple[str, ...] = ()  # questions with a known answer, asked beside those of the report
    # recipe -> dotted paths, only those of SCALE_MAY_SET; all of the scale that this one is like are laid first
    overrides: dict[str, dict[str, Any]] = {}
    expected_seconds: dict[str, float] = {}  # of a step, before there are timings: finetune, or finetune/wechat_rank1
    threads: int = Field(1, ge=1)  # part of the scale: another thread count gives other bits
    device: DeviceSpec = DeviceSpec()
    banner: str = ""


# What a scale may set, as the last parts of a dotted path: sizes, budgets and the step size that goes with them.
# Besides, whether frames come from pictures: small corpora have them where a large one has only features.
SCALE_MAY_SET = (
    "corpus", "features.frames.set", "features.text.length", "features.frames.length", "data.batch_size", "data.epochs",
    "data.min_steps", "data.limit", "data.resample", "data.split.k", "data.split.use", "data.hold.k", "optimizer.lr",
    "optimizer.lr.backbone", "optimizer.lr.rest", "evaluation.every", "evaluation.limit", "model.frames.clusters",
    "model.frames.output_dim", "model.frames.groups", "model.frames.expansion", "model.fusion.output_dim",
    "model.head.dim", "model.text.dim", "model.frames.dim", "model.text.output_dim", "model.fusion.width",
    "model.fusion.channels", "model.frames.depth", "model.frames.heads", "model.frames.head_dim", "model.frames.ffn",
    "model.fusion.depth", "model.fusion.heads", "model.fusion.ffn", "objectives.tags.prior", "rewind.window",
    "ema.horizon", "data.frames", "data.fill", "data.tail", "expert.below", "pseudo.up_to", "pseudo.cap",
    "pseudo.confidence", "pseudo.threshold",
    "model.pooling.width", "model.pooling.clusters", "model.pooling.nextvlad_width", "objectives.caption.depth",
)  # fmt: skip


class CorpusSpec(Spec):
    """A corpus by name: how its official files come to be, or where they lie."""

    folder: ClassVar[str] = "corpora"
    about: str
    track: Literal["pairs", "classes"]
    generate: dict[str, dict[str, Any]] = {}  # scale -> arguments of the twin generator
    code: tuple[str, ...] = ()  # modules that generate it: a change in them makes another corpus
    source: str | None = None  # folder of official files that the user provides
    format: str | None = None
    # published, to plan with before they are here
    items: dict[Literal["videos", "pairs", "labelled"], int] = Field({}, exclude=True)

    @model_validator(mode="after")
    def generator_is_named(self) -> "CorpusSpec":
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

    def narrowed(self, width: int) -> "WordVectorSpec":
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
    def possible(self) -> "ImagesSpec":
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
    """A feature set of a corpus, built once by ``01_features``. Text (Tokens, Words), frames from pixels (Images), or
    the corpus' own frame features made smaller (Projected)."""

    folder: ClassVar[str] = "features"
    about: str
    use: Literal["Tokens", "Words", "Images", "Projected"]
    tokenizer: str = ""  # "corpus", a pretrained tokenizer's name or local path, or, for words, jieba
    vectors: WordVectorSpec | None = None  # words only
    images: ImagesSpec | None = None  # images only
    dim: int | None = Field(None, ge=1)  # projected frames only: numbers a frame
    fields: tuple[Literal["title", "asr", "ocr"], ...] = ("title", "asr", "ocr")
    min_count: int = Field(1, ge=1)  # corpus vocabulary: rarer characters become [UNK]
    max_characters: int = Field(512, ge=1)  # per field; longer text is cut before it is tokenized
    rules: FieldRules | None = None  # tokens only
    word_min_count: int | None = Field(None, ge=1)  # tokens only: words that occur so often stay whole; null: none

    def arguments(self, model: str) -> dict[str, Any]:
        """Arguments of ``build`` in the module of ``lib.features`` that the set names, made with that tokenizer or encoder."""
        if self.dim is not None:
            return {"dim": self.dim}
        if self.images is not None:
            sizes = {"batch_size": self.images.batch_size, "shard": self.images.shard}
            return {"pictures": self.images.pictures, "encoder": self.images.encoding(model), **sizes}
        text = self.model_dump(include={"min_count", "max_characters"})
        if self.vectors is not None:
            return text | {"vectors": self.vectors.model_dump()}
        words = {} if self.word_min_count is None else {"word_min_count": self.word_min_count}
        return text | self.model_dump(include={"fields", "rules"}) | {"tokenizer": model} | words

    @model_validator(mode="after")
    def has_what_it_needs(self) -> "FeatureSet":
        if (self.use == "Images") != (self.images is not None):
            raise ValueError("images: a set with use: Images needs {encoder: ..., ...}, and no other set takes it")
        if (self.use == "Projected") != (self.dim is not None):
            raise ValueError("dim: a set with use: Projected needs it, and no other set takes it")
        if (self.use in ("Tokens", "Words")) != bool(self.tokenizer):
            raise ValueError("tokenizer: sets of text need one, sets of frames take none")
        return self
