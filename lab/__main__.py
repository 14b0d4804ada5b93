"""``python -m lab``."""

import sys

try:
    from lab.cli import main

    status = main()
except ModuleNotFoundError as error:
    if (error.name or "lab").split(".")[0] in ("lab", "lib"):
        raise
    status = f"error: {sys.executable} has no {error.name}; `make setup` makes .venv/bin/python, which has all of it"
sys.exit(status)
