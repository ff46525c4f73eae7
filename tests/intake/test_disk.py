import os
import pickle
import socket
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from notebooks import code, notebook
from test_archive import zipped

from grader.intake import Bounds, Refused, find_submissions, read_submission
from grader.intake.entries import RESERVED
from grader.intake.names import clean_name
from grader.messages import LANGUAGES, has_message, message

HOMEWORK = notebook(code("x = 1"))


def refusal(path, **bounds):
    with pytest.raises(Refused) as caught:
        read_submission(path, bounds=Bounds(**bounds))
    return caught.value.code.removeprefix("intake.")


def test_a_folder_is_one_submission_of_several_files(tmp_path):
    folder = tmp_path / "Иванова А. Б."
    (folder / "part").mkdir(parents=True)
    (folder / "venv" / "lib").mkdir(parents=True)
    (folder / "env").mkdir()
    (folder / "env" / "pyvenv.cfg").write_text("home = x")
    (folder / "homework.ipynb").write_bytes(HOMEWORK)
    for name in ("xor.py", "part/not.py", ".hidden.py", "venv/lib/a.py", "env/b.py"):
        (folder / name).write_text("y = 1")
    (folder / "expect.toml").write_text("points = 1")
    found = read_submission(folder)
    assert [cell.file for cell in found.cells] == ["homework.ipynb", "part/not.py", "xor.py"]
    assert set(found.files) == {"part/not.py", "xor.py"}
    assert found.name == "Иванова А. Б"
    assert read_submission(folder, name="other").name == "other"


def test_a_folder_of_one_archive_is_that_archive(tmp_path):
    (tmp_path / "work.zip").write_bytes(zipped([("hw/a.py", b"x = 1")]))
    (tmp_path / "notes.txt").write_text("hello")
    assert [cell.file for cell in read_submission(tmp_path).cells] == ["a.py"]


def test_links_fifos_and_sockets_in_a_folder_are_not_opened(tmp_path, monkeypatch):
    secret = tmp_path / "secret.py"
    secret.write_text("answer = 32")
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "good.py").write_text("x = 1")
    (folder / "link.py").symlink_to(secret)
    (folder / "folder").symlink_to(tmp_path)
    os.mkfifo(folder / "fifo.py")
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.py")
        found = read_submission(folder)
    assert [cell.file for cell in found.cells] == ["good.py"]
    assert sorted(values["file"] for _, values in found.notes) == [
        "fifo.py",
        "link.py",
        "socket.py",
    ]


def test_a_path_that_is_no_file_is_refused(tmp_path):
    fifo, link = tmp_path / "a.py", tmp_path / "b.py"
    os.mkfifo(fifo)
    link.symlink_to("/etc/passwd")
    assert refusal(fifo) == "not-a-file"
    assert refusal(link) == "not-a-file"
    assert refusal(tmp_path / "missing.ipynb") == "unreadable"
    assert refusal(Path("/dev/zero")) == "not-a-file"
    (tmp_path / "essay.docx").write_bytes(b"PK")
    assert refusal(tmp_path / "essay.docx") == "unknown-format"


def test_bounds_hold_in_folders(tmp_path):
    deep = tmp_path / "a" / "b" / "c" / "d"
    deep.mkdir(parents=True)
    (deep / "x.py").write_text("x")
    assert refusal(tmp_path, folder_depth=2) == "folders-too-deep"
    for n in range(12):
        (tmp_path / f"{n}.py").write_text("x = 1")
    assert refusal(tmp_path, entries=10) == "too-many-entries"
    assert refusal(tmp_path, files=5) == "too-many-files"
    assert refusal(tmp_path, submission_bytes=20) == "unpacks-too-large"
    assert refusal(tmp_path, file_bytes=3) == "file-too-large"
    assert refusal(tmp_path, cells=5) == "too-many-cells"


def test_an_empty_folder_is_refused(tmp_path):
    assert refusal(tmp_path) == "nothing-to-grade"


def test_a_refusal_names_what_is_there_instead_of_sources(tmp_path):
    (tmp_path / "README.md").write_text("x")
    (tmp_path / ".hidden.pdf").write_text("x")
    with pytest.raises(Refused) as nothing:
        read_submission(tmp_path)
    assert "holds" not in nothing.value.values
    (tmp_path / "report.pdf").write_text("x")
    with pytest.raises(Refused) as report:
        read_submission(tmp_path)
    assert report.value.code == "intake.nothing-to-grade"
    assert report.value.values["holds"] == "report.pdf"


def test_a_file_name_that_is_not_utf8_is_read(tmp_path):
    with open(os.fsencode(tmp_path) + b"/\xff.py", "wb") as file:  # noqa: PTH123
        file.write(b"x = 1")
    assert read_submission(tmp_path).cells[0].source == "x = 1"
    assert [entry.name for entry in find_submissions([tmp_path])] == ["\ufffd"]


# ------------------------------------------------------------------ what grade grades


