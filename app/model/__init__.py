"""The vocabulary: one definition of each object, no input or output."""
