"""The one door for mutation: validated, logged with actor and inverse, told as an event."""
