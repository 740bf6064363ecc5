"""The one exception for what a person can put right: a sentence that says what is wrong and what to do.

It is printed as it stands; it never carries what somebody wrote in a chat.
"""

from __future__ import annotations

from collections.abc import Sequence


class SetupError(Exception):
    """`sentence` says what is wrong and what to do; `details` are lines to look at, such as a log's end."""

    def __init__(self, sentence: str, details: Sequence[str] = ()) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.details = tuple(details)
