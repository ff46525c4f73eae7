"""`python -m grader.cli` is `grader`."""

from grader.cli.main import main

main(prog_name="grader")
