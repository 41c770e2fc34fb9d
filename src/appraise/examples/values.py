"""What a value of a column is as text: what the file says, or a refusal in words.

| value | text |
| --- | --- |
| text | itself, white space included |
| number in JSON | as it is written there: `1.0`, `1e3`, of any length |
| number of a typed column | its shortest form that reads back the same; a decimal with its places |
| true, false | `true`, `false` |
| class label of `datasets` | the name of its class (`formats.class_labels`) |
| day, time, moment | ISO 8601: `2024-05-01`, `2024-05-01T09:30:00` |
| bytes | the text that they are in UTF-8 |
| nothing, NaN in a typed column | empty |

Anything else is refused: infinities, NaN in JSON (which has no such number), objects, and whatever
else a typed column may hold. What a list gives depends on where it stands (`templates`).
"""

from __future__ import annotations

import ast
import datetime
import decimal
import io
import json
import math
import tokenize
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from appraise.errors import OfferError

MOST = 100_000  # characters of a text that is looked at for a list


class Refusal(OfferError):  # noqa: N818 - of one row, to be left out
    """A value that makes no text, or values that make no example together."""


class Number(str):
    """A number of a JSON file, as it is written there."""


def text_of_value(value: Any) -> str:
    """A value as text, by the table above.

    Raises:
        Refusal: it has none.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, Number) and value.lstrip("-")[0].isalpha():
        raise Refusal(f"expected a text or a number of JSON, found {value}")
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float) and math.isfinite(value):
        return repr(float(value))
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, bytes):
        return _decoded(value)
    raise Refusal(f"expected a text, found {described(value)}")


def json_of(value: Any) -> str:
    """A value as JSON, numbers as they are written and names in the order of the file.

    Raises:
        Refusal: something in it has no text.
    """
    if isinstance(value, Mapping):
        inner = (f"{json_of(str(name))}: {json_of(item)}" for name, item in value.items())
        return f"{{{', '.join(inner)}}}"
    if is_list(value):
        return f"[{', '.join(map(json_of, value))}]"
    if value is None:
        return "null"
    text = text_of_value(value)
    if isinstance(value, Number | int | float):
        return text or "null"
    return json.dumps(text, ensure_ascii=False)


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise Refusal(
            f"expected bytes that are UTF-8, found 0x{value[error.start]:02x} at {error.start}"
        ) from None


def described(value: Any) -> str:
    """A value in the words of a refusal: `a list of 3`, `an object with text, answer_start`."""
    if isinstance(value, Mapping):
        names = ", ".join(map(str, value)) or "nothing in it"
        return f"an object with {names}"
    if is_list(value):
        inner = next((f" ({described(item)})" for item in value if isinstance(item, Mapping)), "")
        return f"a list of {len(value)}{inner}"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        return f"{value[:40]!r}"
    if value is None:
        return "nothing"
    return f"a value of the type {type(value).__name__}"


def is_list(value: Any) -> bool:
    """Whether a value has several values in an order, which a text and an object have not."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def list_of(value: Any) -> Sequence[Any]:
    """The elements of a list, or of a text that is one in JSON or as Python prints it.

    Any other value is the only one; nothing is none.

    Raises:
        Refusal: a text is a list without commas, as NumPy prints them.
    """
    if is_list(value):
        return list(value)
    if value is None:
        return []
    listed = _listed(value) if isinstance(value, str) else None
    return [value] if listed is None else listed


def _listed(text: str) -> list[Any] | None:
    """The list that a text is, in JSON or in Python; None when it is not one."""
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")) or len(text) > MOST:
        return None
    try:
        value = json.loads(text, parse_int=Number, parse_float=Number, parse_constant=Number)
    except (ValueError, RecursionError):
        value = _python(text)
    return value if isinstance(value, list) else None


def _python(text: str) -> Any:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        names = [token.type for token in tokenize.generate_tokens(io.StringIO(text).readline)]
        if names.count(tokenize.STRING) != len(value):
            raise Refusal(
                f"expected a list with commas between its elements, found {text[:60]!r}; ask the "
                "provider for a list in JSON"
            )
    return value
