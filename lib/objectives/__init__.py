"""Floor 4: named terms of the loss; each may corrupt its input and owns the heads that only it needs."""

__all__: list[str] = []
