"""Nearest neighbours with frames: a corpus of seven plain-coloured videos whose neighbours are known."""

import io

import numpy as np
import pytest
from PIL import Image

from lab.corpora.writer import StoreWriter
from lab.show import check, examples, frames, show, style
from lab.show.gallery import gallery
from lab.show.site import Site
from lib.data.schema import Video
from lib.data.store import Store
from lib.runs.folder import RunFolder

ANGLES = np.radians([0, 1, 3, 90, 91, 180, 182])  # video 0 is nearest to 1, then 2
COLOURS = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 0), (0, 200, 200), (200, 0, 200), None]
CATEGORIES = ["0001", "0000", "0101", "0100", "0100", "0200", None]
BLACK = (0, 0, 0)


def jpeg(colour, size=(60, 40)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "jpeg", quality=95)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[RunFolder, Store]:
    """Black first and last frames around the colour; the last video has neither pictures nor a category."""
    folder = tmp_path_factory.mktemp("gallery")
    with StoreWriter(folder / "store", track="classes", source="wechat2022") as writer:
        for number, (colour, category) in enumerate(zip(COLOURS, CATEGORIES, strict=True)):
            images = () if colour is None else (jpeg(BLACK), jpeg(colour), jpeg(BLACK))
            part = "unlabeled" if category is None else "labeled"
            writer.add(Video(id=f"v{number}", title=f"题<{number}>", category=category, part=part, images=images))
        writer.finish(categories=sorted({name for name in CATEGORIES if name}))
    run = RunFolder(folder / "run")
    vectors = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
    run.write_arrays(run.embeddings, ids=np.array(["v"] * 7), rows=np.arange(7), vectors=vectors)
    return run, Store.open(folder / "store")


def test_nearest_by_hand(made):
    rows, cosines = examples.nearest(made[0], 3, 2)
    told = {int(line[0]): line[1:].tolist() for line in rows}
    assert len(told) == 3 and rows.shape == cosines.shape == (3, 3)
    wanted = {0: [1, 2], 1: [0, 2], 2: [1, 0], 3: [4, 2], 4: [3, 2], 5: [6, 4], 6: [5, 4]}
    assert all(told[query] == wanted[query] for query in told)
    assert cosines == pytest.approx(np.cos(ANGLES[rows] - ANGLES[rows[:, :1]]))


def test_a_video_with_the_vector_of_another_is_its_neighbour_and_not_itself(tmp_path):
    run = RunFolder(tmp_path)
    run.write_arrays(run.embeddings, rows=np.array([4, 7, 9]), vectors=np.array([[1.0, 0], [1, 0], [0, 1]]))
    rows, cosines = examples.nearest(run, 3, 9)
    assert all(sorted(line) == [4, 7, 9] for line in rows.tolist()) and cosines[:, 0].tolist() == [1, 1, 1]


def test_agreement_by_hand(made):
    """Upper categories 00 00 01 01 01 02: the nearest of the six is of the same in 0 <-> 1 and 3 <-> 4 only."""
    found = examples.agreement(*made, count=1)
    assert found["videos"] == 6 and found["share"] == pytest.approx(4 / 6)
    assert found["chance"] == pytest.approx((2 * 1 + 3 * 2) / (6 * 5))


def test_thumbnail_is_the_middle_frame_cut_to_a_square(made):
    picture = frames.thumbnail(made[1], 1, 24)
    assert picture.size == (24, 24) and picture.getpixel((12, 12)) == pytest.approx((0, 200, 0), abs=6)
    with pytest.raises(ValueError, match="v6 has no pictures"):
        frames.thumbnail(made[1], 6)


def test_few_colours_are_few():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8))
    assert len(np.unique(frames.few_colours(noise).reshape(-1, 3), axis=0)) <= frames.COLOURS


def test_sheet_has_every_frame_in_its_place_and_white_where_there_is_none(made):
    data = frames.sheet(made[1], np.array([[0, 1], [6, 3]]), 32)
    whole = Image.open(io.BytesIO(data))
    assert whole.size == (64, 64) and data == frames.sheet(made[1], np.array([[0, 1], [6, 3]]), 32)
    for place, colour in {
        (16, 16): COLOURS[0],
        (48, 16): COLOURS[1],
        (16, 48): (255,) * 3,
        (48, 48): COLOURS[3],
    }.items():
        assert whole.getpixel(place) == pytest.approx(colour, abs=12)


def test_gallery_page_shows_each_video_with_its_own_text(made, tmp_path):
    site = Site(tmp_path / "out", [("home", "index.html")])
    shown = gallery(site, "x", *made)
    site.html("index", shown.html(), "home")
    assert check.problems(site.finish()) == []
    told = shown.html()
    framed = sum(cell.framed for row in shown.cells for cell in row)
    assert told.count("<img ") == framed < sum(map(len, shown.cells)) == 25
    assert told.count('src="figures/gallery_x.jpg"') == framed and 'alt="a frame of 题&lt;' in told
    assert "object-position:-96px -0px" in told and "object-position:-96px -96px" in told
    assert "<0>" not in told and "cosine 1.000" in told
    assert "figures/gallery_x.jpg" in shown.markdown() and (tmp_path / "out/tables/neighbours_x.csv").exists()


def test_gallery_needs_pictures(world, tmp_path):
    job = world.job("wechat_baseline", "finetune")
    with pytest.raises(ValueError, match="no pictures"):
        gallery(Site(tmp_path / "out", []), "x", job.folder, Store.open(job.corpus.store))


def test_map_shows_frames_where_there_are_pictures(made, world):
    """Matplotlib writes pictures into an SVG as PNG; dots so few stay shapes."""
    assert style.svg(show.embedding_map(*made)).count("data:image/png") >= 3
    job = world.job("wechat_baseline", "finetune")
    assert "data:image/png" not in style.svg(show.embedding_map(job.folder, job.corpus.store))
