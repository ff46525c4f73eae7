"""Bytes of a submission become cells and sections; nothing is imported, unpickled or extracted."""
