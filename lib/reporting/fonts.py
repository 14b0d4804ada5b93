"""The Chinese font, cut down to the characters of one page and carried inside it."""

from __future__ import annotations

import base64
import io
from functools import cache

FAMILY = "Page CJK"
FIRST_CJK = 0x2E80  # radicals; everything before comes from the reader's own fonts


def needed(text: str) -> str:
    """The characters of ``text`` that a machine without Chinese fonts would draw as boxes, each once, in order.

    >>> needed("tags 标签, 标")
    '标签'
    """
    return "".join(sorted({character for character in text if ord(character) >= FIRST_CJK}))


@cache
def font_face(characters: str) -> str:
    """A CSS rule ``@font-face`` with exactly these glyphs of Noto Sans SC (OFL) as woff2; empty for none.

    Characters the font lacks (emoji, Hangul) are left to the reader's fonts.
    """
    if not characters:
        return ""
    import pylopdf_fonts_zh_cn
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont

    font = TTFont(pylopdf_fonts_zh_cn.sans_path(), recalcTimestamp=False)
    options = Options(
        layout_features=[],
        hinting=False,
        notdef_outline=True,
        name_IDs=[],
        drop_tables=["BASE", "GPOS", "GSUB", "GDEF", "VORG", "DSIG", "vhea", "vmtx"],
    )
    subsetter = Subsetter(options)
    subsetter.populate(text=characters)
    subsetter.subset(font)
    font.flavor = "woff2"
    buffer = io.BytesIO()
    font.save(buffer)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'@font-face{{font-family:"{FAMILY}";src:url(data:font/woff2;base64,{data}) format("woff2");}}'
