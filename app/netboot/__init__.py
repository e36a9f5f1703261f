"""Protocol and boot policy, pure: no socket, no file, no clock of its own."""
