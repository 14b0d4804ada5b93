"""``params/coverage.yaml``: each statement of a write-up points at something that is there."""

from __future__ import annotations

import pytest

from lab.show import claims as module
from lab.show.claims import check_coverage, coverage_table
from lab.show.specs import Coverage, ReportSpec
from lib.recipes.errors import RecipeError
from lib.recipes.load import load, validate
from tests.show.test_questions import cells


def covered(monkeypatch, *rows: dict) -> None:
    told = validate(Coverage, {"teams": {"team": [{"says": "a trick"} | row for row in rows]}}, "coverage.yaml")
    monkeypatch.setattr(module, "load", lambda of, name: told if of is Coverage else load(of, name))


def test_every_pointer_leads_somewhere_and_every_system_is_pointed_at() -> None:
    check_coverage()
    pointers = [where for rows in load(Coverage, "coverage").teams.values() for row in rows for where in row.where]
    assert {where.partition(": ")[0] for where in pointers} >= set(load(ReportSpec, "report").at("all"))


@pytest.mark.parametrize(
    ("where", "nearest"),
    [
        ("aiac_rank2: stages", "'aiac_rank2': did you mean 'aiac_rank6'?"),
        ("aiac_rank1: stages.pretrain.data.epoch", "'epoch': did you mean 'epochs'?"),
        ("aiac_rank1: variants.job2.model.fusion.lay", "'model.fusion.lay': did you mean 'model.fusion.layout'?"),
        ("aiac_rank1: published.0.836031", "'0.836031': did you mean '0.886031'?"),
        ("ablation/emma", "'emma': did you mean 'ema'?"),
        ("ablations/ema", "'ablations': did you mean 'ablation'?"),
        ("ensemble/aiac_rank1_jobs: also.Concats", "'Concats': did you mean 'Concat'?"),
        ("claim: PGD instead of FGMM", "'PGD instead of FGMM': did you mean 'PGD instead of FGM'?"),
        ("lib/models/fusions.py: SingleStream", "'lib/models/fusions.py': did you mean 'lib/models/fusion.py'?"),
        ("lib/models/fusion.py: SingleStreams", "'SingleStreams': did you mean 'SingleStream'?"),
    ],
)
def test_a_wrong_pointer_is_named_with_file_row_and_the_nearest(where, nearest, monkeypatch) -> None:
    covered(monkeypatch, {"where": ["aiac_rank1: model", where]})
    with pytest.raises(RecipeError) as error:
        check_coverage()
    assert str(error.value) == f"params/coverage.yaml: team: a trick: {where}: {nearest}"


@pytest.mark.parametrize("row", [{}, {"where": ["ablation/ema"], "not_reproduced": "why"}])
def test_a_statement_has_a_place_or_a_reason(row, monkeypatch) -> None:
    with pytest.raises(RecipeError, match="a trick: give either where"):
        covered(monkeypatch, row)


def test_the_table_counts_statements_and_gives_each_reason_once(monkeypatch) -> None:
    asked, no = {"where": ["aiac_rank1: model", "ablation/ema"]}, {"not_reproduced": "no GPU"}
    covered(monkeypatch, asked, {"where": ["claim: ema"]}, no, {"says": "speed", **no}, {"not_reproduced": "no videos"})
    why = "a trick; speed: **no GPU**<br>a trick: **no videos**"
    told = {"team": "team", "here": "2", "asked": "1", "not here": "3", "not reproduced: why": why}
    assert cells(coverage_table()) == {"team": told}
    assert coverage_table().caption.startswith("2 of 5 statements ")
