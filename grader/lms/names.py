"""Names as systems and persons write them, made fit for comparing."""

import unicodedata


def folded(text: str) -> str:
    """Return a name as it is compared: letters and digits only, case and composition aside."""
    normal = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in normal if char.isalnum())
