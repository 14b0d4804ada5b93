"""Corpora with a labelled test part, made from generated ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from lib.data.splits import component_of
from lib.data.store import Store
from lib.data.writer import StoreWriter


def with_test_part(store: Store, out: Path, share: float = 0.3, *, spoil: bool = False) -> Store:
    """A copy whose part ``test_b`` has labels: whole components of pairs, or videos by the class that is meant.
    ``spoil``: turn scores of the test part upside down, or move its classes on by one."""
    ids, names, truth = store.column("id"), store.manifest["categories"], store.truth()
    with StoreWriter(out, track=store.track, source="custom", frame_dim=store.frame_dim or None) as writer:
        known = "test_b" in store.parts
        test = set(store.rows("test_b" if known else "test_a").tolist())
        test = _components(store, share) if store.track == "pairs" and not known else test
        for row, video in enumerate(store):
            if row in test and truth is not None and store.track == "classes":
                category = names[(truth["true_category"][row] + spoil) % len(names)]
                video = replace(video, category=category)
            writer.add(replace(video, part="test_b" if row in test else video.part))
        for row1, row2, score in store.pairs().itertuples(index=False):
            writer.add_pair(ids[row1], ids[row2], 1 - score if spoil and row1 in test else score)
        return writer.finish(tags=store.manifest["tags"], categories=names, truth=truth)


def _components(store: Store, share: float) -> set[int]:
    """Videos of the smallest components of the pair graph that hold about this share of the pairs."""
    rows = store.pairs()[["row1", "row2"]].to_numpy()
    of = component_of(*rows.T)
    sizes = pd.Series(of).value_counts().sort_values(kind="stable")
    chosen = sizes.index[sizes.cumsum() <= share * len(rows)]
    return set(np.unique(rows[np.isin(of, chosen)]).tolist())
