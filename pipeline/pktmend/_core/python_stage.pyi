"""A stage in Python, as the engine calls it; nothing of it is seen from Python."""
