"""Many submissions: the same judge, several at a time."""
