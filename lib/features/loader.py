"""From a store and its feature sets to batches, in an order that is a pure function of seed and epoch: the whole state
of a loader is one number."""

import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lib.data.batch import IGNORE, Batch
from lib.data.schema import FIELDS_OF_LAYOUT
from lib.data.store import Store
from lib.features import frames as frame_rules
from lib.features import text as text_rules
from lib.features.pictures import Pictures
from lib.features.sets import Frames, TokenSet

MEGABATCH = 50  # batches sorted by length together: enough to save padding, few enough to stay random


@dataclass(frozen=True)
class Items:
    """What one epoch goes over: videos, or pairs of videos."""

    rows: np.ndarray  # int64 [M] or, for pairs, [M, 2]
    score: np.ndarray | None = None  # float32 [M], pairs only
    soft: np.ndarray | None = None  # float32 [M] (pairs) or [M, C] (videos): a teacher's targets
    group: np.ndarray | None = None  # int [M]: groups are visited one after the other inside an epoch

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def are_pairs(self) -> bool:
        return self.rows.ndim == 2

    def take(self, index: np.ndarray) -> "Items":
        return replace(self, **{name: value[index] for name, value in vars(self).items() if value is not None})


class PseudoLabels(NamedTuple):
    """What models said of videos without category: store rows int64 [M] ascending, category int64 [M], and perhaps the
    probabilities of all categories, float [M, C]."""

    rows: np.ndarray
    category: np.ndarray
    probabilities: np.ndarray | None = None

    def logits(self, rows: np.ndarray) -> np.ndarray | None:
        """float32 [B, C], logs of the probabilities of some videos, None without probabilities. Half precision does not sum
        to one, so whoever reads them takes their softmax (G5). Raises ValueError: nothing is said of a video."""
        if self.probabilities is None:
            return None
        place = np.searchsorted(self.rows, rows).clip(max=len(self.rows) - 1)
        if not np.array_equal(self.rows[place], rows):
            raise ValueError("a video without soft label is asked for; learn from videos of the pseudo labels alone")
        return np.log(np.maximum(self.probabilities[place].astype(np.float32), 1e-8))


class KnownPairs:
    """Scores of labelled pairs, to be looked up for all pairs among some videos at once.

    A pair holds in both directions; a pair labelled more than once has the mean of its scores; a video paired with itself
    says nothing. The table knows what it is given and nothing else: give it training pairs only.
    Used by: objectives that ask for it (``Objective.needs_known``), as AIAC rank 17 describes its loss on unlabelled pairs.
    """

    def __init__(self, rows: np.ndarray, score: np.ndarray):
        """Make a table. Raises ValueError: as many scores as pairs are needed.

        Args:
            rows: int64 [M, 2], both videos of each pair.
            score: float [M], as the stage trains on it.
        """
        rows, score = np.asarray(rows, np.int64).reshape(-1, 2), np.asarray(score, np.float64)
        if len(rows) != len(score):
            raise ValueError(f"known pairs: {len(rows)} pairs have {len(score)} scores; give one score to each pair")
        apart = rows[:, 0] != rows[:, 1]
        both = np.concatenate([rows[apart], rows[apart, ::-1]])
        # in order of the first video, so that the partners of a video lie side by side
        pairs, place, times = np.unique(both, axis=0, return_inverse=True, return_counts=True)
        total = np.bincount(place.reshape(-1), weights=np.tile(score[apart], 2), minlength=len(pairs))
        self._first, self._second = pairs[:, 0], pairs[:, 1]
        self._score = (total / times).astype(np.float32)

    def among(self, rows: np.ndarray) -> Tensor:
        """float32 [B, B]: the score of each two of B videos, NaN where it is unknown; copies of a video count alike.
        The work grows with the partners of these videos, not with the table."""
        videos, copy = np.unique(rows, return_inverse=True)
        starts, ends = (np.searchsorted(self._first, videos, side) for side in ("left", "right"))
        counts = ends - starts
        places = np.repeat(starts - (counts.cumsum() - counts), counts) + np.arange(counts.sum())
        left, partner = np.repeat(np.arange(len(videos)), counts), self._second[places]
        right = np.searchsorted(videos, partner).clip(max=max(0, len(videos) - 1))
        here = videos[right] == partner if len(videos) else np.zeros(0, bool)
        table = np.full((len(videos), len(videos)), np.nan, np.float32)
        table[left[here], right[here]] = self._score[places[here]]
        return torch.from_numpy(table[copy][:, copy])


