"""The `interlock` command: the user's door."""
