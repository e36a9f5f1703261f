"""Machines: those on record and those only seen on the wire, how each of them stands, and how they register."""
