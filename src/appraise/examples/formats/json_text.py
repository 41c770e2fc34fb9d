"""JSON: an object in each line, or an array of objects, which is read one by one.

A key that an object has twice is refused at any depth, because the two values contradict each
other and JSON does not say which of them counts.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from typing import IO, Any

from appraise.errors import OfferError
from appraise.examples.columns import column_name
from appraise.examples.formats.row import Options, Row
from appraise.examples.values import Number

_SPACE = re.compile(r"[ \t\r\n]*")
_PIECE = 2**20
_LARGEST = 2**28  # characters of one value
_WORDS: dict[type, str] = {dict: "an object", list: "an array", str: "a text", Number: "a number"}


class _RepeatedKeyError(ValueError):
    """A key that an object has twice."""


def _object(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        name = next(name for name in names if names.count(name) > 1)
        raise _RepeatedKeyError(f"an object with the key {name!r} twice")
    return made


DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=Number, parse_float=Number, parse_constant=Number
)


def json_rows(file: IO[bytes], options: Options, *, document: bool = False) -> Iterator[Row]:
    """The rows of a JSON file: lines, an array, or an array under a key of an object.

    Args:
        document: whether a single object is the whole of a document, and not the only row.

    Raises:
        OfferError: it is none of these, or an array that is not JSON.
    """
    begin = file.read(_PIECE).removeprefix(codecs.BOM_UTF8).lstrip()
    file.seek(0)
    if options.field is None and not begin.startswith(b"["):
        _refuse_one_object(file, document)
        yield from _lines(file, options.max_row_bytes)
        return
    text = _Text(file)
    if options.field is None:
        yield from _elements(text, options.max_row_bytes)
    else:
        yield from _under(text, options.field, options.max_row_bytes)
    if text.peek():
        raise OfferError(
            "expected one array of objects and nothing after it, or an object in each line, found "
            f"{text.peek()!r} after the end; join the parts into one"
        )


def _refuse_one_object(file: IO[bytes], document: bool) -> None:
    text = _Text(file)
    try:
        value, written = text.value()
        alone = document and not text.peek()
    except (OfferError, UnicodeDecodeError):
        return  # what is wrong is said of its line
    finally:
        file.seek(0)
    if isinstance(value, dict) and (alone or "\n" in written):
        keys = ", ".join(f"{name} ({_words(item)})" for name, item in value.items()) or "no keys"
        raise OfferError(
            "expected an array of objects, or an object in each line, found an object with "
            f"{keys}; name the key under which the rows are, as in `field: data`"
        )


def _lines(file: IO[bytes], max_row_bytes: int) -> Iterator[Row]:
    number = 0
    while line := file.readline(max_row_bytes + 1):
        number += 1
        size = len(line)
        if size > max_row_bytes and not line.endswith(b"\n"):
            while more := file.readline(2**20):
                size += len(more)
                if more.endswith(b"\n"):
                    break
            yield Row(number, size, {}, too_large=True)
        elif line.removeprefix(codecs.BOM_UTF8).strip():
            yield _line(number, line)


def _line(number: int, line: bytes) -> Row:
    try:
        value = DECODER.decode(line.decode("utf-8-sig"))  # a mark stands before each joined file
    except UnicodeDecodeError as error:
        reason = f"not UTF-8: byte 0x{line[error.start]:02x} at {error.start}"
        return Row(number, len(line), {}, reason)
    except _RepeatedKeyError as error:
        return Row(number, len(line), {}, str(error))
    except (ValueError, RecursionError) as error:
        return Row(number, len(line), {}, f"not JSON: {' '.join(str(error).split())}")
    return _row(number, len(line), value)


def _row(number: int, size: int, value: Any) -> Row:
    if not isinstance(value, dict):
        return Row(number, size, {}, f"not a JSON object but {_words(value)}")
    columns = {column_name(name): item for name, item in value.items()}
    if len(columns) < len(value):
        names = ", ".join(map(repr, value))
        return Row(number, size, {}, f"two keys that look the same among {names}")
    return Row(number, size, columns)


def _words(value: Any) -> str:
    return "null" if value is None else _WORDS.get(type(value), "true or false")


class _Text:
    """A JSON text that is read value by value; no more of it is held than one value."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._text, self._at = "", 0

    def _more(self) -> bool:
        """Read on, as much again as is held already; False at the end."""
        piece = self._file.read(max(_PIECE, len(self._text) - self._at))
        self._text = self._text[self._at :] + self._decode(piece, final=not piece)
        self._at = 0
        return bool(piece)

    def peek(self) -> str:
        """The next character that is no white space; "" at the end."""
        while True:
            space = _SPACE.match(self._text, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self, wanted: str) -> None:
        """Go past this character; OfferError when another one is next."""
        found = self.peek()
        if found != wanted:
            raise OfferError(f"expected JSON with {wanted!r} next, found {found or 'its end'!r}")
        self._at += 1

    def value(self) -> tuple[Any, str]:
        """The next value, and how it is written.

        Raises:
            OfferError: it is not JSON, or has a key twice.
        """
        self.peek()
        while True:
            try:
                value, end = DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if len(self._text) - self._at > _LARGEST or not self._more():
                    raise OfferError(f"expected JSON, found: {error.msg}") from None
            except (ValueError, RecursionError) as error:
                raise OfferError(f"expected JSON, found {error}") from None
            else:
                if end < len(self._text) or not self._more():  # a number may go on
                    written = self._text[self._at : end]
                    self._at = end
                    return value, written


def _elements(text: _Text, max_row_bytes: int) -> Iterator[Row]:
    """The elements of an array."""
    text.take("[")
    number = 0
    while text.peek() != "]":
        if number:
            text.take(",")
        number += 1
        try:
            value, written = text.value()
        except OfferError as error:
            raise OfferError(f"row {number}: {error}") from None
        size = len(written.encode())
        if size > max_row_bytes:
            yield Row(number, size, {}, too_large=True)
        else:
            yield _row(number, size, value)
    text.take("]")


def _under(text: _Text, field: str, max_row_bytes: int) -> Iterator[Row]:
    """The elements of the array under a key of an object."""
    text.take("{")
    names: list[str] = []
    while text.peek() != "}":
        if names:
            text.take(",")
        name = str(text.value()[0])
        text.take(":")
        if name == field and name in names:
            raise OfferError(f"expected the key {field!r} once, found it a second time")
        names.append(name)
        if name != field:
            text.value()
        elif text.peek() == "[":
            yield from _elements(text, max_row_bytes)
        else:
            raise OfferError(
                f"field: expected an array of objects under {field!r}, found "
                f"{_words(text.value()[0])}"
            )
    text.take("}")
    if field not in names:
        raise OfferError(f"field: expected one of {', '.join(names) or 'none'}, found {field!r}")
