"""What a corpus looks like, as data frames: for the command line and the first notebook."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from lib.data import splits
from lib.data.store import Store

TEXTS = ("title", "asr", "ocr")
EXAMPLES = 5


def texts(store: Store) -> pd.DataFrame:
    """One row a video: part, length in characters of title, asr and ocr (all its lines), number of frames."""
    chunks = []
    for batch in store.batches("part", "title", "asr", "ocr"):
        part, title, asr, ocr = batch.columns
        lines = pc.utf8_length(pc.struct_field(ocr.flatten(), "text")).to_numpy(zero_copy_only=False)
        owner = np.repeat(
            np.arange(len(ocr)), pc.fill_null(pc.list_value_length(ocr), 0).to_numpy(zero_copy_only=False)
        )
        chunks.append(pd.DataFrame({
            "part": pd.Categorical(part.to_pylist(), store.parts), "title": pc.utf8_length(title).to_numpy(), "asr": pc.utf8_length(asr).to_numpy(),
            "ocr": np.bincount(owner, lines, minlength=len(ocr)).astype(np.int32),
        }))  # fmt: skip
    table = pd.concat(chunks, ignore_index=True)
    return table.assign(part=table["part"].astype(str), frames=store.n_frames)


def lengths(table: pd.DataFrame) -> pd.DataFrame:
    """Mean, quartiles and share of empty fields, a row per field of ``texts``."""
    fields = table[[*TEXTS, "frames"]]
    return pd.DataFrame(
        {
            "mean": fields.mean(),
            "p25": fields.quantile(0.25),
            "median": fields.median(),
            "p75": fields.quantile(0.75),
            "max": fields.max(),
            "empty": (fields == 0).mean(),
        }
    ).round(2)


def parts(store: Store, table: pd.DataFrame) -> pd.DataFrame:
    """A row per part: videos, and the share of them without title, asr, ocr, frames, tags and category."""
    lacking = (table[[*TEXTS, "frames"]] == 0).assign(tags=~store.tags_csr()[2], category=store.categories() < 0)
    grouped = lacking.groupby(table["part"])
    return (
        pd.concat([grouped.size().rename("videos"), grouped.mean().add_prefix("no ")], axis=1)
        .round(3)
        .rename_axis(None)
    )


def tag_counts(store: Store) -> pd.Series:
    """Videos per tag of the vocabulary, most frequent first."""
    _, indices, _ = store.tags_csr()
    counts = np.bincount(indices, minlength=len(store.manifest["tags"] or ()))
    return pd.Series(counts, index=store.manifest["tags"] or [], name="videos").sort_values(
        ascending=False, kind="stable"
    )


def class_counts(store: Store) -> pd.Series:
    """Labelled videos per category, most frequent first."""
    labels = store.categories()
    counts = np.bincount(labels[labels >= 0], minlength=len(store.manifest["categories"] or ()))
    return pd.Series(counts, index=store.manifest["categories"] or [], name="videos").sort_values(
        ascending=False, kind="stable"
    )


def pair_graph(store: Store) -> pd.Series:
    """Pairs per connected component of the pair graph, largest first."""
    pairs = store.pairs()
    owner = splits.component_of(pairs["row1"].to_numpy(), pairs["row2"].to_numpy())
    return (
        pd.Series(np.bincount(owner), name="pairs")
        .loc[lambda sizes: sizes > 0]
        .sort_values(ascending=False)
        .reset_index(drop=True)
    )


def leaks(store: Store, k: int = 5) -> pd.DataFrame:
    """For each way to split: how many items train, how many validate, and the share of those that touches training.

    A pair touches training if one of its videos occurs in a training pair; a labelled video if a training video has its
    title (re-uploads and series; the splits hold no video twice).
    """
    if store.track == "pairs":
        pairs, ids = store.pairs(), store.column("id")
        id1, id2 = ids[pairs["row1"]], ids[pairs["row2"]]
        table = {
            rule.__name__: _row(rule(id1, id2, k=k), "pairs")
            for rule in (splits.both_mod_k, splits.strict_mod_k, splits.components)
        }
        return pd.DataFrame.from_dict(table, orient="index")
    labels = store.categories()
    labelled = np.flatnonzero(labels >= 0)
    titles = store.column("title")[labelled]
    titles[titles == ""] = [f"\0{row}" for row in labelled[titles == ""]]  # no title is nobody's duplicate
    table = {
        rule.__name__: _row(rule(labels[labelled]), "videos", titles) for rule in (splits.random_split, splits.holdout)
    }
    return pd.DataFrame.from_dict(table, orient="index")


def _row(split: splits.Split, what: str, *keys: np.ndarray) -> dict[str, Any]:
    return {
        f"training {what}": int(split.train.sum()),
        f"validation {what}": int(split.val.sum()),
        "touch training": round(split.leak(*keys), 4),
    }


def facts(store: Store) -> dict[str, Any]:
    """The manifest, for people."""
    manifest, counts = store.manifest, store.manifest["counts"]
    twin = manifest["twin"] or {}
    return {
        "track": store.track, "format": manifest["source"], "videos": len(store), "frames": counts["frames"],
        "numbers per frame": store.frame_dim or "none", "pixels": "yes" if manifest["images"] else "no", "pairs": counts["pairs"],
        "tags": len(manifest["tags"] or ()), "categories": len(manifest["categories"] or ()), "rejected": counts["rejected"],
        "generated": f"seed {twin.get('seed')}, oracle {twin.get('oracle')}" if twin else "no", "fingerprint": store.fingerprint,
    }  # fmt: skip


def examples(store: Store, count: int = EXAMPLES) -> pd.DataFrame:
    """Some videos, evenly spread over the store."""
    videos = [
        store.video(row, frames=False) for row in np.linspace(0, len(store) - 1, min(count, len(store))).astype(int)
    ]
    return pd.DataFrame(
        {
            "id": [v.id for v in videos], "part": [v.part for v in videos], "title": [_short(v.title, 24) for v in videos], "asr": [_short(v.asr, 24) for v in videos],
            "tags": [_short(" ".join(map(str, v.tags or ())), 30) for v in videos], "category": [v.category or "" for v in videos],
        }
    )  # fmt: skip


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def overview(store: Store) -> dict[str, pd.DataFrame]:
    """Title -> table: what ``corpus show`` prints."""
    table = texts(store)
    result = {
        "Corpus": pd.DataFrame({"": facts(store)}, dtype=object),
        "Parts (videos, and shares without a field)": parts(store, table),
        "Lengths (characters, frames)": lengths(table),
    }
    if store.manifest["tags"]:
        result["Most frequent tags"] = pd.DataFrame(tag_counts(store).head(EXAMPLES))
    if store.manifest["categories"]:
        counts = class_counts(store)
        result["Categories, largest and smallest"] = pd.DataFrame(
            pd.concat([counts.head(EXAMPLES), counts[counts > 0].tail(EXAMPLES)]).loc[lambda s: ~s.index.duplicated()]
        )
    if len(store.pairs()):
        score = store.pairs()["score"]
        result["Pairs"] = pd.DataFrame({"score": score.describe()}).round(3)
        result["Splits of the pairs"] = leaks(store)
    result["Examples"] = examples(store)
    return result


def summary(store: Store) -> dict[str, Any]:
    """The numbers of ``eda.json``; a mapping of mappings is a table with a row each."""
    table = texts(store)
    result: dict[str, Any] = {
        "videos": len(store), "parts": store.manifest["counts"]["parts"], "fingerprint": store.fingerprint,
        "lengths": lengths(table).to_dict("index"), "missing": parts(store, table).to_dict("index"), "twin": _twin(store.manifest["twin"]),
    }  # fmt: skip
    if store.track == "pairs":
        tags = tag_counts(store)
        known = max(1, int(store.tags_csr()[2].sum()))
        result["tags"] = {"distinct": int((tags > 0).sum()), "per video": round(float(tags.sum() / known), 2)}
        if len(store.pairs()):
            sizes = pair_graph(store)
            result["pairs"] = {
                "count": int(sizes.sum()),
                "components": len(sizes),
                "giant share": round(float(sizes.iloc[0] / sizes.sum()), 3),
            }
            result["splits"] = leaks(store).to_dict("index")
    elif (store.categories() >= 0).any():
        counts = class_counts(store)
        result["classes"] = {
            "with videos": int((counts > 0).sum()),
            "largest": int(counts.iloc[0]),
            "below ten": int(counts.between(1, 9).sum()),
        }
        result["splits"] = leaks(store).to_dict("index")
    return result


def _twin(about: dict | None) -> dict | None:
    """Seed, model and oracle; the statistics that a twin lists beside their targets have tests of their own."""
    return (
        None if about is None else {key: about[key] for key in ("seed", "model", "oracle", "planted") if key in about}
    )
