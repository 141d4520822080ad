"""HTML of a page: a file of its own, which needs no network and no script to be read."""

from __future__ import annotations

import html
import re
from pathlib import Path

from tf_rnn.console import visible

LOOK, SORTING = (Path(__file__).with_name(f"page.{kind}") for kind in ("css", "js"))
# What is dark on the page of a screen in dark mode, and what is light.
DARK, LIGHT = 0x16, 0xE6
# How much white a colour for light pages gets in dark mode.
WHITENED = 0.45
# Nothing is loaded, whatever a page holds.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_COLOUR = re.compile(r"var\(--c([0-9a-f]{6})\)")


def document(title: str, answer: str, body: str) -> str:
    """A page in HTML.

    Args:
        title: Its heading, plain text.
        answer: HTML of what is to be read first.
        body: HTML of the rest.
    """
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta http-equiv="Content-Security-Policy" content="{POLICY}"/>
<title>{escaped(title)}</title>
<style>
{LOOK.read_text(encoding="utf-8")}{_palette(body)}</style>
</head>
<body>
<header>
<h1>{escaped(title)}</h1>
<div class="answer">
{answer}
</div>
</header>
<main>
{body}
</main>
<script>
{SORTING.read_text(encoding="utf-8")}</script>
</body>
</html>
"""


def escaped(text: str) -> str:
    """A text that HTML shows as it is."""
    return html.escape(visible(text, keep="\n"))


def paragraphs(text: str) -> str:
    """Paragraphs of text, separated by empty lines, with **strong words** and `code`."""
    text = escaped(text)
    for mark, tag in ((r"\*\*", "strong"), ("`", "code")):
        text = re.sub(f"{mark}(.+?){mark}", rf"<{tag}>\1</{tag}>", text, flags=re.DOTALL)
    return "\n".join(f"<p>{part}</p>" for part in text.split("\n\n"))


def slug(text: str) -> str:
    """A text as part of an id."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def scrolling(name: str, content: str) -> str:
    """HTML that scrolls sideways where it is too wide, by keyboard, too; named for who does not see it."""
    return f'<div class="scroll" tabindex="0" role="group" aria-label="{escaped(name)}">\n{content}\n</div>'


def _palette(body: str) -> str:
    """What the colours of the pictures are on light and on dark pages."""
    colours = sorted(set(_COLOUR.findall(body)))
    light, dark = (
        " ".join(f"--c{colour}: #{made(colour)};" for colour in colours) for made in (str, in_dark_mode)
    )
    return f":root {{ {light} }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"


def in_dark_mode(colour: str) -> str:
    """A colour for dark pages: greys are reversed, others are lighter.

    Args:
        colour: That for light pages, six hexadecimal digits.
    """
    channels = bytes.fromhex(colour)
    if len(set(channels)) == 1:
        return bytes([round(LIGHT + (DARK - LIGHT) * channels[0] / 255)] * 3).hex()
    return bytes(round(channel + WHITENED * (255 - channel)) for channel in channels).hex()
