"""Floors and ceiling of a corpus: what is reached without a network, untuned, on the very items that runs are scored
on. The *untrained* floor of pairs uses no label at all; a network that stays below it has learnt nothing of use."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.sparse import csr_matrix
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.naive_bayes import ComplementNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize

from lib.data.schema import CategoryTree
from lib.data.store import Store
from lib.evaluation.intervals import interval, mean_f1_interval, spearman_draws
from lib.evaluation.metrics import mean_f1, spearman
from lib.recipes.job import Job
from lib.runs.kinds import scored_on
from lib.stages.problem import ClassPart, ClassProblem, PairPart, PairProblem, make_problem

CONSTANT, UNTRAINED, LINEAR, ORACLE = "constant", "untrained", "linear", "oracle"
TEXT, FRAMES = "untrained text", "untrained frames"  # one may score higher than both together
FIELDS = ("title", "asr", "ocr")
MOST = 512  # characters of a field, as the recipes read
COMPONENTS = 128  # of the mean frame: as many as the feature set `projected` gives to the systems
TOPICS = 128  # of the character pairs, for logistic regression on 200 classes in seconds


def floors(job: Job, store: Store) -> pd.DataFrame:
    """Score the floors of a job's corpus.

    ``job``: a stage that learns from scored pairs or classes; its split says what trains. Returns rows ``floor``
    (constant, untrained, linear, oracle; parts of the untrained one as ``untrained text`` and ``untrained frames``),
    ``label`` (what it is, in words), ``metric``, ``score``, ``low`` and ``high`` (95 % bootstrap interval over items),
    ``n`` (items), ``scored_on``. Without frame features there are no frames in any of them; the oracle is that of a
    generated corpus. Raises TypeError: the job learns from neither; RecipeError: the corpus has nothing that the job
    could train on.
    """
    problem = make_problem(job, store)
    if not isinstance(problem, PairProblem | ClassProblem):
        raise TypeError(f"{job.recipe} {job.stage}: floors are of scored pairs or of classes")
    part: Any = problem.parts[scored_on(problem.parts)]
    rows = (_of_pairs if isinstance(problem, PairProblem) else _of_classes)(cast(Any, problem), part, store)
    frame = pd.DataFrame(rows, columns=["floor", "label", "score", "low", "high"])
    frame.insert(2, "metric", job.kind.metric)
    return frame.assign(n=len(part), scored_on=scored_on(problem.parts))


class Inputs:
    """What the floors see of some videos: character pairs, weighted by tf-idf, and the mean frame.

    Character pairs stand for words: on generated corpora they rank pairs as well as words cut by jieba do, in a
    twentieth of the time, and name classes somewhat worse. ``rows``: int64 [N] store rows, ascending; fitted: bool [N],
    those that tf-idf and PCA are fitted on.
    """

    def __init__(self, store: Store, rows: np.ndarray, fitted: np.ndarray):
        counts = character_pairs([text for texts in _texts(store, rows) for text in texts])
        of_field = [counts[number :: len(FIELDS)] for number in range(len(FIELDS))]
        together = csr_matrix(sum(of_field[1:], of_field[0]))
        kept = csr_matrix(together[fitted])
        self.known = np.bincount(kept.indices, minlength=cast(Any, together.shape)[1])  # fitted videos that have it
        weigh = TfidfTransformer(sublinear_tf=True).fit(kept)
        self.words = csr_matrix(weigh.transform(together))
        self.by_field = [csr_matrix(weigh.transform(field)) for field in of_field]
        self.frames: np.ndarray | None = None
        if store.frame_dim:
            mean = np.stack([store.frames(row).astype(np.float32).mean(axis=0) for row in rows])
            size, solver = min(COMPONENTS, store.frame_dim, _most(fitted.sum())), "covariance_eigh"
            self.frames = PCA(size, whiten=True, svd_solver=solver).fit(mean[fitted]).transform(mean)


def _most(videos: int) -> int:
    """Components that so few videos can carry; more have next to no spread there, and scaled up they drown the others."""
    return max(2, int(videos) // 4)


def character_pairs(texts: Sequence[str]) -> csr_matrix:
    """How often each two neighbouring characters occur in each text, none of them white space; float64 [N, pairs].

    >>> character_pairs(["好视频 好视", "频"]).toarray().tolist()
    [[2.0, 1.0], [0.0, 0.0]]
    """
    lines = "".join(" ".join(text.split()) + "\n" for text in texts)
    codes = np.frombuffer(lines.encode("utf-32-le"), np.uint32).astype(np.int64)
    ends = codes == ord("\n")
    both = ~np.isin(codes[:-1], (ord(" "), ord("\n"))) & ~np.isin(codes[1:], (ord(" "), ord("\n")))
    _, pair = np.unique((codes[:-1] << 21 | codes[1:])[both], return_inverse=True)  # code points have 21 bits
    owner = (np.cumsum(ends) - ends)[:-1][both]
    shape = len(texts), max(2, int(pair.max(initial=-1)) + 1)  # of next to no text there are pairs that none has
    return csr_matrix((np.ones(len(pair)), (owner, pair)), shape=shape)  # what is there twice is added


def _texts(store: Store, rows: np.ndarray) -> Iterator[tuple[str, str, str]]:
    """The beginnings of the texts of some videos, field by field."""
    start = 0
    for batch in store.batches(*FIELDS):
        inside = rows[(rows >= start) & (rows < start + len(batch))] - start
        start += len(batch)
        for record in batch.take(pa.array(inside)).to_pylist():
            ocr = " ".join(line["text"] for line in record["ocr"] or ())
            yield record["title"][:MOST], record["asr"][:MOST], ocr[:MOST]


Row = tuple[str, str, float, float, float]  # floor, label, score, low, high


def _of_pairs(problem: PairProblem, part: PairPart, store: Store) -> Iterator[Row]:
    train = problem.train.rows
    rows = np.unique(np.concatenate([train.ravel(), part.pairs.ravel()]))
    seen = Inputs(store, rows, np.isin(rows, train))

    def scored(floor: str, label: str, predicted: np.ndarray) -> Row:
        draws = spearman_draws(predicted, part.score, part.pairs)
        return floor, label, spearman(predicted, part.score), *interval(draws)

    yield CONSTANT, "one answer for all pairs", 0.0, float("nan"), float("nan")
    (words, frames, learning), (words_there, frames_there, judged) = (
        _cosines(seen, np.searchsorted(rows, pairs)) for pairs in (train, part.pairs)
    )
    yield scored(TEXT, "cosine of title, ASR and OCR (tf-idf of character pairs)", words_there)
    total, told = _scaled(words_there, words), "cosine of texts"
    if frames is not None and frames_there is not None:
        yield scored(FRAMES, "cosine of the mean frame, whitened PCA", frames_there)
        total, told = total + _scaled(frames_there, frames), "sum of the cosines of texts and of mean frames"
    yield scored(UNTRAINED, told, total)
    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 5, 11))).fit(learning, problem.train.score)
    yield scored(LINEAR, "ridge regression on cosines and products of the same", ridge.predict(judged))
    if part.oracle is not None:
        yield scored(ORACLE, "the generator's own truth", part.oracle)


def _cosines(seen: Inputs, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Cosines of words [P] and of frames [P], and what ridge regression learns from, [P, F]."""
    left, right = pairs.T
    words, *fields = (
        np.asarray(matrix[left].multiply(matrix[right]).sum(axis=1)).ravel() for matrix in (seen.words, *seen.by_field)
    )
    if seen.frames is None:
        return words, None, np.stack([words, *fields], axis=1)
    unit = normalize(seen.frames)
    products = unit[left] * unit[right]
    frames = products.sum(axis=1)
    return words, frames, np.column_stack([words, *fields, frames, products])


