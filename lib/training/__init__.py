"""Floor 5: one training loop and its parts (schedules, optimizer groups, averages, adversaries, checkpoints, rewind)."""

from lib.training.adversarial import Awp, Fgm, Pgd
from lib.training.schedule import Constant, Plateau, WarmupCosine, WarmupLinear
