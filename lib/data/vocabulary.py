"""Category trees: level 2 under level 1."""

from collections.abc import Sequence

import numpy as np

# Children of each of WeChat 2022's 23 level-1 categories, 00 to 22 (official category map).
WECHAT_CHILDREN = (9, 5, 9, 6, 6, 3, 3, 6, 6, 8, 4, 6, 6, 12, 4, 10, 11, 9, 7, 6, 16, 24, 24)
WECHAT_CATEGORIES = tuple(f"{top:02d}{sub:02d}" for top, count in enumerate(WECHAT_CHILDREN) for sub in range(count))


def level1(category: str) -> str:
    """The level-1 part of a category id: what stands before the last "/", or all but the last two digits of a number.

    >>> level1("0105"), level1("10802"), level1("animals/cat"), level1("cat")
    ('01', '108', 'animals', 'cat')
    """
    if "/" in category:
        return category.rsplit("/", 1)[0]
    return category[:-2] if category.isdigit() and len(category) > 2 else category


class CategoryTree:
    """Level-2 categories in ascending order of their id, and the level-1 category each belongs to. ``ids`` [C] are of
    level 2, ``level1_names`` [C1] of level 1; ``level1_of_level2`` int [C] indexes the latter."""

    def __init__(self, ids: Sequence[str]):
        """Raises ValueError: ids that are not in ascending order, so that an index would mean something else elsewhere."""
        self.ids = tuple(ids)
        if list(self.ids) != sorted(set(self.ids)):
            raise ValueError("category ids must be distinct and in ascending order")
        self.level1_names, self.level1_of_level2 = np.unique([level1(name) for name in self.ids], return_inverse=True)

    def __len__(self) -> int:
        return len(self.ids)
