"""The objects of a JSON array of any length, in constant memory."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lib.data.rejects import BadRecord

BLOCK = 1 << 20  # bytes read at a time
LONGEST = 1 << 24  # characters of one element; more means that it never ends
GAP = re.compile(r"[ \t\r\n,]*")


def read_array(file: Path) -> Iterator[tuple[int, Any]]:
    """(number, element), numbered from 0. Bytes that are not UTF-8 come as lone surrogates, so that only their record is bad.

    Raises:
        BadRecord: the array itself is damaged or cut short, so that nothing after that place can be found.
    """
    decode, parse = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode, json.JSONDecoder().raw_decode
    text, place, number, begun = "", 0, 0, False
    with file.open("rb") as stream:
        while True:
            block = stream.read(BLOCK)
            text, place = text[place:] + decode(block, not block), 0
            while True:
                place = GAP.match(text, place).end()
                if place == len(text):
                    break
                if not begun:
                    if text[place].lstrip("\ufeff") not in ("[", ""):
                        raise BadRecord(file, "file", "content", text[:20], "annotations are one JSON array of objects")
                    begun, place = text[place] == "[", place + 1
                    continue
                if text[place] == "]":
                    return
                try:
                    value, end = parse(text, place)
                except (json.JSONDecodeError, RecursionError) as error:
                    if block and len(text) - place < LONGEST:
                        break  # perhaps only cut by the end of the block
                    reason = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
                    raise BadRecord(
                        file,
                        f"record {number}",
                        "JSON",
                        text[place : place + 40],
                        f"{reason}; the file is damaged or cut short, copy it again from its source",
                    ) from None
                if end == len(text) and block:
                    break  # a number may go on in the next block
                yield number, value
                number, place = number + 1, end
            if not block:
                raise BadRecord(
                    file,
                    f"record {number}",
                    "JSON",
                    "end of file",
                    "the array is not closed; the file is cut short, copy it again from its source",
                )
