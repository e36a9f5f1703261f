"""Virtual machines in network namespaces of their own: the whole job with no hardware."""
