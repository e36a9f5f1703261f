"""The one door to an engine for screens and verbs."""
