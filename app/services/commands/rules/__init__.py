"""Rules between objects: pure checks against the directory; each raises an error naming field and remedy."""
