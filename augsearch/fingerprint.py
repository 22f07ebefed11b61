"""Keys: a SHA-256 of everything that an outcome depends on."""

from __future__ import annotations

import hashlib
import json


def fingerprint(**fields: object) -> str:
    """SHA-256 over named fields that JSON can hold; the order of names does not matter."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True, allow_nan=False).encode()).hexdigest()
