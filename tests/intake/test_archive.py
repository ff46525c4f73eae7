import gzip
import io
import stat
import tarfile
import zipfile
import zlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from notebooks import code, notebook

from grader.intake import Bounds, Refused, read_submission_bytes
from grader.intake.tar import TarFault, tar_entries

HOMEWORK = notebook(code("x = 1"))


def zipped(entries, *, method=zipfile.ZIP_DEFLATED):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return target.getvalue()


def tarred(entries, *, compress=True, format=tarfile.PAX_FORMAT):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=format) as archive:
        for name, data in entries:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return gzip.compress(target.getvalue()) if compress else target.getvalue()


def special(name, kind, link="/etc/passwd"):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def read(data, name="homework.zip", **bounds):
    return read_submission_bytes(data, name, bounds=Bounds(**bounds))


def refusal(data, name="homework.zip", **bounds):
    with pytest.raises(Refused) as caught:
        read(data, name, **bounds)
    assert caught.value.values["file"].startswith(name)
    return caught.value.code.removeprefix("intake.")


PACKERS = pytest.mark.parametrize(
    ("pack", "name"), [(zipped, "homework.zip"), (tarred, "homework.tar.gz")]
)


@PACKERS
def test_an_archive_of_one_folder_is_that_folder(pack, name):
    found = read(
        pack(
            [
                ("ivanova/task2.py", b"a = 1\n"),
                ("ivanova/task10.py", b"b = 1\n"),
                ("ivanova/homework.ipynb", HOMEWORK),
                ("ivanova/.hidden.py", b"c = 1\n"),
                ("ivanova/.ipynb_checkpoints/homework-checkpoint.ipynb", HOMEWORK),
                ("__MACOSX/ivanova/._task2.py", b"\0\0"),
                ("ivanova/data.csv", b"1,2"),
            ]
        ),
        name,
    )
    assert [cell.file for cell in found.cells] == ["homework.ipynb", "task2.py", "task10.py"]
    assert [cell.index for cell in found.cells] == [1, 2, 3]
    assert [cell.position for cell in found.cells] == [0, 1, 2]
    assert dict(found.files) == {"task2.py": "a = 1\n", "task10.py": "b = 1\n"}
    assert found.name == "homework"


@PACKERS
@pytest.mark.parametrize(
    "path", ["../evil.py", "/etc/evil.py", "a/../../evil.py", "C:\\evil.py", "..\\evil.py"]
)
def test_paths_that_lead_out_are_refused(pack, name, path):
    assert refusal(pack([("good.py", b"x"), (path, b"x")]), name) == "unsafe-path"


@PACKERS
def test_counts_sizes_names_and_depth_are_bounded(pack, name):
    many = [(f"{n}.py", b"x") for n in range(20)]
    assert refusal(pack(many), name, entries=10) == "too-many-entries"
    assert refusal(pack(many), name, files=10) == "too-many-files"
    assert refusal(pack([("/".join("abcdef") + ".py", b"x")]), name, folder_depth=4) == (
        "folders-too-deep"
    )
    assert refusal(pack([("a" * 200 + ".py", b"x")]), name, path_bytes=100) == "path-too-long"
    large = [(f"{n}.py", b"x" * 1000) for n in range(9)]
    assert refusal(pack(large), name, submission_bytes=5000) == "unpacks-too-large"
    assert refusal(pack(large), name, file_bytes=100) == "file-too-large"


@PACKERS
def test_a_bomb_is_refused_before_it_is_unpacked(pack, name, seconds):
    bomb = pack([("homework.ipynb", bytes(30 << 20))])
    with seconds(1):
        assert refusal(bomb, name) == "expands-too-much"


def test_a_gzip_bomb_is_unpacked_no_further_than_the_bound(seconds):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(1 << 24)) for _ in range(32)) + packer.flush()
    with seconds(3):
        assert refusal(bomb, "homework.tar.gz") == "unpacks-too-large"


def test_a_bomb_in_what_is_not_read_does_no_harm(seconds):
    data = zipped([("homework.ipynb", HOMEWORK), ("zeros.bin", bytes(200 << 20))])
    with seconds(1):
        assert read(data).cells


def test_a_lying_size_is_refused():
    data = bytearray(zipped([("a.py", b"x = 1\n" * 100)]))
    for signature, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        at = data.rindex(signature) + offset
        data[at : at + 4] = (5).to_bytes(4, "little")
    assert refusal(bytes(data)) == "broken-archive"


