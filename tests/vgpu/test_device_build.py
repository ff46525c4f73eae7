"""Finding torch and building the core; no torch is imported here."""

import subprocess
import sys
from pathlib import Path

import pytest

from grader.vgpu import build
from grader.vgpu.build import Unavailable

ROOT = Path(__file__).parents[2]


def _torch_folder(tmp_path, version_text):
    folder = tmp_path / "torch"
    (folder / "lib").mkdir(parents=True)
    (folder / "version.py").write_text(version_text)
    return folder


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cuda: str | None = '12.6'\nhip = None\n", True),
        ("cuda = None\nhip: str | None = '6.2'\n", True),
        ("__version__ = '2.13.0+cpu'\ncuda: str | None = None\nhip = None\n", False),
    ],
)
def test_a_build_for_cards_is_known_from_its_files(tmp_path, text, expected):
    assert build.is_cuda_build(_torch_folder(tmp_path, text)) is expected


def test_a_library_for_cuda_is_enough_to_know_it(tmp_path):
    folder = _torch_folder(tmp_path, "cuda = None\n")
    (folder / "lib" / "libtorch_cuda.so").touch()
    assert build.is_cuda_build(folder)


def test_a_cuda_build_is_refused_with_the_way_to_the_cpu_build(monkeypatch):
    monkeypatch.setattr(build, "is_cuda_build", lambda folder: True)
    with pytest.raises(Unavailable, match="--index-url") as refusal:
        build.ensure()
    assert refusal.value.reason_code == "cuda-build"


def test_a_version_that_was_not_checked_is_refused(monkeypatch):
    monkeypatch.setattr(build.importlib.metadata, "version", lambda name: "2.99.0")
    with pytest.raises(Unavailable, match=r"2\.99\.0") as refusal:
        build.ensure()
    assert refusal.value.reason_code == "torch-version"


def test_a_missing_compiler_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", str(tmp_path / "no-such-compiler"))
    with pytest.raises(Unavailable, match="compiler") as refusal:
        build.ensure(cache_folder=tmp_path)
    assert refusal.value.reason_code == "compiler-missing"


def test_a_compiler_that_fails_is_named_with_its_error(monkeypatch, tmp_path):
    compiler = tmp_path / "compiler"
    compiler.write_text("#!/bin/sh\necho 'core.cpp:1: error: no luck' >&2\nexit 1\n")
    compiler.chmod(0o700)
    monkeypatch.setenv("CXX", str(compiler))
    with pytest.raises(Unavailable, match="no luck") as refusal:
        build.ensure(cache_folder=tmp_path / "cache")
    assert refusal.value.reason_code == "build-failed"
    assert not list((tmp_path / "cache").rglob("*.so"))


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "cache").write_text("a file, no folder")
    with pytest.raises(Unavailable, match="XDG_CACHE_HOME") as refusal:
        build.ensure(cache_folder=tmp_path / "cache")
    assert refusal.value.reason_code == "cache-folder"


def test_what_was_built_is_found_again_without_a_compiler(monkeypatch):
    first = build.ensure()
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert build.ensure() == first


def test_neither_the_package_nor_ensure_imports_torch():
    code = "import sys, grader.vgpu as v; v.ensure(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


def test_installing_where_a_driver_is_built_in_is_refused_and_does_not_crash():
    code = """
import torch
torch.version.cuda = "12.6"
import grader.vgpu as vgpu
try:
    vgpu.install()
except vgpu.Unavailable as refusal:
    assert refusal.reason_code == "cuda-build"
else:
    raise AssertionError("it was installed")
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