class Assembler:
    """Turns store rows into a Batch: tokens laid out, frames picked, both padded, labels attached."""

    def __init__(
        self,
        store: Store,
        tokens: TokenSet,
        *,
        layout: str,
        text_length: int,
        frames_length: int,
        pad_text: bool = False,
        sample: str = "bin_centre",
        train_sample: str = "same",
        pad_frames: bool = False,
        tags: bool = False,
        seed: int = 0,
        visual: Frames | Pictures | None = None,
        known: KnownPairs | None = None,
        without: Collection[str] = (),
        train_frames: Sequence[int] = (),
        pseudo: PseudoLabels | None = None,
    ):
        """Make an assembler.

        Args:
            layout, text_length: how fields become one sequence, and its most tokens (``text.lay_out``).
            frames_length, sample: most frames of a video and the rule that picks them (``frames.pick``).
            pad_text, pad_frames: pad to these lengths, as the originals do, else to the longest of the batch.
            tags: attach the multi-hot tags (only where a loss needs them: they are K numbers a video).
            visual: a set of frame features (``sets.choose``), or pictures for a model that encodes them; the store's own
                features if None.
            known: attach to training batches of pairs what is known of any two of their videos (only where an
                objective asks for it).
            without: "text", "frames": not read, empty in the batch.
            train_frames: most frames while training, one of them for each batch at random; else ``frames_length``.
            pseudo: categories, and soft targets, of videos that have none of their own.
        """
        self.visual: Frames | Pictures = store if visual is None else visual
        self.store, self.tokens, self.seed = store, tokens, seed
        self.layout, self.text_length, self.pad_text = layout, text_length, pad_text
        self.frames_length, self.pad_frames = frames_length, pad_frames
        self.rules = {True: sample if train_sample == "same" else train_sample, False: sample}  # by: in training
        self.known = known
        self.train_frames, self.pseudo = tuple(train_frames), pseudo
        self._category = store.categories()
        if pseudo is not None:
            self._category = self._category.copy()
            self._category[pseudo.rows] = pseudo.category
        self._tags = store.tags_csr() if tags else None
        self.num_tags = len(store.manifest["tags"] or ())
        self.without = frozenset(without)
        self.text_lengths = np.minimum(sum(tokens.lengths(f) for f in FIELDS_OF_LAYOUT[layout]) + 3, text_length)
        self.frame_lengths = np.minimum(self.visual.n_frames, frames_length)

    def __call__(self, items: Items, *, train: bool, epoch: int = 0, most: int | None = None) -> Batch:
        """``most``: frames of a video, in place of ``frames_length``."""
        rows = items.rows.T.reshape(-1) if items.are_pairs else items.rows  # side 1 first, then side 2
        ids, text_mask, types, field = self._text(rows)
        frames, frame_mask, pictures = self._frames(rows, train, epoch, most or self.frames_length)
        category = self._category[rows].astype(np.int64)
        batch = Batch(
            rows=torch.from_numpy(rows.astype(np.int64)),
            input_ids=torch.from_numpy(ids),
            text_mask=torch.from_numpy(text_mask),
            token_types=torch.from_numpy(types),
            frames=frames,
            frame_mask=torch.from_numpy(frame_mask),
            category=torch.from_numpy(np.where(category < 0, IGNORE, category)),
            tags=self._multi_hot(rows),
            pictures=pictures,
            field=None if field is None else torch.from_numpy(field),
        )
        if items.are_pairs:
            count = len(items)
            batch.pair = torch.stack([torch.arange(count), torch.arange(count) + count], dim=1)
            batch.known = self.known.among(rows) if train and self.known is not None else None
        batch.score = None if items.score is None else torch.from_numpy(items.score.astype(np.float32))
        soft = items.soft if self.pseudo is None else self.pseudo.logits(rows)
        batch.soft = None if soft is None else torch.from_numpy(soft.astype(np.float32))
        return batch

    def _text(self, rows: np.ndarray):
        if "text" in self.without:
            ids, mask = np.zeros((len(rows), 0), np.int64), np.zeros((len(rows), 0), bool)
            return ids, mask, ids, None
        spans = self.tokens.spans(rows, FIELDS_OF_LAYOUT[self.layout])
        laid = text_rules.lay_out(*spans, self.layout, self.text_length, self.tokens.special, full=self.pad_text)
        width = laid[0].shape[1]
        return *laid, text_rules.fields_of(spans[2], self.text_length, width) if self.layout == "packed" else None

    def _frames(self, rows: np.ndarray, train: bool, epoch: int, most: int) -> tuple[Tensor, np.ndarray, Tensor | None]:
        """float32 [B, F, D], zero after each video's end, and the mask; read from the file straight to their place.
        Where the model encodes pictures these come third, and features have no width."""
        if "frames" in self.without:
            return torch.zeros(len(rows), 0, self.visual.frame_dim), np.zeros((len(rows), 0), bool), None
        visual, counts, rule = self.visual, np.minimum(self.visual.n_frames[rows], most), self.rules[train]
        slots = most if self.pad_frames else max(1, int(counts.max()))
        if isinstance(visual, Pictures):
            chosen = [self._chosen(row, rule, epoch, most) for row in rows.tolist()]
            pictures = torch.from_numpy(visual.batch(rows.tolist(), chosen, slots))
            return torch.zeros(len(rows), slots, 0), np.arange(slots) < counts[:, None], pictures
        frames = np.empty((len(rows), slots, visual.frame_dim), dtype="<f2")
        for place, row, count in zip(frames, rows.tolist(), counts.tolist(), strict=True):
            if count == visual.n_frames[row]:
                visual.read_frames(row, place[:count])
            else:
                place[:] = visual.frames(row)[self._chosen(row, rule, epoch, most)]
            place[count:] = 0
        # torch converts half precision ten times as fast as numpy
        return torch.from_numpy(frames).float(), np.arange(slots) < counts[:, None], None

    def _chosen(self, row: int, rule: str, epoch: int, most: int) -> np.ndarray:
        """Which frames of a video: a pure function of video and epoch."""
        count = int(self.visual.n_frames[row])
        if not count:
            return np.arange(0)
        generator = np.random.default_rng([self.seed, epoch, row]) if rule.startswith("random") else None
        return frame_rules.pick(count, most, rule, generator)

    def _multi_hot(self, rows: np.ndarray) -> Tensor | None:
        if self._tags is None:
            return None
        indptr, indices, known = self._tags
        starts, counts = indptr[rows], indptr[rows + 1] - indptr[rows]
        videos = np.repeat(np.arange(len(rows)), counts)
        place = np.arange(counts.sum()) + np.repeat(starts - (counts.cumsum() - counts), counts)
        hot = torch.zeros(len(rows), self.num_tags)
        hot[torch.from_numpy(videos), torch.from_numpy(indices[place].astype(np.int64))] = 1.0
        hot[torch.from_numpy(~known[rows])] = IGNORE
        return hot


