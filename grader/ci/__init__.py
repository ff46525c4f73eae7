"""The same checks where other programs run them: pytest, GitHub, GitLab, Gradescope."""
