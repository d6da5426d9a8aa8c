"""A person forgotten: found, removed, and marked where they remain."""
