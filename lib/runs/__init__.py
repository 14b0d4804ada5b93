"""Floor 0: where results lie and what they are called. Imports no torch."""
