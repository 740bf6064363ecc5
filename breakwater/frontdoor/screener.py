"""The worker that screens long texts: length and pickle in, length and pickle out, until its input ends.

Run as `python -m breakwater.frontdoor.screener` by the front door alone. It prints nothing and keeps nothing.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
import sys

MEMORY = 1024**3  # bytes of address space; beyond that the worker dies and the front door gives the lines
SIZE = struct.Struct(">I")


def main() -> None:
    source, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints by mistake does not land between the answers
    with contextlib.suppress(ImportError, ValueError, OSError):  # not on every system
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        os.nice(5)  # replies come first
    from breakwater.safety.screen import default_rulebook, screen

    default_rulebook()
    while len(head := source.read(SIZE.size)) == SIZE.size:
        text, context = pickle.loads(source.read(SIZE.unpack(head)[0]))
        answer = pickle.dumps(screen(text, context))
        answers.write(SIZE.pack(len(answer)) + answer)
        answers.flush()


if __name__ == "__main__":
    main()
