import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notebooks import code, notebook, text

from grader.intake import Bounds, Refused, read_submission_bytes

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 20
JPEG = b"\xff\xd8\xff\xe0" + b"0" * 20

sources = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=60)
cells = st.lists(
    st.tuples(st.sampled_from(["code", "markdown", "raw"]), sources, st.booleans()), max_size=8
)


def read(data, **bounds):
    return read_submission_bytes(data, "homework.ipynb", bounds=Bounds(**bounds))


def refusal(data, name="homework.ipynb", **bounds):
    with pytest.raises(Refused) as caught:
        read_submission_bytes(data, name, bounds=Bounds(**bounds))
    return caught.value


@given(cells)
def test_a_notebook_of_any_cells_reads_back_the_same(cells):
    built = []
    for kind, source, as_list in cells:
        stored = source.splitlines(keepends=True) if as_list else source
        cell = code(stored) if kind == "code" else text(stored)
        built.append({**cell, "cell_type": kind})
    found = read(notebook(*built))
    assert [(c.kind, c.source) for c in found.cells] == [
        ("code" if kind == "code" else "text", source) for kind, source, _ in cells
    ]
    assert [c.position for c in found.cells] == list(range(len(cells)))
    indexes = [c.index for c in found.cells if c.kind == "code"]
    assert indexes == list(range(1, len(indexes) + 1))


@given(st.binary(max_size=300), st.sampled_from(["a.ipynb", "a.py", "a.zip", "a.tar.gz", "a.tar"]))
def test_any_bytes_are_a_submission_or_refused(data, name):
    try:
        found = read_submission_bytes(data, name)
    except Refused as refused:
        assert refused.code.startswith("intake.")  # noqa: PT017
        assert name in refused.values["file"]  # noqa: PT017
    else:
        assert found.name == "a"


@given(st.data())
def test_a_notebook_with_any_change_is_a_submission_or_refused(data):
    whole = notebook(code("x = 1\n", outputs=[{"output_type": "stream", "text": "1"}]), text("# a"))
    at = data.draw(st.integers(0, len(whole)))
    changed = (
        whole[:at] + data.draw(st.binary(max_size=4)) + whole[at + data.draw(st.integers(0, 4)) :]
    )
    try:
        read(changed)
    except Refused as refused:
        assert refused.values["file"] == "homework.ipynb"  # noqa: PT017


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b" \r\n\xef\xbb\xbf", "empty"),
        (b"<!DOCTYPE html><html></html>", "html"),
        (b"PK\x03\x04rest", "is-archive"),
        (b"{}", "not-a-notebook"),
        (b"[1, 2]", "not-a-notebook"),
        (b'{"nbformat": 4, "cells": {}}', "not-a-notebook"),
        (b'{"nbformat": 4, "cells": [{"source": "no type"}]}', "not-a-notebook"),
        (b'{"nbformat": 4, "cells": [', "broken-json"),
        (b"once upon a time", "broken-json"),
        (b"%PDF-1.7 ...", "pdf"),
        (b'{"nbformat": 3, "worksheets": [{"cells": []}]}', "other-format"),
        (b'{"nbformat": 5, "cells": []}', "other-format"),
    ],
)
def test_what_is_no_notebook_is_refused_with_words(data, code):
    assert refusal(data).code == f"intake.{code}"


def test_a_notebook_with_an_unsolved_merge_is_told_where():
    lines = notebook(code("x = 1")).decode().replace(", ", ",\n").splitlines()
    half = "<<<<<<< HEAD", lines[1], "=======", lines[1], ">>>>>>> main"
    data = "\r\n".join([lines[0], *half, *lines[2:]]).encode()
    assert (refusal(data).code, refusal(data).values["line"]) == ("intake.merge-conflict", "2")


def test_marks_of_a_merge_inside_of_a_cell_are_text():
    assert read(notebook(code("<<<<<<< HEAD\n"))).cells[0].source == "<<<<<<< HEAD\n"


def test_a_notebook_without_cells_is_a_submission_without_cells():
    assert read(notebook()).cells == ()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1251"])
def test_a_notebook_saved_again_in_another_encoding_is_read(encoding):
    whole = json.dumps(
        {"nbformat": 4, "cells": [text("Задача три\r\nответ")]}, ensure_ascii=False
    ).encode(encoding)
    assert read(whole).cells[0].source == "Задача три\nответ"


def test_nan_and_half_surrogates_in_the_json_do_no_harm():
    whole = rb"""{"nbformat": 4, "metadata": {"a": NaN, "b": -Infinity}, "cells": [
        {"cell_type": "code", "source": "NaN \ud83d \\ud83d \ud83d\ude00", "outputs": []}]}"""
    assert read(whole).cells[0].source == "NaN \ufffd \\ud83d \U0001f600"


def test_printed_output_is_collected_without_colours_and_bounded():
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": ["one\n", "two\n"]},
        {"output_type": "display_data", "data": {"image/png": "AAAA", "text/plain": "<Figure>"}},
        {"output_type": "execute_result", "data": {"text/plain": ["tensor(", "[1.])"]}},
        {"output_type": "stream", "text": "10%\r50%\r100%\n"},
        {
            "output_type": "error",
            "ename": "E",
            "evalue": "v",
            "traceback": ["\x1b[0;31mE\x1b[0m: v"],
        },
        {"output_type": "error", "ename": "RuntimeError", "evalue": "ignored"},
    ]
    printed = read(notebook(code("x", outputs=outputs))).cells[0].printed
    assert printed.split("\n") == [
        "one", "two", "<Figure>", "tensor([1.])", "100%", "E: v", "RuntimeError: ignored",
    ]  # fmt: skip


