"""The table of kinds: every metric that may select says its sign, and every primary metric is one of its kind."""

from lib.runs.kinds import CONTEST_METRICS, HIGHER_IS_BETTER, KINDS


def test_every_metric_that_may_select_has_a_sign():
    assert {metric for kind in KINDS.values() for metric in kind.selects} == set(HIGHER_IS_BETTER)
    assert [name for name, better in HIGHER_IS_BETTER.items() if better] == ["spearman", "mean_f1"]


def test_a_primary_metric_leads_back_to_its_kind():
    assert CONTEST_METRICS == ("spearman", "mean_f1") and KINDS["pairs"].selects == ("spearman", "mse")
