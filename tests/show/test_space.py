"""Videos one by one: categories, neighbours, the map."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from lab.show import predictions, space, systems
from lib.data.store import Store


@pytest.fixture(scope="module")
def job(world):
    return systems.scored_job(world, "aiac_rank1")


def test_neighbours_are_the_nearest_by_cosine(job):
    rows, vectors = predictions.vectors(job.folder)
    first = int(np.argmax(vectors @ vectors.mean(axis=0)))
    cosines = np.delete(vectors @ vectors[first], first)
    found, alike = space.nearest(job.folder, 2, 3)
    assert found[0, 0] == rows[first] and alike[0, 0] == 1
    assert alike[0, 1:].tolist() == pytest.approx(np.sort(cosines)[::-1][:3].tolist())
    assert vectors[rows == found[0, 2]][0] @ vectors[first] == pytest.approx(alike[0, 2])
    store = Store.open(job.corpus.store)
    frame = space.neighbours(job.folder, store, 2, 3).frame
    assert frame["cosine"].tolist() == pytest.approx(alike[:, 1:].ravel().tolist())
    assert frame["video"].iloc[0] == space.described(store, rows[first]) and frame["rank"].tolist() == [1, 2, 3] * 2


def test_a_video_without_a_title_is_known_by_its_speech_or_id(job):
    store = Store.open(job.corpus.store)
    video = store.video(0, frames=False)
    assert not video.title and space.title(store, 0) in (video.asr, f"(no text) {video.id}")
    assert space.title(store, 1, 4) == store.video(1, frames=False).title[:3] + "…"


def test_a_gallery_shows_the_middle_frame_of_each_video_beside_its_neighbours(monkeypatch):
    """Four videos of one colour each; the third has no picture."""
    vectors = np.array([[1.0, 0.0], [0.98, 0.199], [0.0, 1.0], [0.1, 0.995]])
    monkeypatch.setattr(space.predictions, "vectors", lambda run: (np.arange(4), vectors))
    monkeypatch.setattr(space, "QUERIES", 2)
    monkeypatch.setattr(space, "COUNT", 1)

    def frames(row: int) -> list[bytes]:
        found = []
        for shade in (0, 60 * (row + 1), 255):  # the middle one counts
            buffer = io.BytesIO()
            Image.new("RGB", (8, 12), (shade, 0, 0)).save(buffer, "png")
            found.append(buffer.getvalue())
        return found

    store = SimpleNamespace(
        images=lambda row: frames(row) if row != 2 else [], column=lambda name: np.array(list("abcd")),
        video=lambda row, frames: SimpleNamespace(title=f"title {row}", asr="", id=str(row), category=None, tags=None),
    )  # fmt: skip
    picture = space.gallery(None, store, "x")
    rows, cosines = space.nearest(None, 2, 1)
    assert picture.photo and picture.frame["video"].tolist() == [list("abcd")[row] for row in rows.ravel()]
    assert picture.frame["cosine"].tolist() == pytest.approx(cosines.ravel().tolist())
    for row, axis in zip(rows.ravel(), picture.figure.axes, strict=True):
        shown = [np.asarray(image.get_array())[0, 0].tolist() for image in axis.get_images()]
        assert shown == ([] if row == 2 else [[60 * (row + 1), 0, 0]])
        assert axis.get_xlabel().startswith(f"title {row}")