def test_each_entry_of_a_folder_is_a_submission_with_a_name_of_its_own(tmp_path):
    for name in (
        "ivanova.ipynb", "Ivanova.py", "petrov.tar.gz", ".hidden.ipynb", "expect.toml",
        "README.md", "essay.docx", "a10.py", "a2.py", "index.html.py",
    ):  # fmt: skip
        (tmp_path / name).write_text("x")
    for name in ("petrov", "__MACOSX", ".ipynb_checkpoints", "gradebook.csv", "v1.2"):
        (tmp_path / name).mkdir()
    names = [entry.name for entry in find_submissions([tmp_path])]
    assert len({name.casefold() for name in names}) == len(names) == 10
    assert {name.casefold() for name in names} == {
        "ivanova", "ivanova-2", "petrov", "petrov-2", "essay.docx", "a2", "a10",
        "index.html-2", "gradebook.csv-2", "v1.2",
    }  # fmt: skip
    assert names.index("a2") < names.index("a10")
    assert not {name.casefold() for name in names} & RESERVED


def test_a_named_file_is_one_submission_and_a_missing_one_is_refused(tmp_path):
    file = tmp_path / "a.ipynb"
    file.write_bytes(HOMEWORK)
    link = tmp_path / "b.ipynb"
    link.symlink_to(file)
    assert [entry.name for entry in find_submissions([file, file, link])] == ["a", "a-2", "a-3"]
    with pytest.raises(Refused, match=r"intake\.unreadable"):
        find_submissions([tmp_path / "missing"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_why_a_path_cannot_be_read_is_said_in_the_users_language(language, tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, reason in ("missing", "system.enoent"), ("loop", "system.eloop"):
        with pytest.raises(Refused) as caught:
            find_submissions([tmp_path / name])
        words = message(caught.value.code, caught.value.values, language=language)
        assert words.endswith(f": {message(reason, language=language)}.")
    with pytest.raises(Refused) as caught:
        read_submission(tmp_path / "missing.ipynb")
    words = message(caught.value.code, caught.value.values, language=language)
    assert words.endswith(f": {message('system.enoent', language=language)}.")


def test_a_link_in_a_folder_is_an_entry_that_is_refused_when_read(tmp_path):
    (tmp_path / "x.ipynb").symlink_to("/etc/passwd")
    [entry] = find_submissions([tmp_path])
    assert refusal(entry.path) == "not-a-file"


DEVICES = st.sampled_from(["CON", "aux", "nul", "Lpt1", "com9"])


@given(
    st.one_of(st.text(), st.tuples(DEVICES, st.sampled_from(".\u200b "), st.text()).map("".join))
)
@example("aux." + "x" * 96)
@example("con.txt")
def test_a_cleaned_name_is_one_harmless_path_component(text):
    name = clean_name(text)
    assert 0 < len(name) <= 100
    assert len(name.encode()) <= 255
    assert name == clean_name(name)
    assert name not in (".", "..")
    assert not name.startswith(".")
    assert not set(name) & set('/\\:\0\n\x1b\u202e\u200b<>"|?*')


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", "submission"),
        ("..", "submission"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("a\u202egnp.exe", "agnp.exe"),
        ("\x1b[31mred", "[31mred"),
        ("nul", "nul_"),
        ("Aux.v2", "Aux_.v2"),
        ("falcon.v2", "falcon.v2"),
        ("  Иванова\n А.  ", "Иванова А"),
        ("x" * 500, "x" * 100),
        ("\U0001f600" * 100, "\U0001f600" * 50),
    ],
)
def test_names_are_cleaned_like_this(text, name):
    assert clean_name(text) == name


# ------------------------------------------------------------------ refusals


def test_a_refusal_survives_the_way_to_another_process():
    refused = Refused("intake.empty", {"file": "a.py"})
    again = pickle.loads(pickle.dumps(refused))
    assert (again.code, again.values) == (refused.code, refused.values)


def test_every_code_of_intake_has_words_and_an_explanation():
    import re

    import grader.intake

    text = "".join(path.read_text() for path in Path(grader.intake.__file__).parent.glob("*.py"))
    used = set(re.findall(r'refuse\(\s*"([a-z0-9-]+)"', text))
    used |= set(re.findall(r'"intake\.([a-z0-9-]+)"', text))
    used |= set(re.findall(r'_skip\("([a-z-]+)"', text)) | {"file-too-large", "unpacks-too-large"}
    assert len(used) > 25
    for language in LANGUAGES:
        for name in used:
            assert has_message(f"intake.{name}", language), name
            assert has_message(f"intake.{name}.explain", language), name


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_refusal_names_file_and_bound(language, tmp_path):
    path = tmp_path / "homework.ipynb"
    path.write_bytes(bytes(2000))
    with pytest.raises(Refused) as caught:
        read_submission(path, bounds=Bounds(file_bytes=1000))
    words = message(caught.value.code, caught.value.values, language=language)
    assert "homework.ipynb" in words
    assert "1000 B" in words
    assert "{" not in words
