"""Floor 0: what to run. YAML in, frozen jobs out. Imports no torch, so that planning takes a second."""
