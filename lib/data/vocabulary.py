"""Category trees: level 2 under level 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Children of each of WeChat 2022's 23 level-1 categories, 00 to 22 (official category map).
WECHAT_CHILDREN = (9, 5, 9, 6, 6, 3, 3, 6, 6, 8, 4, 6, 6, 12, 4, 10, 11, 9, 7, 6, 16, 24, 24)
WECHAT_CATEGORIES = tuple(f"{level1:02d}{child:02d}" for level1, count in enumerate(WECHAT_CHILDREN) for child in range(count))


class CategoryTree:
    """Level-2 categories in ascending order of their id, and the level-1 category each belongs to.

    Args:
        ids: category ids; all characters but the last two name the level-1 category.
    """

    def __init__(self, ids: Sequence[str]):
        self.ids = tuple(ids)
        self.level1_names, self.level1_of_level2 = np.unique([name[:-2] for name in self.ids], return_inverse=True)

    def __len__(self) -> int:
        return len(self.ids)