def test_overlapping_entries_cannot_multiply_what_is_read():
    many = [(f"{n}.py", b"x" * 500_000) for n in range(150)]
    assert refusal(zipped(many), expansion_ratio=10**6) == "unpacks-too-large"


def test_zip_headers_by_the_hundred_thousand_are_refused(seconds):
    data = zipped([("a.py", b"x")])
    at, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    data = data[:at] + data[at:end] * 300_000 + data[end:]
    with seconds(1):
        assert refusal(data) == "too-many-entries"


def test_encrypted_and_unusual_zip_files_are_refused():
    data = bytearray(zipped([("a.py", b"x = 1\n")]))
    for signature, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        data[data.index(signature) + offset] |= 1
    assert refusal(bytes(data)) == "encrypted"
    assert refusal(zipped([("a.py", b"x")], method=zipfile.ZIP_LZMA)) == "other-compression"


def test_links_and_devices_are_skipped_with_a_note():
    link = zipfile.ZipInfo("link.py")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    found = read(zipped([("good.py", b"x = 1"), (link, b"/etc/passwd")]))
    assert [cell.file for cell in found.cells] == ["good.py"]
    assert found.notes == (("intake.skipped-special", {"file": "link.py"}),)
    kinds = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE]
    entries = [(special(f"{n}.py", kind), b"") for n, kind in enumerate(kinds)]
    found = read(tarred([("good.py", b"x = 1"), *entries]), "homework.tgz")
    assert [cell.file for cell in found.cells] == ["good.py"]
    assert [values["file"] for _, values in found.notes] == [f"{n}.py" for n in range(5)]


@PACKERS
def test_an_archive_without_sources_is_refused(pack, name):
    assert refusal(pack([("report.pdf", b"x")]), name) == "nothing-to-grade"
    assert refusal(pack([("inner.zip", zipped([("a.py", b"x")]))]), name) == "nothing-to-grade"


@PACKERS
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_archives_are_refused_or_read(pack, name, data):
    whole = bytearray(pack([("a.py", b"x = 1\n"), ("b/c.ipynb", HOMEWORK)]))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    whole = whole[: data.draw(st.integers(0, len(whole)))]
    try:
        read(bytes(whole), name)
    except Refused as refused:
        assert refused.code  # noqa: PT017


def test_names_that_windows_packed_are_read():
    info = zipfile.ZipInfo("X.py")
    data = zipped([(info, b"x = 1")]).replace(b"X.py", "Я".encode("cp866") + b".py")
    assert read(data).cells[0].file == "Я.py"


def test_names_that_are_not_utf8_though_they_say_so_are_refused():
    data = zipped([("Я.py", b"x = 1")]).replace("Я".encode(), b"\xff\xfe")
    assert refusal(data) == "broken-archive"


# ------------------------------------------------------------------ tar

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
paths = st.lists(names.map(lambda n: n.replace("/", "-")[:80]), min_size=1, max_size=4).map(
    "/".join
)


@given(
    st.lists(st.tuples(paths, st.binary(max_size=1200)), max_size=5),
    st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
)
@example([("\x80\n", b"")], tarfile.PAX_FORMAT)
def test_the_tar_reader_agrees_with_the_standard_library(entries, format):
    data = tarred(entries, compress=False, format=format)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        expected = [(m.name, archive.extractfile(m).read()) for m in archive if m.isfile()]
    found = [(e.path, data[e.start : e.end]) for e in tar_entries(data) if e.kind == "file"]
    assert [(path.rstrip("/"), content) for path, content in found] == expected


@given(st.binary(max_size=2000))
def test_any_bytes_are_a_tar_archive_or_a_fault(data):
    try:
        assert list(tar_entries(data)) is not None
    except TarFault as fault:
        assert "tar:" in str(fault)  # noqa: PT017


@pytest.mark.parametrize("size", ["-512", "99999999999999999999999", "1e3", "٣"])
def test_a_size_that_would_lead_backwards_is_a_fault(size):
    info = tarfile.TarInfo("a.py")
    info.pax_headers = {"size": size}
    data = tarred([(info, b"x")], compress=False)
    with pytest.raises(TarFault):
        list(tar_entries(data))
