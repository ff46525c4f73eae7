"""Runs untrusted code in a child process and reports what was observed."""
