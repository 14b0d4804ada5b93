"""Digests: what a result depends on, as sixteen hexadecimal digits."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def digest(value: Any) -> str:
    """Of anything JSON can say; keys sorted, so that the order of a YAML file does not matter."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
