"""Errors of other libraries that a user's files, settings or machine bring about, in our words.

They are recognised by the names of their classes, so that nothing is imported to do so. What a
step or a recorder can say better, because it knows what it was doing, it says itself; this is for
the rest, wherever it comes from.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from appraise.errors import AppraiseError, MachineError

_AGAIN = "then run the same command again: it goes on where it stopped"
_ROOM = f"make room, {_AGAIN}"
_MEMORY = (
    "expected enough memory, found none left ({}); lower batch_size, max_length or the number of "
    f"processes, or take a larger machine, {_AGAIN}"
)
_OF_NUMBER: Mapping[int, tuple[str, str]] = {  # what was expected, and what to do
    errno.ENOSPC: ("room on the disk", _ROOM),
    errno.EDQUOT: ("room within your quota", _ROOM),
    errno.EROFS: ("a disk that can be written", f"mount it for writing, {_AGAIN}"),
    errno.EACCES: ("permission", f"give yourself the right to it (`chmod`, `chown`), {_AGAIN}"),
    errno.EPERM: ("permission", f"give yourself the right to it (`chmod`, `chown`), {_AGAIN}"),
    errno.ENOENT: ("a file or folder", f"put it there, {_AGAIN}"),
    errno.EISDIR: ("a file", f"move the folder in its place away, {_AGAIN}"),
    errno.ENOTDIR: ("a folder", f"move the file in its place away, {_AGAIN}"),
    errno.EEXIST: ("a folder", f"move the file in its place away, {_AGAIN}"),
    errno.ELOOP: ("a link that leads somewhere", f"set it anew, {_AGAIN}"),
    errno.ENAMETOOLONG: ("a name the disk can hold", f"shorten it, {_AGAIN}"),
    errno.EMFILE: ("fewer open files", f"raise the limit (`ulimit -n 4096`), {_AGAIN}"),
    errno.EIO: ("a disk that answers", f"check the disk or the network it is on, {_AGAIN}"),
}
_BY_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EMFILE, errno.EIO}
_NUMBER = re.compile(r"\((?:os error|errno) (\d+)\)|\[[Ee]rrno (\d+)\]")  # Rust's and Arrow's
_ALLOCATOR = re.compile(r"DefaultCPUAllocator|out of memory|Cannot allocate memory", re.IGNORECASE)


def explained(error: BaseException) -> AppraiseError | None:
    """The error as one of ours, with what was expected, what was found and what to do.

    None of one that nobody foresaw: a defect.
    """
    if isinstance(error, AppraiseError):
        return error
    for each in _chain(error):  # a full disk is what matters, whatever it was turned into
        number = _number(each)
        if number in _BY_MACHINE or (number and each is error and isinstance(each, OSError)):
            return MachineError(_of_system(each, number))
    if isinstance(error, RuntimeError) and _ALLOCATOR.search(str(error)):
        return MachineError(_MEMORY.format(one_line(error)))
    for kind in type(error).__mro__:
        say = FORESEEN.get(f"{kind.__module__}.{kind.__qualname__}")
        if say is not None:
            return say(error)
    return None


def one_line(error: BaseException, most: int = 300) -> str:
    """What an error says, on one line of at most so many characters; else its class."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= most else f"{text[: most - 1]}…"


def of_system(error: OSError, path: Path | None = None) -> str:
    """What the operating system refused: the path, what was expected and found, what to do.

    Args:
        path: what was being read or written, where the error does not name it.
    """
    return _of_system(error, _number(error), path)


def _of_system(error: BaseException, number: int, path: Path | None = None) -> str:
    expected, remedy = _OF_NUMBER.get(number, ("the system to allow it", f"mend that, {_AGAIN}"))
    name = getattr(error, "filename", None) or path
    found = os.strerror(number) if number else one_line(error)
    return f"{f'{name}: ' if name else ''}expected {expected}, found: {found}; {remedy}"


def _number(error: BaseException) -> int:
    """The number of the operating system's error; 0 if there is none."""
    number = getattr(error, "errno", None)
    if isinstance(error, OSError) and isinstance(number, int) and number in errno.errorcode:
        return number
    found = _NUMBER.search(str(error))
    return int(found[1] or found[2]) if found else 0


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and those that it came from."""
    seen: list[BaseException] = []
    now: BaseException | None = error
    while now is not None and now not in seen:
        yield now
        seen.append(now)
        now = now.__cause__ or (None if now.__suppress_context__ else now.__context__)


def _broken(what: str, remedy: str) -> Callable[[BaseException], AppraiseError]:
    """Of a class of errors that all mean that a file cannot be read."""
    return lambda error: MachineError(f"expected {what}, found: {one_line(error)}; {remedy}")


def _missing_package(error: BaseException) -> AppraiseError | None:
    name = getattr(error, "name", None) or ""
    if name.split(".")[0] == "appraise":
        return None
    return MachineError(
        f"expected the package {name or 'that is needed'}, found: {one_line(error)}; install it "
        f"(`pip install {name.split('.')[0] or '…'}`), {_AGAIN}"
    )


def _memory(error: BaseException) -> AppraiseError:
    return MachineError(_MEMORY.format(one_line(error)))


_ANEW = f"make or fetch it anew, {_AGAIN}"
FORESEEN: Mapping[str, Callable[[BaseException], AppraiseError | None]] = MappingProxyType(
    {
        "builtins.MemoryError": _memory,
        "torch.OutOfMemoryError": _memory,
        "concurrent.futures.process.BrokenProcessPool": _memory,
        "builtins.ImportError": _missing_package,
        "builtins.UnicodeDecodeError": _broken("text in UTF-8", f"save the file so, {_AGAIN}"),
        "json.decoder.JSONDecodeError": _broken("JSON", _ANEW),
        "yaml.error.YAMLError": _broken("YAML", f"correct it, {_AGAIN}"),
        "re.error": _broken("a regular expression", f"correct it in the settings, {_AGAIN}"),
        "jinja2.exceptions.TemplateError": _broken("a template", f"correct it, {_AGAIN}"),
        "pyarrow.lib.ArrowException": _broken("Parquet or Arrow", _ANEW),
        "safetensors._safetensors_rust.SafetensorError": _broken("safetensors", _ANEW),
        "zipfile.BadZipFile": _broken("an archive", _ANEW),
        "sqlite3.Error": _broken("a database that can be used", f"move it away, {_AGAIN}"),
        "sqlalchemy.exc.SQLAlchemyError": _broken(
            "a database that can be used", f"move it away or start its server, {_AGAIN}"
        ),
        "alembic.util.exc.CommandError": _broken(
            "a database of this version", f"move it away or upgrade it, {_AGAIN}"
        ),
        "huggingface_hub.errors.StrictDataclassError": _broken("a model's config.json", _ANEW),
        "builtins.OSError": lambda error: MachineError(  # without a number: raised by a library
            f"refused by the system or a library: {one_line(error)}; mend that, {_AGAIN}"
        ),
    }
)
"""Full name of a class → what its errors are in our words, or None for a defect after all."""
