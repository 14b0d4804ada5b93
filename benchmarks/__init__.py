"""How fast it is, always as a ratio against a naive mode measured in the same run: ``python -m benchmarks.<name>``."""
