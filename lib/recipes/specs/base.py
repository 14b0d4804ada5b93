"""What all specs share: unknown keys and wrong types are errors, values never change.

Components (``{use: Class, ...}``) keep their arguments as they are here; their own signatures check them when they are
bound (``lib.recipes.bind``), so no argument is declared twice.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

# What recipes call the corpora they are made for; a scale says which corpus each is.
CorpusName = Literal["aiac2021", "aiac2021_planted", "wechat2022", "wechat2022_pictures"]


class Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Component(BaseModel):
    """``use`` names a class of the slot's ``__all__``; everything else are its keyword arguments."""

    model_config = ConfigDict(extra="allow", frozen=True)
    use: str

    @property
    def arguments(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class ObjectiveSpec(Component):
    weight: float = 1.0  # 0.0 skips the term: neither computed nor allowed to corrupt the input
