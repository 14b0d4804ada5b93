"""The benchmark of feature extraction runs from nothing and says how busy the cores were."""

from benchmarks import extraction


def test_both_sides_build_one_set(tmp_path, monkeypatch):
    monkeypatch.setenv("VIDLAB_HOME", str(tmp_path))
    row = extraction.run(40, "pixels_small", "", rounds=1)
    assert row["videos"] == 40 and 40 <= row["pictures"] <= 40 * extraction.PICTURES
    assert row["encoder"] == "random-test_vit, 96 pixels" and row["ratio"] > 0
    assert 0 < row["naive_busy"] <= 1.05 and 0 < row["ours_busy"] <= 1.05
