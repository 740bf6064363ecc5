"""Rasa with an NLU component that raises on every message: started by the path table as a module."""

import runpy

from breakwater.assistant import nlu


def broken(*_: object, **__: object) -> None:
    raise RuntimeError("NLU is broken on purpose")


nlu.Intents.process = broken  # type: ignore[method-assign, assignment]
runpy.run_module("rasa", run_name="__main__")
