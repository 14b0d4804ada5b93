"""Floor 3: five slots of a model (text, frames, fusion, pooling, head); each offers what a recipe may name."""

__all__: list[str] = []
