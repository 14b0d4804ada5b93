"""Groups by name: the published ones, and rates by hand."""

import pytest
import torch
from torch import nn

from lib.training.optimizers import build_optimizer, param_groups
from lib.training.trainer import Task
from tests.golden_models import WECHAT_BASELINE, aiac_rank1, wechat_baseline
from tests.golden_rule import load_case, load_renamed


def by_settings(groups: list[dict], key: str) -> dict[tuple[float, float], set[str]]:
    """(lr, decay) -> names; groups that share both are one."""
    found: dict[tuple[float, float], set[str]] = {}
    for group in groups:
        found.setdefault((group["lr"], group["weight_decay"]), set()).update(group[key])
    return {settings: names for settings, names in found.items() if names}


@pytest.mark.parametrize(
    "stage, rates", [("pretrain", {"backbone": 5e-5, "rest": 5e-4}), ("finetune", {"backbone": 1e-5, "rest": 5e-5})]
)
@pytest.mark.parametrize("job", ["job1", "job2", "job4"])
def test_golden_aiac_rank1(job, stage, rates):
    """The original's rules (roberta -> small rate; bias, LayerNorm.weight -> no decay) and ours make the same groups."""
    case = load_case(f"r1/{job}")
    system = aiac_rank1(case)
    recorded = by_settings(case.json("param_groups")[stage], "parameters")
    theirs = {
        settings: {system.renamed[name] for name in names if name in system.renamed}
        for settings, names in recorded.items()
    }
    ours = by_settings(param_groups(Task(system.model, system.mix).named_parameters(), lr=rates), "names")
    if stage == "finetune":  # the original carries the pretraining heads along without ever using them
        heads = {name for names in theirs.values() for name in names if name.startswith("mix.")}
        ours = {
            settings: names - {n for n in names if n.startswith("mix.") and n not in heads}
            for settings, names in ours.items()
        }
    assert ours == theirs and len(ours) == 4
    left_out = {name for names in recorded.values() for name in names} - set(system.renamed)
    assert left_out == {"roberta.bert.video_embeddings.word_embeddings.weight"}  # A7-14, a table never read


def test_golden_wechat_baseline():
    case = load_case("wechat/multimodal")
    model = wechat_baseline(case)
    renamed = load_renamed(model, case.weights, WECHAT_BASELINE)
    recorded = by_settings(case.json("param_groups"), "parameters")
    theirs = {settings: {f"model.{renamed[name]}" for name in names} for settings, names in recorded.items()}
    assert by_settings(param_groups(Task(model, nn.Module()).named_parameters(), lr=5e-5), "names") == theirs


class Stack(nn.Module):
    """Embeddings, two layers, a head; named as in a video model."""

    def __init__(self):
        super().__init__()
        self.model = nn.Module()
        self.model.text = nn.Module()
        self.model.text.embeddings = nn.Embedding(4, 2)
        self.model.fusion = nn.Module()
        self.model.fusion.layer = nn.ModuleList([nn.Linear(2, 2) for _ in range(2)])
        self.model.fusion.norm = nn.LayerNorm(2)
        self.model.head = nn.Linear(2, 1)


def test_rates_by_hand():
    """The head is not in the backbone."""
    groups = param_groups(Stack().named_parameters(), lr={"backbone": 1.0, "rest": 10.0})
    rates = {name: group["lr"] for group in groups for name in group["names"]}
    assert rates == {
        "model.text.embeddings.weight": 1.0,
        "model.fusion.layer.0.weight": 1.0, "model.fusion.layer.0.bias": 1.0,
        "model.fusion.layer.1.weight": 1.0, "model.fusion.layer.1.bias": 1.0,
        "model.fusion.norm.weight": 1.0, "model.fusion.norm.bias": 1.0,
        "model.head.weight": 10.0, "model.head.bias": 10.0,
    }  # fmt: skip


def test_a7_12_one_rate_for_all_layers():
    assert {group["lr"] for group in param_groups(Stack().named_parameters(), lr=0.1)} == {0.1}


def test_frozen_parameters_are_left_out_and_all_others_occur_once():
    stack = Stack()
    stack.model.text.requires_grad_(False)
    groups = param_groups(stack.named_parameters(), lr=0.1)
    listed = [parameter for group in groups for parameter in group["params"]]
    wanted = [parameter for parameter in stack.parameters() if parameter.requires_grad]
    assert sorted(map(id, listed)) == sorted(map(id, wanted))


def test_adamw_step_by_hand():
    """One step from zero moments: p (1 - lr wd) - lr g / (|g| + eps), with the bias corrections cancelling."""
    parameter = nn.Parameter(torch.tensor([[1.0, -2.0]]))
    parameter.grad = torch.tensor([[0.5, -0.25]])
    build_optimizer([("model.head.weight", parameter)], lr=0.1, weight_decay=0.01, eps=1e-6).step()
    expected = [1.0 * 0.999 - 0.1 * 0.5 / (0.5 + 1e-6), -2.0 * 0.999 + 0.1 * 0.25 / (0.25 + 1e-6)]
    torch.testing.assert_close(parameter.detach(), torch.tensor([expected]), rtol=0, atol=1e-6)


def test_aiac_10_r6_7_layer_groups():
    """R6-7 and table B3.4: GRU-LXMERT's six groups, from half the rate to the whole, evenly in ratio."""
    layers = ["model.text.table", "model.fusion.gru", *(f"model.fusion.layers.{i}.w" for i in range(3)), "model.head.w"]
    named = [(name, torch.nn.Parameter(torch.zeros(2, 2))) for name in [*layers, "mix.terms.tags.w"]]
    patterns = [r"model\.text", r"gru", r"layers\.0", r"layers\.1", r"layers\.2", r"model\.head"]
    groups = param_groups(named, lr=1e-4, layer_groups=patterns)
    rates = {name: group["lr"] for group in groups for name in group["names"]}
    published = [5.00e-5, 5.74e-5, 6.60e-5, 7.58e-5, 8.71e-5, 10.0e-5]
    assert [rates[name] for name in layers] == pytest.approx(published, rel=1e-3)
    assert rates["mix.terms.tags.w"] == 1e-4
