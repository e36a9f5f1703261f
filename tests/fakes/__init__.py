"""Stand-ins for the engine, for tests of what talks to it."""
