"""What runs inside the engine; a service never imports its sibling."""