def alike(frames: np.ndarray, text: np.ndarray, size: int) -> np.ndarray:
    """An order in which each ``size`` items on end have about as many frames and about as many tokens. Frames and text
    are padded apart, so sorting by their sum would put long texts beside many frames: a third more padding. Instead: by
    frames, cut into about as many strips as each strip has batches, every strip by text."""
    order = np.argsort(frames, kind="stable")
    batches = -(-len(order) // size)
    strips = np.array_split(np.arange(batches), max(1, round(batches**0.5)))
    parts = [order[strip[0] * size : (strip[-1] + 1) * size] for strip in strips if len(strip)]
    return np.concatenate([order[:0], *(part[np.argsort(text[part], kind="stable")] for part in parts)])


class TrainLoader:
    """Endless batches, epoch after epoch, each item once an epoch; the incomplete last batch of an epoch is dropped."""

    def __init__(self, assembler: Assembler, items: Items, batch_size: int, *, seed: int, bucket: bool):
        batch_size = min(batch_size, max(1, len(items)))
        self.assembler, self.items, self.batch_size, self.seed, self.bucket = assembler, items, batch_size, seed, bucket
        self.steps_per_epoch = max(1, len(self._order(0)))
        self.step = 0
        self._epoch = (-1, [])

    def __iter__(self) -> Iterator[Batch]:
        while True:
            epoch, position = divmod(self.step, self.steps_per_epoch)
            if self._epoch[0] != epoch:
                self._epoch = (epoch, self._order(epoch))
            index = self._epoch[1][position]
            most, lengths = None, self.assembler.train_frames
            if lengths:  # of the batch, not of a video: otherwise the longest would rule
                most = int(np.random.default_rng([self.seed, zlib.crc32(b"frames"), self.step]).choice(lengths))
            self.step += 1
            yield self.assembler(self.items.take(index), train=True, epoch=epoch, most=most)

    def state_dict(self) -> dict[str, int]:
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.step = state["step"]

    def _order(self, epoch: int) -> list[np.ndarray]:
        """Batches of one epoch as index arrays."""
        generator = np.random.default_rng([self.seed, zlib.crc32(b"order"), epoch])
        order = generator.permutation(len(self.items))
        group = np.zeros(len(order)) if self.items.group is None else self.items.group
        parts = [order[group[order] == one] for one in np.unique(group)]
        return [batch for part in parts for batch in self._cut(part, generator)]

    def _cut(self, order: np.ndarray, generator: np.random.Generator) -> list[np.ndarray]:
        size = self.batch_size
        order = order[: len(order) - len(order) % size]  # before sorting, or the longest would always be dropped
        if self.bucket:
            mega = size * MEGABATCH
            order = np.concatenate([order[:0], *(self._alike(order[i : i + mega]) for i in range(0, len(order), mega))])
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        return [batches[i] for i in generator.permutation(len(batches))] if self.bucket else batches

    def _alike(self, items: np.ndarray) -> np.ndarray:
        rows = self.items.rows[items]
        frames, text = self.assembler.frame_lengths[rows], self.assembler.text_lengths[rows]
        if self.items.are_pairs:
            frames, text = frames.max(axis=1), text.max(axis=1)
        return items[alike(frames, text, self.batch_size)]


class EvalLoader:
    """Every item once, longest first (the largest batch comes first: memory errors show at once), nothing random."""

    def __init__(self, assembler: Assembler, rows: np.ndarray, batch_size: int):
        self.assembler, self.batch_size = assembler, batch_size
        self.rows = rows[alike(-assembler.frame_lengths[rows], -assembler.text_lengths[rows], batch_size)]

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, len(self.rows), self.batch_size):
            yield self.assembler(Items(self.rows[start : start + self.batch_size]), train=False)
