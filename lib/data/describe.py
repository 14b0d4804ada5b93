"""What a corpus looks like, as data frames: for the command line and the first notebook."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from lib.data import splits
from lib.data.store import Store


def texts(store: Store) -> pd.DataFrame:
    """One row a video: part, length in characters of title, asr and ocr, number of frames."""
    rows = [
        (video.part, len(video.title), len(video.asr), sum(len(text) for _, text in video.ocr))
        for video in store.iter_videos(frames=False)
    ]
    frame = pd.DataFrame(rows, columns=["part", "title", "asr", "ocr"])
    return frame.assign(frames=store.n_frames)


def lengths(table: pd.DataFrame) -> pd.DataFrame:
    """Mean, quartiles and share of empty fields, a row per field of ``texts``."""
    fields = table[["title", "asr", "ocr", "frames"]]
    return pd.DataFrame(
        {"mean": fields.mean(), "p25": fields.quantile(0.25), "median": fields.median(), "p75": fields.quantile(0.75), "max": fields.max(), "empty": (fields == 0).mean()}
    ).round(2)


def tag_counts(store: Store) -> pd.Series:
    """Videos per tag of the vocabulary, most frequent first."""
    _, indices, _ = store.tags_csr()
    counts = np.bincount(indices, minlength=len(store.manifest["tags"] or ()))
    return pd.Series(counts, index=store.manifest["tags"] or [], name="videos").sort_values(ascending=False, kind="stable")


def class_counts(store: Store) -> pd.Series:
    """Labelled videos per category, most frequent first."""
    labels = store.categories()
    counts = np.bincount(labels[labels >= 0], minlength=len(store.manifest["categories"] or ()))
    return pd.Series(counts, index=store.manifest["categories"] or [], name="videos").sort_values(ascending=False, kind="stable")


def pair_graph(store: Store) -> pd.Series:
    """Pairs per connected component of the pair graph, largest first."""
    pairs = store.pairs()
    rows = pairs[["row1", "row2"]].to_numpy(np.int64)
    graph = coo_matrix((np.ones(len(rows)), (rows[:, 0], rows[:, 1])), shape=(len(store), len(store)))
    owner = connected_components(graph, directed=False)[1][rows[:, 0]]
    return pd.Series(np.bincount(owner), name="pairs").loc[lambda sizes: sizes > 0].sort_values(ascending=False).reset_index(drop=True)


def leaks(store: Store, k: int = 5) -> pd.DataFrame:
    """For each way to split the pairs: how many train, how many validate, and how many of those touch training."""
    pairs, ids = store.pairs(), store.column("id")
    id1, id2 = ids[pairs["row1"]], ids[pairs["row2"]]
    table = {}
    for rule in (splits.both_mod_k, splits.strict_mod_k, splits.components):
        train, val = rule(id1, id2, k=k)
        table[rule.__name__] = {"training pairs": int(train.sum()), "validation pairs": int(val.sum()), "touch training": splits.leak(id1, id2, train, val)}
    return pd.DataFrame(table).T


def overview(store: Store) -> dict[str, pd.DataFrame]:
    """Title -> table: what ``corpus show`` prints."""
    table = texts(store)
    counts = store.manifest["counts"]
    facts = {"track": store.track, "format": store.manifest["source"], "videos": len(store), "frames": counts["frames"], "numbers per frame": store.frame_dim, "pairs": counts["pairs"], "tags": len(store.manifest["tags"] or ()), "categories": len(store.manifest["categories"] or ()), "rejected": counts["rejected"], "fingerprint": store.fingerprint}
    result = {
        "Corpus": pd.DataFrame({"": facts}),
        "Parts": pd.DataFrame({"videos": counts["parts"]}),
        "Lengths (characters, frames)": lengths(table),
    }
    if counts["pairs"]:
        result["Splits of the pairs"] = leaks(store).round(3)
    examples = [store.video(row, frames=False) for row in range(min(5, len(store)))]
    result["Examples"] = pd.DataFrame({"id": [v.id for v in examples], "title": [v.title for v in examples], "category": [v.category for v in examples]})
    return result


def summary(store: Store) -> dict[str, Any]:
    """The numbers of ``eda.json``."""
    table = texts(store)
    result: dict[str, Any] = {
        "videos": len(store), "parts": store.manifest["counts"]["parts"], "fingerprint": store.fingerprint,
        "lengths": lengths(table).to_dict("index"), "twin": store.manifest["twin"],
    }  # fmt: skip
    if store.track == "pairs":
        result["tags"] = {"distinct": int((tag_counts(store) > 0).sum()), "per video": round(float(tag_counts(store).sum() / max(1, len(store))), 2)}
        if len(store.pairs()):
            sizes = pair_graph(store)
            result["pairs"] = {"count": int(sizes.sum()), "components": len(sizes), "giant share": round(float(sizes.iloc[0] / sizes.sum()), 3)}
            result["splits"] = leaks(store).to_dict("index")
    else:
        counts = class_counts(store)
        result["classes"] = {"with videos": int((counts > 0).sum()), "largest": int(counts.iloc[0]), "below ten": int((counts < 10).sum())}
    return result
