"""The page of nearest videos: every query with its own, a picture of each, and nothing that needs another file."""

import base64
import io
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lab.show import gallery
from tests.corpora import small

INFO = dict(recipe="wechat_baseline", arm="few", metric="mean_f1", score=0.5, low=0.321, high=0.7) | {
    "trained on": "mine"
}


def test_every_query_with_its_nearest_videos(tmp_path):
    for name, shades in {"a.mp4": (0, 0, 120, 120, 240, 240), "<b>.mp4": (9, 9)}.items():
        small.movie(tmp_path / name, shades)
    a, b, gone = (str(tmp_path / name) for name in ("a.mp4", "<b>.mp4", "gone.mp4"))
    queries = pd.DataFrame({"id": [a, b], "title": ["a", "<b>"], "vector": [np.ones(2)] * 2})
    rows = [(a, 1, b, "<b>", 0.75), (a, 2, gone, "gone", 0.5), (b, 1, a, "a", 0.25)]
    found = pd.DataFrame(rows, columns=["query", "rank", "id", "title", "score"])
    text = gallery.write(tmp_path / "g.html", queries, found, INFO).read_text(encoding="utf-8")
    sections = text.split('<section class="query">')[1:]
    assert [re.findall(r"<b>(0\.\d+)</b>", part) for part in sections] == [["0.750", "0.500"], ["0.250"]]
    assert [part.count("<img") for part in sections] == [2, 2] and sections[0].count("no picture") == 1
    assert (
        "WeChat baseline, trained on mine; mean F1 0.50 on videos that were held back, 95 % interval 0.32 to 0.70."
        in text
    )
    assert "&lt;b&gt;" in text and "<b>.mp4" not in text
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', text)
    assert len(pictures) == text.count("src=") == 4 and "href=" not in text
    middle = Image.open(io.BytesIO(base64.b64decode(pictures[0])))
    assert abs(np.asarray(middle).mean() - 120) < 12 and max(middle.size) <= gallery.SIDE
    with pytest.raises(FileExistsError, match=r"a.mp4: a file of another kind"):
        gallery.write(tmp_path / "a.mp4", queries, found, INFO)


def test_pictures_stand_upright_and_in_eight_bits(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.full((20, 60), 1000, "<u2")).save(tmp_path / "1.png", exif=exif)
    shown = Image.open(io.BytesIO(base64.b64decode(gallery._picture(str(tmp_path)).partition(",")[2])))
    assert shown.size == (20, 60) and np.asarray(shown).max() < 8
