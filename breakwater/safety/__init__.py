"""The safety screen: pure, explained, bounded by size.

It imports no Rasa, no web framework and no network client.
"""

from breakwater.safety.rulebook import RuleBook, RuleBookError, default_rulebook, load_rulebook
from breakwater.safety.screen import screen
from breakwater.safety.verdict import Context, HeldBack, Hit, Level, Verdict

__all__ = [
    "Context",
    "HeldBack",
    "Hit",
    "Level",
    "RuleBook",
    "RuleBookError",
    "Verdict",
    "default_rulebook",
    "load_rulebook",
    "screen",
]
