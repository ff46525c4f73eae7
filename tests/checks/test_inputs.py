"""Inputs are made without a trace in the folder that the user stands in."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_nothing_is_left_in_the_current_folder(tmp_path):
    here, cache = tmp_path / "here", tmp_path / "cache"
    here.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(cache)}
    environment.pop("HYPOTHESIS_STORAGE_DIRECTORY", None)
    code = "from grader.checks.inputs import make_ahead\nmake_ahead()"
    subprocess.run([sys.executable, "-c", code], cwd=here, env=environment, check=True, timeout=60)
    assert not list(here.iterdir())
