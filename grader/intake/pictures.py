"""Pictures inside text cells: attachments, and data that a notebook embeds in its markdown."""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from grader.intake.bounds import Bounds, size_text
from grader.intake.names import clean_name
from grader.model import Picture

_Media = Literal["image/png", "image/jpeg"]
_MAGIC: tuple[tuple[bytes, _Media], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
)
# Colab writes a pasted picture into the markdown itself.
_EMBEDDED = re.compile(r"data:image/[\w.+-]{1,40};base64,([A-Za-z0-9+/=]*+)")
_MOST_COLONS = 400  # one for each attachment and one for each of its forms
_attachments = msgspec.json.Decoder(dict[str, dict[str, str | list[str]]])


class PictureFinder:
    """Takes the pictures of one file's text cells, at most as many as the bounds allow."""

    def __init__(self, bounds: Bounds, file: str) -> None:
        self.notes: list[tuple[str, dict[str, str]]] = []
        self._bounds = bounds
        self._file = file
        self._left = bounds.pictures

    def take(self, source: str, attachments: msgspec.Raw) -> tuple[str, tuple[Picture, ...]]:
        """Return the source with references in place of embedded data, and the pictures."""
        found: list[Picture] = []
        if bytes(attachments).count(b":") > _MOST_COLONS:
            self._skip("too-many-pictures", "*", str(self._bounds.pictures))
        else:
            for name, encoded in _attached(attachments):
                self._add(found, name, encoded)

        def replaced(match: re.Match[str]) -> str:
            name = f"picture-{len(found) + 1}"
            self._add(found, name, match.group(1))
            return f"attachment:{name}"

        return _EMBEDDED.sub(replaced, source), tuple(found)

    def _add(self, found: list[Picture], name: str, encoded: str) -> None:
        name = clean_name(name)
        if self._left <= 0:
            self._skip("too-many-pictures", name, str(self._bounds.pictures))
            return
        if len(encoded) > self._bounds.picture_bytes * 4 // 3 + 4:
            self._skip("picture-too-large", name, size_text(self._bounds.picture_bytes))
            return
        try:
            data = base64.b64decode(encoded)
        except (binascii.Error, ValueError):
            data = b""
        media = next((media for magic, media in _MAGIC if data.startswith(magic)), None)
        if media is None:
            self._skip("not-a-picture", name, "PNG, JPEG")
            return
        self._left -= 1
        found.append(Picture(name=name, media=media, data=data))

    def _skip(self, code: str, name: str, bound: str) -> None:
        note = (f"intake.{code}", {"file": self._file, "picture": name, "bound": bound})
        if len(self.notes) < 20:
            self.notes.append(note)


def _attached(attachments: msgspec.Raw) -> Iterator[tuple[str, str]]:
    if not bytes(attachments).strip(b"{} \n"):
        return
    try:
        by_name = _attachments.decode(attachments)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    for name, by_media in by_name.items():
        for media, encoded in by_media.items():
            if media.startswith("image/"):
                yield name, encoded if isinstance(encoded, str) else "".join(encoded)
                break
