"""Every pair of colours that meets on the page, in both themes: text at least 4.5, meaningful edges 3."""

from __future__ import annotations

import re

import pytest

from breakwater import paths

TEXT = [
    ("ink", "paper"),
    ("ink", "sheet"),
    ("ink", "bot"),
    ("ink", "you"),
    ("ink", "sky"),
    ("soft", "paper"),
    ("soft", "sheet"),
    ("soft", "bot"),
    ("soft", "sky"),
    ("sea", "paper"),
    ("sea", "sheet"),
    ("sea", "bot"),
    ("sea", "you"),
    ("sea", "sky"),
    ("sea-deep", "sheet"),
    ("sea-deep", "bot"),
    ("on-sea", "sea"),
    ("on-sea", "sea-deep"),
    ("on-harbour", "harbour"),
    ("on-lamp", "lamp"),
]
EDGES = [
    ("rim", "sheet"),
    ("rim", "bot"),
    ("sea", "sheet"),
    ("focus", "sheet"),
    ("focus", "bot"),
    ("focus", "paper"),
    ("lamp", "harbour"),
    ("on-harbour", "harbour"),
]


def themes() -> dict[str, dict[str, str]]:
    css = (paths.WIDGET / "breakwater.css").read_text()
    light, dark = css.split("@media (prefers-color-scheme: dark)", 1)
    found = []
    for part in (light, dark.split("\n}\n", 1)[0]):
        found.append(dict(re.findall(r"--bw-([\w-]+):\s*(?:linear-gradient\()?(#[0-9a-f]{6})", part)))
    return {"light": found[0], "dark": {**found[0], **found[1]}}


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("front", "back", "least"), [(*pair, 4.5) for pair in TEXT] + [(*pair, 3.0) for pair in EDGES]
)
def test_colours_can_be_told_apart(theme: str, front: str, back: str, least: float) -> None:
    colours = themes()[theme]
    assert contrast(colours[front], colours[back]) >= least
