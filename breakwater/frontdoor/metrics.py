"""What the front door counts, and how it writes its log.

Numbers and names of ours alone: never a word of a message, a number, an address or a session's id.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

log = logging.getLogger("breakwater.frontdoor")

FAILSAFE_REASONS = (
    "error",
    "empty",
    "shape",
    "late",
    "busy",
    "refused",
    "assistant_status",
    "screen",
    "internal",
)
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 6.0)


class Metrics:
    """One registry for one application, so that two in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.messages = self._counter("messages", "Messages screened", "channel", "level", "type")
        self.replies = self._counter("replies", "Replies sent", "channel", "kind")
        self.failsafe = self._counter("failsafe", "Failsafe replies", "reason")
        self.replaced = self._counter("guard_replaced", "Replies held back for want of lines")
        self.superseded = self._counter("superseded", "Replies dropped because something newer was said")
        self.refused = self._counter("refused", "Requests refused", "code")
        self.store_faults = self._counter("store_faults", "Faults of the store", "reason")
        self.sms_refused = self._counter(
            "sms_signature_failures", "Texting requests without a good signature"
        )
        self.sms_duplicates = self._counter("sms_duplicates", "Deliveries that came before")
        self.sms_status = self._counter("sms_status", "Delivery reports", "status")
        self.assistant = Histogram(
            "breakwater_assistant_seconds",
            "The assistant's time for an answer",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.reply = Histogram(
            "breakwater_reply_seconds", "Time for a reply", ["kind"], buckets=SECONDS, registry=self.registry
        )
        self.sessions = Gauge("breakwater_sessions_in_memory", "Sessions in memory", registry=self.registry)

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"breakwater_{name}", what, labels, registry=self.registry)


class JsonLines(logging.Formatter):
    """One JSON object a line. Exceptions by their type and place alone: their text may quote a message."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "severity": record.levelname,
        }
        if record.name.startswith("breakwater"):
            fields["event"] = record.msg
            fields.update(getattr(record, "fields", {}))
        else:
            fields["event"] = record.name
            if not record.exc_info:
                fields["text"] = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = where(record.exc_info[1])
        return json.dumps(fields, ensure_ascii=True)


def where(error: BaseException) -> str:
    """The type of an exception and the line that raised it, without its text."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else ""
    return type(error).__name__ + place


def note(event: str, severity: int = logging.INFO, /, **fields: Any) -> None:
    """One log line. Fields are ids, numbers and names of ours: never text, never a session's id."""
    log.log(severity, event, extra={"fields": fields})


def log_to_stderr(level: int = logging.INFO) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    log.setLevel(level)
