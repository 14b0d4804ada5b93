"""What a corpus of one's own allows: pictures where there are no features, and recipes of its track."""

import json

import pytest

from lib.recipes.errors import RecipeError
from lib.recipes.job import Job


def store(folder, track: str, images: bool, frame_dim: int | None) -> str:
    folder.mkdir()
    about = {"track": track, "images": images, "frame_dim": frame_dim, "fingerprint": "0"}
    (folder / "manifest.json").write_text(json.dumps(about))
    return str(folder)


@pytest.mark.parametrize("arm", ["base", "bags"])
@pytest.mark.parametrize(
    ("images", "frame_dim", "expected"), [(True, None, "pixels_small"), (True, 8, "given"), (False, 8, "given")]
)
def test_pictures_take_the_place_of_features_that_are_not_there(tmp_path, arm, images, frame_dim, expected):
    job = Job.load("wechat_baseline", "finetune", arm, 0, "laptop", store(tmp_path / "s", "classes", images, frame_dim))
    assert job.spec.features.frames.set == expected == job.describe()["frames"]
    assert [ref.name for ref in job.feature_sets] == ["tokens", *([expected] if expected != "given" else [])]


def test_another_track_names_the_recipes_that_fit(tmp_path):
    with pytest.raises(RecipeError, match="is a corpus of classes; recipes for it: wechat_baseline, wechat_rank72"):
        Job.load("aiac_rank1", "finetune", "base", 0, "laptop", store(tmp_path / "s", "classes", True, None))
