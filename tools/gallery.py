"""Take the README's pictures of real pages: ``python tools/gallery.py [REPORTS]``.

REPORTS is a folder that ``grader grade submissions`` wrote, by default ``reports``. The pictures go
to `docs/gallery/` as PNG files of few colours, which keeps each under 150 KB. Needs Chromium.
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

GALLERY = Path(__file__).parent.parent / "docs" / "gallery"
MOST_BYTES = 150_000
COLOURS = 64
PICTURES = (
    (
        "gate",
        "and-or-swapped/report.html",
        "light",
        (900, 1000),
        "#and > article >> nth=0",
    ),
    (
        "expression",
        "four-neurons/report.html",
        "dark",
        (900, 760),
        "#xor-expression > article >> nth=0",
    ),
    (
        "gradients",
        "another-expression/report.html",
        "light",
        (900, 760),
        "#gradients > article >> nth=0",
    ),
    ("class", "index.html", "light", (1100, 900), ""),
    ("phone", "and-or-swapped/report.html", "dark", (390, 844), ""),
)


def main() -> None:
    """Write the pictures; a picture that is too large is an error."""
    reports = Path(sys.argv[1] if len(sys.argv) > 1 else "reports").resolve()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("no Chromium here: install Debian's package `chromium`")
    GALLERY.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, path, scheme, (width, height), anchor in PICTURES:
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme=scheme,
                reduced_motion="reduce",
            )
            page.goto((reports / path).as_uri())
            taken = page.locator(anchor).screenshot() if anchor else page.screenshot()
            picture = Image.open(io.BytesIO(taken)).convert("RGB")
            page.close()
            out = GALLERY / f"{name}.png"
            picture.quantize(COLOURS, dither=Image.Dither.NONE).save(out, optimize=True)
            if out.stat().st_size > MOST_BYTES:
                raise SystemExit(f"{out} has {out.stat().st_size} bytes, over {MOST_BYTES}")
            print(out.name, out.stat().st_size)
        browser.close()


if __name__ == "__main__":
    main()
