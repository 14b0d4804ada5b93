"""Speeds beside published ones: the fastest way on each card, and what was never measured says so."""

import json

from lab.show import speed


def test_what_was_not_measured_says_so(tmp_path):
    shown = speed.table(speed.measured(tmp_path)).markdown()
    assert shown.count("not measured") == len(speed.WANTED) and "258, one A100" in shown


def test_the_fastest_way_on_each_card(tmp_path):
    about = {"step": "steps", "recipe": "aiac_rank1", "stage": "pretrain", "arm": "base", "lengths": "real"}
    work = {"peak_gb": 21.5, "mfu": 0.52, "intensity": 310.0, "bound": "compute", "of_roof": 0.52}
    eager, fast = ({**about, **work, "compiled": c, "per_second": r} for c, r in ((False, 2100.0), (True, 3210.4)))
    other = {**about, "arm": "job2", "compiled": True, "per_second": 9999.0}
    for card, rows in {
        "NVIDIA H200": [eager, fast, other, {**about, "error": "cut off"}],
        "NVIDIA H100": [eager],
    }.items():
        (tmp_path / f"gpu-{card[-4:]}.json").write_text(json.dumps({"device": card, "rows": rows}))
    frame = speed.measured(tmp_path)
    found = frame[frame["what"] == "AIAC 1st, job 1, pretraining"].set_index("card")["per_second"].to_dict()
    assert found == {"NVIDIA H200": 3210.4, "NVIDIA H100": 2100.0}
    shown = speed.table(frame).markdown()
    assert "3,210 videos/s" in shown and "compiled, real" in shown and "52.0 % of compute" in shown and "3,000" in shown
    assert shown.count("not measured") == len(speed.WANTED) - 1
