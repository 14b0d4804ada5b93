"""The Chinese font, cut down to the characters of one report and carried beside its pages."""

from __future__ import annotations

import io

FAMILY, FILE = "Page CJK", "cjk.woff2"  # the stylesheet names the family first
FONT_FACE = f'@font-face{{font-family:"{FAMILY}";src:url({FILE}) format("woff2");}}\n'
FIRST_CJK = 0x2E80  # radicals; everything before comes from the reader's own fonts


def needed(text: str) -> str:
    """The characters of ``text`` that a machine without Chinese fonts would draw as boxes, each once, in order.

    >>> needed("tags 标签, 标")
    '标签'
    """
    return "".join(sorted({character for character in text if ord(character) >= FIRST_CJK}))


def woff2(characters: str) -> bytes:
    """Exactly these glyphs of Noto Sans SC (OFL); the same bytes for the same characters.

    Characters the font lacks (emoji, Hangul) are left to the reader's fonts.
    """
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
    return buffer.getvalue()
