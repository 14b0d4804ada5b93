"""What a record of a source must be: fields that several formats share, and the error of one that is wrong. A
format declares its record as a model; the description of a field is the remedy that a message gives for it."""

import difflib
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from lib.data.rejects import Wrong

TAGS = "unknown tag: tags are a list of non-negative integers below 2^63"
OCR = "must be a list of {time, text}: the time of a line is a number of seconds, its text must be text"
BY_KIND = {"string_type": "must be text, empty where there is none", "model_type": "every record is an object"}


def utf8(value: str, field: str) -> str:
    """The text. Raises Wrong: it holds bytes that are not UTF-8 (readers keep them as lone surrogates)."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        around = value[max(0, error.start - 8) : error.end + 8]
        raise Wrong(field, around, "not valid UTF-8 text; convert the file to UTF-8") from None
    return value


class Record(BaseModel):
    """A record as its source writes it; values are not converted, and null is the same as missing."""

    model_config = ConfigDict(strict=True, frozen=True)
    missing: ClassVar[str] = "every record needs it; write the record again"  # remedy


Text = Annotated[str, AfterValidator(lambda value: utf8(value, ""))]  # that can be written as UTF-8


class ScreenText(Record):
    """A line that can be read in the picture, and its second."""

    time: Annotated[float, Field(allow_inf_nan=False)] | None = None
    text: Text


Tag = Annotated[int, Field(ge=0, le=(1 << 63) - 1)]
Ocr = Annotated[list[ScreenText], Field(description=OCR)]
RecordT = TypeVar("RecordT", bound=Record)


def screen_texts(lines: list[ScreenText]) -> tuple[tuple[float, str], ...]:
    """(seconds, text) of each line; second 0 where it has none."""
    return tuple((float(line.time or 0), line.text) for line in lines)


def whole_or_text(value: object) -> str:
    """An id as text."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise Wrong("id", value, "an id is text or a whole number")
    return utf8(str(value), "id")


Id = Annotated[str, BeforeValidator(whole_or_text)]


def named(record: str, item: object) -> str:
    """The name of a record with the video's id where it has one.

    >>> named("line 2", {"id": "b"}), named("line 3", {})
    ('line 2 (video b)', 'line 3')
    """
    name = item.get("id") if isinstance(item, dict) else None
    return f"{record} (video {name})" if isinstance(name, (str, int)) and name != "" else record


def checked(model: type[RecordT], item: Any, file: Path, record: str) -> RecordT:
    """The item as a record of the model. Raises BadRecord: a field is missing, unknown, or not what the model says;
    names the first."""
    try:
        given = {key: value for key, value in item.items() if value is not None} if isinstance(item, dict) else item
        return model.model_validate(given)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False)
        # an unknown key first: a misspelt one is also missing
        error = min(errors, key=lambda error: error["type"] != "extra_forbidden")
        raise _wrong(model, error).at(file, record) from None


def _wrong(model: type[Record], error: Any) -> Wrong:
    kind, place, value = error["type"], error["loc"], error["input"]
    field = str(place[0]) if place else "record"
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, Wrong):
        return Wrong(field, cause.value, cause.remedy)
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(field, model.model_fields, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"a record has {', '.join(model.model_fields)}"
        return Wrong(field, value, f"unknown key; {hint}")
    if kind == "missing" and len(place) == 1:
        return Wrong(field, "missing", model.missing)
    described = model.model_fields[field].description if field in model.model_fields else None
    return Wrong(field, value, described or BY_KIND.get(kind, str(error["msg"])))
