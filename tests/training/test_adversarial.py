"""FGM and PGD against the recordings of WeChat rank 72 (golden rank72/fgm, pgd, tolerance 1e-6), and their invariants; AWP by hand."""

import pytest
import torch
from torch import nn

from lib.training.adversarial import Awp, Fgm, Pgd
from tests.golden_rule import load_case
from tests.training.toy import gradient_of, loss_of, table_of, toy


def attacked(case, adversary):
    """Clean pass, then the adversary; returns the module, its table and the loss at every further pass."""
    module, tables, losses = toy(case), [], []
    loss_of(module, case).backward()

    def again():
        loss = loss_of(module, case)
        tables.append(table_of(module))
        losses.append(loss.item())
        loss.backward()

    adversary(module, again)
    return module, tables, losses


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_golden_fgm():
    case = load_case("rank72/fgm")
    module, (table,), (loss,) = attacked(case, Fgm(epsilon=1.0))
    close(table, case["out/perturbed"])
    assert loss == pytest.approx(float(case["out/loss_adversarial"]), abs=1e-6)
    close(gradient_of(module.word_embeddings.weight), case["out/grad_sum"])
    close(gradient_of(module.linear.weight), case["out/grad_sum_linear"])
    assert torch.equal(table_of(module), toy(case).word_embeddings.weight)


@pytest.mark.parametrize("kind, epsilon", [("free", 1.0), ("projected", 0.5)])
def test_golden_pgd(kind, epsilon):
    case = load_case("rank72/pgd")
    module, tables, losses = attacked(case, Pgd(epsilon=epsilon, alpha=0.3, steps=3))
    for step in (1, 2, 3):
        close(tables[step - 1], case[f"out/{kind}/perturbed{step}"])
        assert losses[step - 1] == pytest.approx(float(case[f"out/{kind}/loss{step}"]), abs=1e-6)
    close(gradient_of(module.word_embeddings.weight), case[f"out/{kind}/grad_sum"])
    close(gradient_of(module.linear.weight), case[f"out/{kind}/grad_sum_linear"])
    assert torch.equal(table_of(module), toy(case).word_embeddings.weight)


def test_section_15_system_1_7_norm_over_the_whole_table():
    """The table moves by exactly epsilon, over 21128 x 768 numbers, and comes back bit for bit."""
    module = nn.Module()
    module.word_embeddings = nn.Embedding(21128, 768)
    table = module.word_embeddings.weight
    table.grad = torch.randn(table.shape, generator=torch.Generator().manual_seed(0))
    before, moved = table.detach().clone(), []
    Fgm(epsilon=1.0)(module, lambda: moved.append(float((table.detach() - before).double().norm())))
    assert moved == [pytest.approx(1.0, abs=1e-4)] and torch.equal(table, before)


def test_section_15_tricks_pgd_stays_in_the_ball():
    case = load_case("rank72/pgd")
    start = toy(case).word_embeddings.weight.detach()
    for epsilon, limit in ((0.5, 0.5), (10.0, 0.9)):
        _, tables, _ = attacked(case, Pgd(epsilon=epsilon, alpha=0.3, steps=3))
        assert all(float((table - start).norm()) <= limit + 1e-6 for table in tables)


@pytest.mark.parametrize("adversary", [Fgm(), Pgd(), Awp()])
@pytest.mark.parametrize("gradient", [0.0, float("nan")])
def test_a_useless_gradient_moves_nothing(adversary, gradient):
    case = load_case("rank72/fgm")
    module = toy(case)
    module.word_embeddings.weight.grad = torch.full((10, 4), gradient)
    tables = []
    adversary(module, lambda: tables.append(table_of(module)))
    assert all(torch.equal(table, table_of(module)) for table in tables) and torch.isfinite(table_of(module)).all()


@pytest.mark.parametrize("adversary", [Fgm(), Pgd(), Awp()])
def test_weights_come_back_after_an_error(adversary):
    case = load_case("rank72/fgm")
    module = toy(case)
    loss_of(module, case).backward()
    before = table_of(module)

    def fails():
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError):
        adversary(module, fails)
    assert torch.equal(table_of(module), before)


def test_only_trainable_parameters_of_that_name():
    case = load_case("rank72/fgm")
    module = toy(case)
    with pytest.raises(ValueError, match="'char_embeddings'"):
        Fgm(parameters="char_embeddings")(module, lambda: None)
    module.word_embeddings.requires_grad_(False)
    with pytest.raises(ValueError, match="no trainable parameter"):
        Fgm()(module, lambda: None)


def test_awp_by_hand():
    """Weights (3, 4) of norm 5, gradient (0, 2), step 5 along it: (3, 9), clipped to a tenth of each number: (3, 4.4)."""
    module = nn.Module()
    module.weight = nn.Parameter(torch.tensor([3.0, 4.0]))
    module.bias = nn.Parameter(torch.tensor([1.0]))
    module.weight.grad, module.bias.grad = torch.tensor([0.0, 2.0]), torch.tensor([1.0])
    seen = []
    Awp(epsilon=0.1)(module, lambda: seen.append((module.weight.tolist(), module.bias.tolist())))
    assert seen == [([3.0, pytest.approx(4.4)], [1.0])]
    assert module.weight.tolist() == [3.0, 4.0]
    Awp(epsilon=1.0, lr=0.2)(module, lambda: seen.append((module.weight.tolist(), module.bias.tolist())))
    assert seen[1] == ([3.0, 5.0], [1.0])
