"""Breakwater: a scripted supportive-messaging assistant for mental-health clinics."""

__version__ = "0.1.0"
