"""The problem of the recorded cases rank72/ema, fgm and pgd: mean of word vectors, a linear layer, cross entropy."""

import torch
from torch import Tensor, nn

from tests.golden_rule import Case


class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        self.word_embeddings = nn.Embedding(10, 4)
        self.linear = nn.Linear(4, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.linear(self.word_embeddings(ids).mean(1))


def toy(case: Case) -> Toy:
    module = Toy()
    module.load_state_dict(case.weights)
    return module


def loss_of(module: nn.Module, case: Case) -> Tensor:
    return nn.functional.cross_entropy(module(case["in/ids"]), case["in/label"])


def table_of(module: Toy) -> Tensor:
    return module.word_embeddings.weight.detach().clone()


def gradient_of(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
