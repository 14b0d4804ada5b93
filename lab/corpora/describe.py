"""What a corpus looks like, as data frames: for the command line and the first notebook."""

from typing import Any, cast

import numpy as np
import pandas as pd
from pyarrow import compute

from lab.corpora.twin.worlds import WORLDS, differences, why_given_up
from lib.data import splits
from lib.data.store import Store

pc: Any = compute  # makes its functions when it is imported, so their names cannot be checked
TEXTS = ("title", "asr", "ocr")
EXAMPLES = 5
CALIBRATION = {"statistic": "statistic", "target": "published", "low": "lowest", "high": "highest"}
CALIBRATION |= {world: world for world in WORLDS}


def texts(store: Store) -> pd.DataFrame:
    """One row a video: part, length in characters of title, asr and ocr (all its lines), number of frames."""
    chunks = []
    for batch in store.batches("part", "title", "asr", "ocr"):
        part, title, asr, ocr = batch.columns
        lines = pc.utf8_length(pc.struct_field(ocr.flatten(), "text")).to_numpy(zero_copy_only=False)
        count = pc.fill_null(pc.list_value_length(ocr), 0).to_numpy(zero_copy_only=False)
        owner = np.repeat(np.arange(len(ocr)), count)
        chunks.append(pd.DataFrame({
            "part": pd.Categorical(part.to_pylist(), store.parts), "title": pc.utf8_length(title).to_numpy(), "asr": pc.utf8_length(asr).to_numpy(),
            "ocr": np.bincount(owner, lines, minlength=len(ocr)).astype(np.int32),
        }))  # fmt: skip
    table = pd.concat(chunks, ignore_index=True)
    return table.assign(part=table["part"].astype(str), frames=store.n_frames)


def lengths(table: pd.DataFrame) -> pd.DataFrame:
    """Mean, quartiles and share of empty fields, a row per field of ``texts``."""
    fields = table[[*TEXTS, "frames"]]
    quartiles = {name: fields.quantile(q) for name, q in (("p25", 0.25), ("median", 0.5), ("p75", 0.75))}
    rest = {"max": fields.max(), "empty": (fields == 0).mean()}
    return pd.DataFrame({"mean": fields.mean(), **quartiles, **rest}).round(2)


def parts(store: Store, table: pd.DataFrame) -> pd.DataFrame:
    """A row per part: videos, and the share of them without title, asr, ocr, frames, tags and category."""
    lacking = (table[[*TEXTS, "frames"]] == 0).assign(tags=~store.tags_csr()[2], category=store.categories() < 0)
    grouped = lacking.groupby(table["part"])
    shares = cast(pd.DataFrame, grouped.mean()).add_prefix("no ")
    shares.insert(0, "videos", grouped.size())
    return shares.round(3).rename_axis(None)


def tag_counts(store: Store) -> pd.Series:
    """Videos per tag of the vocabulary, most frequent first."""
    return _ranked(store.tags_csr()[1], store.manifest["tags"] or [])


def class_counts(store: Store) -> pd.Series:
    """Labelled videos per category, most frequent first."""
    labels = store.categories()
    return _ranked(labels[labels >= 0], store.manifest["categories"] or [])


def _ranked(found: np.ndarray, names: list) -> pd.Series:
    counts = pd.Series(np.bincount(found, minlength=len(names)), index=names, name="videos")
    return counts.sort_values(ascending=False, kind="stable")


def pair_graph(store: Store) -> pd.Series:
    """Pairs per connected component of the pair graph, largest first."""
    pairs = store.pairs()
    owner = splits.component_of(pairs["row1"].to_numpy(), pairs["row2"].to_numpy())
    sizes = pd.Series(np.bincount(owner), name="pairs")
    return sizes.loc[sizes > 0].sort_values(ascending=False).reset_index(drop=True)


def facts(store: Store) -> dict[str, Any]:
    """The manifest, for people: what is held, and for a generated corpus the score of an oracle and what was planted."""
    manifest, counts, twin = store.manifest, store.manifest["counts"], store.manifest["twin"] or {}
    held = {name: len(manifest[name] or ()) for name in ("tags", "categories")}
    planted = {f"planted, {name.replace('_', ' ')}": round(share, 3) for name, share in twin.get("planted", {}).items()}
    return {
        "track": store.track,
        "format": manifest["source"],
        **{name: counts[name] for name in ("videos", "frames", "pairs", "rejected")},
        "pictures": int(store.n_images.sum()),
        "numbers per frame": store.frame_dim or "none",
        **held,
        "generated": f"{twin.get('world', 'calibrated')} world, seed {twin.get('seed')}" if twin else "no",
        **{f"oracle, {name}": round(score, 4) for name, score in twin.get("oracle", {}).items()},
        **planted,
        "fingerprint": store.fingerprint,
    }


def calibration(store: Store) -> pd.DataFrame:
    """What generated corpora are made to resemble: a row per published statistic, empty for any other corpus. Columns:
    ``statistic``, ``published``, ``lowest`` and ``highest`` that count as met; what a corpus of each world has that is
    as large as these ask for, ``calibrated`` and ``clear``; ``here`` (NaN where so few videos have no such statistic);
    ``given_up``, why the clear world does not keep it, or empty."""
    from lab.corpora.twin.calibration import of_worlds  # here, because its metrics start torch

    here = {row["statistic"]: row["measured"] for row in (store.manifest["twin"] or {}).get("calibration", [])}
    table = pd.DataFrame(of_worlds(store.track) if here else [], columns=list(CALIBRATION)).rename(columns=CALIBRATION)
    kept = table["clear"].between(table["lowest"], table["highest"])
    why = ["" if met else why_given_up(name) for name, met in zip(table["statistic"], kept, strict=True)]
    return table.assign(here=np.array([here.get(name) for name in table["statistic"]], float), given_up=why)


def worlds(track: str) -> pd.DataFrame:
    """What is other in the clear world than in the calibrated one: ``what``, ``calibrated``, ``clear``, all in words."""
    rows = [(what, *(_setting(value) for value in values)) for what, *values in differences(track)]
    return pd.DataFrame(rows, columns=["what", "calibrated", "clear"])


def _setting(value: Any) -> str:
    if value is None:
        return "as many as the real corpus has"
    if not isinstance(value, tuple):
        return f"{value:g}"
    if isinstance(value[0], tuple):
        return ", ".join(f"{name} {share:g}" for name, share in value)
    return " / ".join(f"{part:g}" for part in value)


def examples(store: Store, count: int = EXAMPLES) -> pd.DataFrame:
    """Some videos, evenly spread over the store."""
    rows = np.linspace(0, len(store) - 1, min(count, len(store))).astype(int)
    videos = [store.video(row, frames=False) for row in rows]
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
        ends = pd.concat([counts.head(EXAMPLES), counts.loc[counts > 0].tail(EXAMPLES)])
        result["Categories, largest and smallest"] = pd.DataFrame(ends.loc[~ends.index.duplicated()])
    if len(store.pairs()):
        score = store.pairs()["score"]
        result["Pairs"] = pd.DataFrame({"score": score.describe()}).round(3)
    result["Examples"] = examples(store)
    return result