def _scaled(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """In standard deviations of what training pairs have."""
    return (values - like.mean()) / max(float(like.std()), 1e-12)


def _of_classes(problem: ClassProblem, part: ClassPart, store: Store) -> Iterator[Row]:
    train, labels = np.unique(problem.train.rows), store.categories().astype(np.int64)
    rows = np.union1d(train, part.rows)
    tree, seen = CategoryTree(store.manifest["categories"]).level1_of_level2, Inputs(store, rows, np.isin(rows, train))
    learning, judged, truth = np.searchsorted(rows, train), np.searchsorted(rows, part.rows), labels[train]

    def scored(floor: str, label: str, predicted: np.ndarray) -> Row:
        score = mean_f1(part.truth, predicted, tree)["mean_f1"]
        return floor, label, score, *mean_f1_interval(predicted, part.truth, tree)

    yield scored(CONSTANT, "the most frequent class", np.full(len(part), problem.class_counts.argmax()))
    often = seen.known > 1
    words = cast(Any, seen.words[:, often] if often.sum() > 1 else seen.words)
    bayes = ComplementNB(alpha=0.1).fit(words[learning], truth)  # 1 drowns 200 classes of a few videos each
    yield scored(UNTRAINED, "naive Bayes on title, ASR and OCR (character pairs)", bayes.predict(words[judged]))
    topics = TruncatedSVD(min(TOPICS, words.shape[1] - 1, _most(len(train))), random_state=0)
    with np.errstate(invalid="ignore"):  # of texts that are all empty, no share of anything is explained
        inputs = topics.fit(words[learning]).transform(words)
    inputs = inputs if seen.frames is None else np.column_stack([inputs, seen.frames])
    linear = LogisticRegression(C=0.03, max_iter=100) if len(set(truth)) > 1 else DummyClassifier()
    model = make_pipeline(StandardScaler(), linear).fit(inputs[learning], truth)
    yield scored(LINEAR, "logistic regression on text and the mean frame", model.predict(inputs[judged]))
    if part.oracle is not None:
        yield scored(ORACLE, "the generator's own truth", part.oracle)
