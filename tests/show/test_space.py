"""Videos one by one: categories, neighbours, the map."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from lab.show import predictions, space, style, systems
from lib.data.store import Store
from tests.show import drawn


@pytest.fixture(scope="module")
def job(world):
    return systems.scored_job(world, "aiac_rank1")


def test_upper_categories_of_contests_and_of_ones_own():
    names = ["0105", "10802", "animals/cat", "cat"]
    store = SimpleNamespace(manifest={"categories": names}, categories=lambda: np.array([0, 1, 2, 3, -1]))
    assert space.upper_categories(store, np.arange(5)).tolist() == ["01", "108", "animals", "cat", "unknown"]
    without = SimpleNamespace(manifest={"categories": None}, categories=lambda: np.array([-1]))
    assert space.upper_categories(without, np.array([0])).tolist() == ["unknown"]


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


def test_agreement_by_hand(monkeypatch):
    """Two of one kind beside each other, one of another kind between nobody."""
    vectors = np.array([[1.0, 0.0], [0.98, 0.2], [0.0, 1.0], [0.1, 0.99]])
    monkeypatch.setattr(space.predictions, "vectors", lambda run: (np.arange(4), vectors))
    store = SimpleNamespace(manifest={"categories": ["a/x", "b/y"]}, categories=lambda: np.array([0, 0, 1, 0]))
    found = space.agreement(None, store, count=1)
    assert found == {"videos": 4, "share": 0.5, "chance": pytest.approx(3 * 2 / 12)}
    alone = SimpleNamespace(manifest={"categories": ["a/x"]}, categories=lambda: np.array([0, -1, -1, -1]))
    assert np.isnan(space.agreement(None, alone)["share"])


def test_map_draws_every_video_in_the_colour_of_its_category(job, monkeypatch):
    monkeypatch.setattr(space, "layout", lambda vectors: vectors[:, :2])
    store = Store.open(job.corpus.store)
    monkeypatch.setattr(space, "GROUPS", 2)
    picture = space.embedding_map(job.folder, store, "x")
    rows, vectors = predictions.vectors(job.folder)
    frame, axis = picture.frame, picture.figure.axes[0]
    assert frame["row"].tolist() == rows.tolist()
    assert drawn.dots(axis) == pytest.approx(vectors[:, :2])
    assert frame["category"].tolist() == space.upper_categories(store, rows).tolist()
    common = frame["category"].value_counts().index[:2]
    assert frame["colour"].eq("other").equals(~frame["category"].isin(common))
    legend = drawn.words(picture.figure)
    assert set(legend) == {*common, "other"} and legend[-1] == "other"
    palette = {legend[0]: style.BLUE, legend[1]: style.ORANGE, "other": style.FAINT}
    wanted = [[int(palette[kind][i : i + 2], 16) / 255 for i in (1, 3, 5)] for kind in frame["colour"]]
    assert axis.collections[0].get_facecolors()[:, :3] == pytest.approx(np.array(wanted))


def test_layout_is_deterministic_and_keeps_clusters_apart():
    """Two far clusters stay two clusters: every nearest neighbour on the map is of the same cluster."""
    group = np.repeat([0, 1], 30)
    vectors = np.random.default_rng(0).normal(size=(60, 8)) * 0.1 + np.eye(8)[group]
    first = space.layout(vectors)
    assert np.array_equal(first, space.layout(vectors))
    distance = np.linalg.norm(first[:, None] - first[None], axis=2) + np.eye(60) * 1e9
    assert (group[distance.argmin(axis=1)] == group).all()


def test_a_large_map_shows_some_videos_the_same_each_time(job, monkeypatch):
    monkeypatch.setattr(space, "layout", lambda vectors: vectors[:, :2])
    monkeypatch.setattr(space, "MAX_POINTS", 30)
    store = Store.open(job.corpus.store)
    first, second = (space.embedding_map(job.folder, store, "x").frame for _ in range(2))
    assert len(first) == first["row"].nunique() == 30 and first["row"].is_monotonic_increasing and first.equals(second)


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
