"""The script for a GPU goes through all of its steps on a CPU, so that it works on the day that one is lent."""

import json
import os
import subprocess

from benchmarks import published
from lib.runs import paths


def test_dry_run(tmp_path):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    command = ["bash", "benchmarks/gpu.sh", "--dry-run", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=paths.PROJECT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    (file,) = tmp_path.glob("gpu-*.json")
    rows = json.loads(file.read_text())["rows"]
    assert rows == [json.loads(line) for line in (tmp_path / "gpu.jsonl").read_text().splitlines()]
    assert [row for row in rows if "error" in row] == []
    of = {name: [row for row in rows if row["step"] == name] for name in dict.fromkeys(row["step"] for row in rows)}
    assert {"tests", "corpora", "steps", "inference", "pictures", "jobs", "checks"} == set(of)
    assert of["tests"][0]["skipped"] >= 8 and of["tests"][0]["failed"] == 0
    assert {(row["recipe"], row["compiled"], row["lengths"]) for row in of["steps"]} == {
        ("aiac_rank1", False, "full"), ("aiac_rank1", False, "real"), ("aiac_rank1", True, "full"),
        ("aiac_rank1", True, "real"), ("wechat_rank1", False, "real"), ("wechat_rank1", True, "real"),
    }  # fmt: skip
    full, real = of["steps"][:2]
    assert full["tflops_per_step"] > real["tflops_per_step"] and all(row["per_second"] > 0 for row in of["steps"])
    assert [row["per_second"] > 0 for row in of["pictures"]] == [True, True]
    assert of["jobs"][0]["score"] <= of["jobs"][0]["oracle"]
    killed, exact, spike = of["checks"]
    assert killed["resumed"].startswith("checkpoint-") and killed["score"] == killed["whole"] == exact["score"]
    assert spike["rewinds"] == 1 and spike["finite"]


def test_roofline_by_hand():
    """An H200 moves 4.8 TB/s and multiplies at 989.4 TFLOP/s: below 206 operations a byte memory is the bound."""
    few = published.roofline(1e12, 1e10, 0.01, "NVIDIA H200")
    assert (few["intensity"], few["bound"], few["mfu"], few["of_roof"]) == (100, "memory", 0.1011, 0.208)
    many = published.roofline(1e12, 1e9, 0.01, "NVIDIA H200")
    assert (many["bound"], many["mfu"], many["of_roof"]) == ("compute", 0.1011, 0.101)
    assert published.roofline(1e12, 1e9, 0.01, "unknown")["bound"] is None
    assert published.card("NVIDIA H100 PCIe") != published.card("NVIDIA H100 80GB HBM3")
