"""Renders pages as a reader sees them, and checks that nothing overflows and no script fails.

Each page is shown by Chromium in a narrow and a wide window, light and dark, and printed. Screenshots and
prints go to a folder, to be looked at.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--no-pdf-header-footer"),
)
WIDTHS = (390, 1280)
# What Chromium calls them.
SCHEMES = {"light": 1, "dark": 0}
# Sorts every column of every table, then says how large the page is and how far it goes beyond the window.
MEASURE = """<script>
for (const button of document.querySelectorAll("th button")) { button.click(); button.click(); }
const root = document.documentElement;
root.dataset.height = root.scrollHeight;
root.dataset.beyond = root.scrollWidth - innerWidth;
</script></body>"""


class Chromium:
    """A browser without a window.

    Args:
        program: Its path.
        folder: For what it keeps between two runs.
    """

    def __init__(self, program: str, folder: Path) -> None:
        self._command = [program, *QUIET, f"--user-data-dir={folder}"]

    def run(self, page: Path, *options: str) -> tuple[str, list[str]]:
        """Opens a page: what is printed, and what the page's console has."""
        words = [*self._command, *options, page.resolve().as_uri()]
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
        return done.stdout, re.findall(r"CONSOLE.*", done.stderr)

    def measure(self, page: Path, *options: str) -> tuple[int, list[str]]:
        """Height of a page in pixels, and its faults."""
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, page.name)
            text = page.read_text(encoding="utf-8")
            copy.write_text(text.replace("</body>", MEASURE), encoding="utf-8")
            shown, console = self.run(copy, *options, "--dump-dom")
        height, beyond = (
            int(re.findall(rf'data-{name}="(-?\d+)"', shown)[0]) for name in ("height", "beyond")
        )
        return height, [*console, *([f"{beyond} pixels wider than the window"] if beyond > 0 else [])]


def look(page: Path, browser: Chromium, out: Path, name: str) -> list[str]:
    """Renders a page in all ways, and returns its faults.

    Args:
        page: An HTML file.
        browser: Shows it.
        out: The folder for the pictures.
        name: Begins their names.
    """
    faults = []
    for scheme, number in SCHEMES.items():
        for width in WIDTHS:
            how = f"--blink-settings=preferredColorScheme={number}"
            height, found = browser.measure(page, how, f"--window-size={width},900")
            faults += [f"{page}, {width} pixels, {scheme}: {fault}" for fault in found]
            picture = out / f"{name}-{width}-{scheme}.png"
            browser.run(page, how, f"--window-size={width},{height}", f"--screenshot={picture}")
    browser.run(page, f"--print-to-pdf={out / name}.pdf")
    return faults


def main() -> int:
    """Looks at pages; ends with 1 if there are faults."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="+", type=Path, metavar="PAGE")
    parser.add_argument("--out", type=Path, default=Path("results/look"), help="folder for the pictures")
    options = parser.parse_args()
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        parser.error(f"none of {', '.join(CHROMIUM)} is on the PATH")
    options.out.mkdir(parents=True, exist_ok=True)
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        browser = Chromium(program, Path(folder))
        for page in options.pages:
            name = "-".join((page.resolve().parent.name, page.stem))
            faults += look(page, browser, options.out.resolve(), name)
    print("\n".join(faults) or f"no faults; pictures in {options.out}")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
