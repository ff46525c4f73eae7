"""Grades PyTorch homework: notebooks and modules as students hand them in.

An assignment is declared with what this package exports; see `docs/writing-an-assignment.md`.
"""

__version__ = "0.1.0"
