"""A token that only this process knows: with it the policy tells the front door's messages from others'.

It is never written to a file or a log, and it opens nothing: it only says "this was screened already".
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

KEY = "screened_by"
_TOKEN = secrets.token_hex(16)


def mark(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """`metadata` with the sign that it came through our own channel, screened."""
    return {**metadata, KEY: _TOKEN}


def screened(metadata: Mapping[str, Any]) -> bool:
    return secrets.compare_digest(str(metadata.get(KEY, "")), _TOKEN)
