"""One module a kind of question: what to ask the child, and what its answers are worth."""
