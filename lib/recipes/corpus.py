"""What a corpus and its feature sets are made from, known before they exist."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.recipes.code_digest import code_digest, digest
from lib.recipes.errors import RecipeError, nearest
from lib.recipes.load import file_of, lineage, load
from lib.recipes.specs import CorpusSpec, FeatureSet, Scale
from lib.runs import backbones, paths
from lib.runs.files import read_object


@dataclass(frozen=True)
class CorpusRef:
    """A corpus at a scale: by name (``params/corpora``) or by the path of a store that exists. ``twin_pairs@3`` is the
    generated corpus ``twin_pairs`` with other videos, those of seed 3, in the same language: what a question is asked
    of again when it is to hold for more than one corpus. Its store lies beside that of ``twin_pairs``."""

    name: str
    scale: str

    @property
    def is_path(self) -> bool:
        return paths.is_path(self.name)

    @property
    def spec(self) -> CorpusSpec:
        """Of a corpus by name."""
        return load(CorpusSpec, self.name.partition("@")[0])

    @property
    def store(self) -> Path:
        return paths.store_path(self.name, self.scale)

    @property
    def label(self) -> str:
        return paths.corpus_label(self.name)

    @property
    def backbone(self) -> str | None:
        """What replaces the pretrained models of recipes here; None keeps them."""
        scale = load(Scale, self.scale)
        return (self.is_path and scale.own_backbone) or scale.backbone

    @property
    def manifest(self) -> Path:
        return self.store / "manifest.json"

    @property
    def track(self) -> str:
        """ "pairs" or "classes"."""
        return self._read_manifest()["track"] if self.is_path else self.spec.track

    @property
    def allows(self) -> dict[str, Any]:
        """Where frames must come from, and whether there are tags: what the recipes of a given corpus are made to fit."""
        tags = not self.is_path or self.track != "pairs" or bool(self._read_manifest().get("tags"))
        return {"frames": self.frames, "tags": tags}

    @property
    def counts(self) -> dict[str, Any]:
        """Videos, pairs and so on of a given store; empty for a corpus by name."""
        return self._read_manifest()["counts"] if self.is_path else {}

    @property
    def lacks(self) -> str:
        """What a given store would need for its labels to be learnt from; "" if nothing. All of its parts counted."""
        if not self.is_path:
            return ""
        if (parts := self.counts.get("parts")) and all(part.startswith("test") for part in parts):
            return "has videos of test parts only"
        if self.track == "classes":
            known = self._read_manifest()["categories"] or []
            return "" if len(known) > 1 else f"has one category ({known[0]})" if known else "has no categories"
        if not self.counts["pairs"]:
            return "has no pairs"
        return "has one score for all pairs" if self.counts.get("scores") == 1 else ""

    @property
    def frames(self) -> str:
        """Where frames must come from: ``given`` without pictures, the scale's set of pictures without features; "" for either.
        Files that a user provides are believed to have both."""
        if self.is_path:
            pictures, features = (self._read_manifest().get(name) for name in ("images", "frame_dim"))
        else:
            made = "both" if self.spec.source is not None else self.arguments.get("frames", "features")
            pictures, features = made != "features", made != "jpeg"
        return "given" if not pictures else "" if features else load(Scale, self.scale).pictures

    @property
    def has_pictures(self) -> bool:
        return self.frames != "given"

    @property
    def arguments(self) -> dict:
        """Arguments of the twin generator at this scale. Raises RecipeError: the corpus is not generated at this scale,
        or its seed is not a whole number."""
        (name, at, seed), known = self.name.partition("@"), self.spec.generate
        of_scale = [known[scale] for scale in lineage(self.scale) if scale in known]
        if not of_scale:
            raise RecipeError(
                f"{paths.shown(file_of(CorpusSpec, name))}: generate: nothing for scale {self.scale!r}; {nearest(self.scale, known)}"
            )
        if at and not seed.isdecimal():
            raise RecipeError(f"corpus {self.name}: what follows the @ is a seed, a whole number from 0 on")
        return of_scale[-1] | ({"seed": int(seed)} if at else {})

    @property
    def digest(self) -> str:
        """Content of a given store; recipe and code of a generated one."""
        if self.is_path:
            return digest(self._read_manifest()["fingerprint"])
        spec = self.spec
        if spec.source is not None:
            return digest([spec.source, spec.format])
        return digest([spec.track, self.arguments, code_digest(spec.code)])

    def _read_manifest(self) -> dict:
        if not self.manifest.exists():
            raise RecipeError(
                f"corpus {self.name}: no store there (no manifest.json); make one with: vidlab corpus import <folder> --out {paths.typed(self.name)}"
            )
        found = read_object(self.manifest, remedy := "import the corpus again")
        kinds = {"track": str, "fingerprint": str, "categories": (list, type(None)), "counts": dict}
        if wrong := [name for name, kind in kinds.items() if not isinstance(found.get(name, 0), kind)]:
            raise RecipeError(f"{paths.shown(self.manifest)}: {wrong[0]}: not as it was written; {remedy}")
        return found


@dataclass(frozen=True)
class FeatureRef:
    """One feature set of one corpus: where it lies and what it depends on."""

    corpus: CorpusRef
    name: str
    world: str  # corpus given by the user, or "" for the scale's own

    @property
    def spec(self) -> FeatureSet:
        """What the set is, at the corpus' scale, which may have narrower word vectors."""
        spec, width = load(FeatureSet, self.name), load(Scale, self.corpus.scale).word_dim
        if spec.vectors is None or width is None:
            return spec
        return spec.model_copy(update={"vectors": spec.vectors.narrowed(width)})

    @property
    def tokenizer(self) -> str:
        """Name of the tokenizer; for images, of the encoder: the model that makes the set, which a scale may replace."""
        spec, scale = load(FeatureSet, self.name), load(Scale, self.corpus.scale)
        if spec.images is not None:
            return scale.encoder or spec.images.encoder
        replaced = (self.corpus.is_path and scale.own_tokenizer) or scale.tokenizer
        return replaced or spec.tokenizer if spec.use == "Tokens" else spec.tokenizer

    @property
    def folder(self) -> Path:
        return paths.runs(self.corpus.scale, self.world) / "features" / self.corpus.label / self.name

    @property
    def digest(self) -> str:
        kept = self.spec.model_dump(mode="json", exclude={"about"}, exclude_none=True)
        code = code_digest([f"lib.features.{self.spec.use.lower()}"])
        return digest([kept, backbones.identity(self.tokenizer), self.corpus.digest, code])
