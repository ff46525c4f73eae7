"""Watching a file: what counts as saved, and what is told of what cannot be read."""

import json

from grader.cli.watch import PATIENCE_SECONDS, saved_submissions
from grader.intake import Refused


def notebook(source):
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "source": source}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]})


class Scene:
    """A file, a clock, and what happens at each pause."""

    def __init__(self, path):
        self.path = path
        self.seconds = 0.0
        self.steps = []

    def pause(self, seconds):
        self.seconds += seconds
        if self.steps:
            self.steps.pop(0)()
        elif self.seconds > 60:
            raise KeyboardInterrupt

    def seen(self):
        """Return the sources and refusals that came up until nothing happened any more."""
        found = []
        submissions = saved_submissions(self.path, pause=self.pause, clock=lambda: self.seconds)
        try:
            for submission in submissions:
                if isinstance(submission, Refused):
                    found.append(submission.code)
                else:
                    found.append(submission.cells[0].source)
        except KeyboardInterrupt:
            return found

    def write(self, text):
        self.path.write_text(text, encoding="utf-8")


def scene(tmp_path, first="x = 1"):
    made = Scene(tmp_path / "homework.ipynb")
    made.write(notebook(first))
    return made


def wait(looks=3):
    return [lambda: None] * looks


def test_each_new_content_is_seen_once(tmp_path):
    here = scene(tmp_path)
    here.steps = [*wait(), lambda: here.write(notebook("x = 22")), *wait()]
    assert here.seen() == ["x = 1", "x = 22"]


def test_a_save_without_a_change_is_not_seen(tmp_path):
    here = scene(tmp_path)
    here.steps = [*wait(), lambda: here.write(notebook("x = 1") + "\n"), *wait()]
    assert here.seen() == ["x = 1"]


def test_an_editor_that_renames_is_followed(tmp_path):
    here = scene(tmp_path)
    other = tmp_path / "homework.tmp"

    def rename():
        other.write_text(notebook("x = 3"), encoding="utf-8")
        other.replace(here.path)

    here.steps = [*wait(), rename, *wait()]
    assert here.seen() == ["x = 1", "x = 3"]


def test_an_editor_that_removes_first_is_followed(tmp_path):
    here = scene(tmp_path)
    again = [lambda: here.write(notebook("x = 3")), *wait()]
    here.steps = [*wait(), here.path.unlink, *wait(), *again]
    assert here.seen() == ["x = 1", "x = 3"]


def test_half_a_file_is_not_told(tmp_path):
    here = scene(tmp_path)
    whole = notebook("x = 4")
    here.steps = [*wait(), lambda: here.write(whole[:40]), *wait(), lambda: here.write(whole)]
    assert here.seen() == ["x = 1", "x = 4"]


def test_what_stays_unreadable_is_told_once_and_mended_later(tmp_path):
    here = scene(tmp_path)
    looks = int(PATIENCE_SECONDS / 0.03) + 5
    mended = [lambda: here.write(notebook("x = 1")), *wait()]
    here.steps = [*wait(), lambda: here.write("{"), *wait(looks), *mended]
    first, told, last = here.seen()
    assert (first, last) == ("x = 1", "x = 1")
    assert told.startswith("intake.")


def test_a_file_that_stays_away_is_told(tmp_path):
    here = scene(tmp_path)
    here.steps = [*wait(), here.path.unlink]
    assert here.seen() == ["x = 1", "intake.unreadable"]


def test_a_folder_is_one_submission(tmp_path):
    here = Scene(tmp_path)
    task = tmp_path / "and.py"
    task.write_text("x = 1\n", encoding="utf-8")
    here.steps = [*wait(), lambda: task.write_text("x = 22\n", encoding="utf-8"), *wait()]
    assert here.seen() == ["x = 1", "x = 22"]
