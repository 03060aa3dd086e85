"""XML of carts and archives: limits first, no entities, and the encoding that fits the bytes."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from xml.parsers import expat

from model_core.errors import ReadError
from model_core.io._complete import checked_size
from model_core.wording import say

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MAX_BYTES = 64_000_000
MAX_DEPTH = 64
MAX_ELEMENTS = 2_000_000

_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_ENCODING = re.compile(rb"^\s*<\?xml[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,30})[\"']")
_ROOT = re.compile(r"<(?:[\w.-]+:)?([A-Za-z][\w.-]*)")
# What may stand before the root element, and how it ends
_PROLOGUE = (("<?", "?>"), ("<!--", "-->"), ("<!DOCTYPE", ">"))


def root_name(head: bytes) -> str:
    """Name of the first element, lower case, without namespace; empty if it is no XML."""
    text = _text(head).lstrip("\ufeff \t\r\n\x00")
    while kinds := [end for start, end in _PROLOGUE if text.startswith(start)]:
        end = kinds[0]
        if end == ">" and 0 <= text.find("[") < text.find(">"):
            end = "]>"  # a document type with declarations inside
        _, found, text = text.partition(end)
        text = text.lstrip()
        if not found:
            return ""
    match = _ROOT.match(text)
    return match[1].lower() if match else ""


def check_xml(path: Path) -> str:
    """Text of an XML file, once it is known to be harmless and well formed.

    Raises
    ------
    ReadError
        If it is too large or too deep, declares entities, or is not well formed.
    """
    checked_size(path, MAX_BYTES)
    text = _DECLARATION.sub("", _text(path.read_bytes()).lstrip("\ufeff"), count=1)
    depth = count = 0

    def refuse(why: str) -> NoReturn:
        raise ReadError(
            say("{file} cannot be read: {why}.", file=path.name, why=why),
            hint=say("Export it again from the device or archive."),
            code="bad_xml",
        )

    def begin(_name: str, _attributes: dict[str, str]) -> None:
        nonlocal depth, count
        depth += 1
        count += 1
        if depth > MAX_DEPTH or count > MAX_ELEMENTS:
            refuse(say("its XML is nested too deeply or too long"))

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    def entity(*_: object) -> None:
        refuse(say("its XML declares entities, which no ECG needs"))

    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    parser.EntityDeclHandler = entity
    try:
        parser.Parse(text.encode("utf-8", errors="replace"), True)
    except expat.ExpatError as error:
        refuse(say("its XML is damaged in line {line}", line=error.lineno))
    return text


def parse_xml(path: Path) -> Element:
    """Root element of a checked XML file, tags without their namespaces."""
    from defusedxml import ElementTree

    root: Element = ElementTree.fromstring(check_xml(path))
    for element in root.iter():
        element.tag = str(element.tag).rpartition("}")[2]
    return root


def text_of(element: Element | None, path: str = ".") -> str:
    """Text below an element, stripped; empty if there is none."""
    found = None if element is None else element.find(path)
    return (found.text or "").strip() if found is not None else ""


def number_of(text: str) -> float | None:
    """Plain decimal number; None for anything else."""
    match = re.fullmatch(r"[+-]?(\d{1,18}(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?", text)
    return float(text) if match else None


def _text(data: bytes) -> str:
    """Decode by byte order mark, declaration, UTF-8, and Latin-1, which fits any bytes."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    if data[:2] in (b"<\0", b"\0<"):
        return data.decode("utf-16-le" if data[:1] == b"<" else "utf-16-be", errors="replace")
    for encoding in (_declared(data), "utf-8"):
        try:
            return data.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    return data.decode("latin-1")


def _declared(data: bytes) -> str:
    """Take the encoding that is stated in plain letters; UTF-16 cannot be stated so."""
    found = _ENCODING.match(data.removeprefix(b"\xef\xbb\xbf"))
    stated = found[1].decode().lower() if found else "utf-8"
    return (
        "utf-8" if stated.startswith(("utf-16", "utf16", "utf-32", "ucs", "iso-10646")) else stated
    )


def _plain_to_expat(data: bytes) -> bool:
    """Whether a parser that knows UTF-8, marked UTF-16 and one byte a letter reads the bytes."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return True
    found = _ENCODING.match(data.removeprefix(b"\xef\xbb\xbf"))
    stated = found[1].decode().lower() if found else "utf-8"
    try:
        return (
            stated in ("utf-8", "utf8") or len(bytes(range(256)).decode(stated, "replace")) == 256
        )
    except LookupError:
        return False


@contextlib.contextmanager
def in_plain_encoding(path: Path) -> Generator[Path, None, None]:
    """Path of the file, or of a copy in UTF-8 that is gone afterwards, for decoders that need it.

    Files of East Asian carts, and files that state UTF-16 and are not, cannot be read by every
    parser. Such a copy lies in a folder that only this user can open.
    """
    data = path.read_bytes()
    if _plain_to_expat(data) and data[:2] not in (b"<\0", b"\0<"):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        copy.write_text(_DECLARATION.sub("", _text(data), count=1), encoding="utf-8")
        yield copy


def integers_of(text: str) -> list[int] | None:
    """Integers separated by commas or blanks; None if anything else is among them."""
    parts = text.replace(",", " ").split()
    if not all(re.fullmatch(r"[+-]?\d{1,9}", part) for part in parts):
        return None
    return [int(part) for part in parts]