def test_long_output_keeps_its_two_ends():
    outputs = [{"output_type": "stream", "text": "begin" + "x" * 10**6 + "end"}]
    printed = read(notebook(code("x", outputs=outputs))).cells[0].printed
    assert len(printed) <= Bounds().printed_characters
    assert printed.startswith("begin")
    assert printed.endswith("end")


def test_outputs_of_another_shape_cost_only_the_outputs():
    found = read(notebook(code("x = 1", outputs=[{"output_type": 5}])))
    assert found.cells[0].source == "x = 1"
    assert [code for code, _ in found.notes] == ["intake.outputs-unreadable"]


def test_attached_and_embedded_pictures_are_found_and_others_named():
    def coded(data):
        return base64.b64encode(data).decode()

    attached = text(
        "![](attachment:graph.png)",
        attachments={
            "graph.png": {"image/png": coded(PNG)},
            "fake.png": {"image/png": coded(b"<svg onload=alert(1)>")},
            "vector.svg": {"image/svg+xml": coded(b"<svg/>")},
        },
    )
    embedded = text(f"my graph ![g](data:image/jpeg;base64,{coded(JPEG)}) done")
    found = read(notebook(attached, embedded))
    assert [(p.name, p.media, p.data) for p in found.cells[0].pictures] == [
        ("graph.png", "image/png", PNG)
    ]
    assert [p.data for p in found.cells[1].pictures] == [JPEG]
    assert found.cells[1].source == "my graph ![g](attachment:picture-1) done"
    assert [(code, values["picture"]) for code, values in found.notes] == [
        ("intake.not-a-picture", "fake.png"),
        ("intake.not-a-picture", "vector.svg"),
    ]


def test_pictures_are_bounded_in_size_and_number():
    def picture(size):
        return {"image/png": base64.b64encode(PNG + bytes(size)).decode()}

    many = {f"{n}.png": picture(1) for n in range(5)}
    found = read(notebook(text("", attachments=many)), pictures=3)
    assert len(found.cells[0].pictures) == 3
    found = read(notebook(text("", attachments={"a.png": picture(500)})), picture_bytes=100)
    assert found.notes[0][0] == "intake.picture-too-large"


def test_a_million_cells_are_refused_before_decoding(seconds):
    cell = b'{"cell_type":"code","source":""},'
    whole = b'{"nbformat":4,"cells":[' + cell * 900_000 + b'{"cell_type":"raw"}]}'
    with seconds(1):
        assert refusal(whole).code == "intake.too-many-cells"


def test_hidden_field_names_do_not_get_past_the_bound_on_cells(seconds):
    cell = rb'{"cell\u005ftype":"code"},'
    whole = b'{"nbformat":4,"cells":[' + cell * 900_000 + b'{"cell_type":"raw"}]}'
    with seconds(3):
        assert refusal(whole).code == "intake.too-many-cells"


@pytest.mark.parametrize(
    "whole",
    [
        b"[" * 3_000_000,
        b'{"metadata":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"nbformat":4,"cells":[],"metadata":' + b"[" * 200 + b"]" * 200 + b"}",
        b'{"a":"' + b'\\"[' * 3_000_000,
        b'{"nbformat":4,"cells":[{"cell_type":"code","outputs":' + b"[" * 70 + b"]" * 70 + b"}]}",
    ],
)
def test_deep_or_unbalanced_json_is_refused_quickly(whole, seconds):
    with seconds(3):
        code = refusal(whole).code
    assert code in ("intake.too-deep", "intake.broken-json", "intake.too-many-values")


def test_brackets_inside_strings_are_not_depth():
    assert read(notebook(code('x = "' + "[" * 5000 + '"'))).cells


def test_too_many_brackets_are_refused():
    whole = notebook(code("x"), extra=[[]] * 500)
    assert refusal(whole, json_brackets=100).code == "intake.too-many-values"


def test_twenty_megabytes_of_source_are_refused_with_cell_and_bound(seconds):
    with seconds(3):
        found = refusal(notebook(text("a"), code("x = 1\n" * 3_500_000)))
    assert found.code == "intake.cell-too-large"
    assert (found.values["cell"], found.values["bound"]) == ("2", "1 MB")


def test_sources_are_bounded_together():
    whole = notebook(*[code("x" * 100)] * 11)
    assert refusal(whole, source_bytes=1000).code == "intake.too-much-source"


def test_a_large_file_is_refused_by_its_size():
    found = refusal(notebook(code("x" * 1000)), file_bytes=500)
    assert (found.code, found.values["bound"]) == ("intake.file-too-large", "500 B")


def test_the_digest_covers_content_and_printed_text_but_not_the_name():
    def digest(source, printed="", name="a"):
        outputs = [{"output_type": "stream", "text": printed}]
        whole = notebook(code(source, outputs=outputs))
        return read_submission_bytes(whole, "x.ipynb", name=name).digest

    assert digest("1", name="a") == digest("1", name="b")
    assert len({digest("1"), digest("2"), digest("1", "T4"), digest("1", "A100")}) == 4


def test_a_notebook_of_another_language_is_noted():
    found = read(notebook(code("x"), metadata={"language_info": {"name": "R"}}))
    assert found.notes == (("intake.other-language", {"file": "homework.ipynb", "found": "R"}),)
