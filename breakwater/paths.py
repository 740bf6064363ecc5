"""Where the project's files are, found from the installation and never from the working directory."""

import os
from pathlib import Path

ROOT = Path(os.environ.get("BREAKWATER_HOME") or Path(__file__).resolve().parents[1])
SAFETY = ROOT / "safety"
CLINIC = Path(os.environ.get("BREAKWATER_CLINIC") or ROOT / "clinic.yml")
WIDGET = ROOT / "widget"
MODELS = ROOT / "models"
VAR = Path(os.environ.get("BREAKWATER_VAR") or ROOT / "var")
