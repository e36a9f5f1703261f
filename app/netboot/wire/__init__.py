"""Codecs for what crosses the wire; the standard library only."""
