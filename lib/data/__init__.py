"""Floor 1: corpora of any origin behind one store, splits, and the batch a model receives."""
