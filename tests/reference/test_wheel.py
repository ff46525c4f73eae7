"""The wheel carries what judges an assignment, and nothing that answers it."""

import subprocess
import sys
import tomllib
import zipfile

import pytest

from tests.reference.conftest import FOLDER, REPOSITORY


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    (built,) = target.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        yield {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_the_declaration_and_the_oracle(wheel):
    inside = "grader/assignments/intro_to_torch"
    for name in ("assignment.py", "oracle.py"):
        assert wheel[f"{inside}/{name}"] == (FOLDER / name).read_bytes()


def test_the_wheel_holds_no_solution_and_no_key(wheel):
    names = " ".join(wheel)
    assert "solution" not in names
    assert "keys" not in names
    assert "handout" not in names
    assert "submissions" not in names


def test_no_answer_of_the_solution_stands_anywhere_in_the_wheel(wheel, solution):
    secrets = [solution["xor_expression"], solution["explanation"].strip().splitlines()[0]]
    keys = tomllib.loads((FOLDER / "solution" / "keys.toml").read_text(encoding="utf-8"))
    secrets += [f'linear_boundary = {{"{keys["linear-boundary"][0]}"', "linear-boundary = ["]
    for name, content in wheel.items():
        for secret in secrets:
            assert secret.encode() not in content, name


def test_the_loader_finds_the_assignment_in_the_wheel(wheel, tmp_path):
    for name, content in wheel.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    code = (
        "from grader.assignments import load_assignment as load;"
        "loaded = load('intro-to-torch'); print(loaded.possible, dict(loaded.keys))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == "2000 {}", done.stderr
