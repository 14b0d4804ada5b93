"""What a job reads: its corpus, tokens and frames; building them, and whether they and the runs it starts from are there."""

from dataclasses import dataclass

from lib.data.store import Store
from lib.features import images, projected, tokens, words
from lib.features.pictures import Pictures
from lib.features.sets import Frames, FrameSet, TokenSet, choose
from lib.recipes.corpus import FeatureRef
from lib.recipes.job import Job
from lib.runs.folder import MissingRun
from lib.runs.paths import shown
from lib.stages.build import Sizes


@dataclass(frozen=True)
class Inputs:
    """What a job reads, opened, and the sizes that its components are built to."""

    store: Store
    tokens: TokenSet
    visual: Frames | Pictures
    sizes: Sizes

    @classmethod
    def open(cls, job: Job) -> "Inputs":
        """Raises StoreError or ValueError: a file is not as it was written, or a set belongs to another corpus."""
        store, tokens = Store.open(job.corpus.store).verified(), TokenSet(job.tokens.folder)
        visual, manifest = frames_of(job, store), store.manifest
        counts = {"num_tags": len(manifest["tags"] or ()), "num_classes": len(manifest["categories"] or ())}
        return cls(store, tokens, visual, Sizes.of(tokens, frame_dim=visual.frame_dim, **counts))


def frames_of(job: Job, store: Store) -> Frames | Pictures:
    """Where the job's frames come from: the corpus, a set of features, or pictures for the model to encode. Raises
    ValueError: the corpus has nothing of that kind, or the set is another corpus'."""
    if job.frames is None:
        return choose(store, None)
    if job.spec.model.images is not None and (images := job.frames.spec.images) is not None:
        return Pictures(store, **images.pictures)
    return choose(store, job.frames.folder)


def build_features(store: Store, ref: FeatureRef, *, quarantine: bool = False) -> TokenSet | FrameSet:
    """Build a feature set of a corpus, or open it if one with its digest is there. ``quarantine``: images only; videos
    with a damaged picture are listed instead of stopping the build."""
    given = ref.spec.arguments(ref.tokenizer) | ({"quarantine": quarantine} if ref.spec.use == "Images" else {})
    kinds = {"Tokens": tokens, "Words": words, "Images": images, "Projected": projected}
    return kinds[ref.spec.use].build(store, ref.folder, ref.digest, **given)


def require_inputs(job: Job) -> None:
    """Raises MissingRun naming the first missing input and the command that makes it."""
    corpus = job.corpus
    if not corpus.manifest.exists():
        raise MissingRun(
            f"corpus {corpus.label}: no store at {shown(corpus.store)}. Make it with: vidlab corpus build {corpus.name} --scale {job.scale}"
        )
    for ref in job.feature_sets:
        if not (ref.folder / "features.json").exists():
            given = f" -p world {job.corpus_given}" if job.corpus_given else ""
            raise MissingRun(
                f"feature set {ref.name} of {corpus.label} is missing. Make it with: papermill notebooks/01_features.ipynb out.ipynb -p corpus {corpus.name} -p features {ref.name} -p scale {job.scale}{given}"
            )
    for role, parent in job.parents.items():
        remedy = f"It is the {role} of {job.recipe} {job.stage}. Make it with: {parent.command}"
        parent.folder.read_metrics(parent.digest, remedy)
