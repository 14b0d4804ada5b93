"""Floor 2: text and frames as arrays a model can take; built once, read many times."""
