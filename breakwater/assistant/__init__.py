"""The part of Breakwater that lives inside Rasa. Nothing else in the project imports Rasa."""
