"""Reads a scikit-learn scaler that joblib pickled, without ever running what a pickle can ask for.

A pickle is a program: it may name any function and call it. Here its instructions only build inert
values. Names other than the few of a scaler are refused, and those few stay names.
"""

from __future__ import annotations

import io
import pickletools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_core.errors import EchoingError

_MAX_BYTES = 65536  # the released scaler has 903


class Name(NamedTuple):
    """What a pickle calls by module and name; never looked up."""

    module: str
    name: str


@dataclass(eq=False, slots=True)
class InertObject:
    """What a pickle would have built by calling `name` with `args`; nothing was called."""

    name: Name
    args: tuple[Any, ...]
    state: Any = None


SCALER = Name("sklearn.preprocessing._data", "StandardScaler")
_ARRAY = Name("joblib.numpy_pickle", "NumpyArrayWrapper")
_NDARRAY = Name("numpy", "ndarray")
_DTYPE = Name("numpy", "dtype")
_ALLOWED = {
    SCALER, _ARRAY, _NDARRAY, _DTYPE,
    Name("numpy._core.multiarray", "scalar"),  # numpy 2
    Name("numpy.core.multiarray", "scalar"),  # numpy 1
}  # fmt: skip
_NUMERIC = re.compile(r"f[48]|[iu][1248]")
_BYTE_ORDERS = ("<", ">", "|", "=")

# Instructions of pickle protocol 4, as `pickletools` names them.
_IGNORED = {"PROTO", "FRAME"}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = {
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "SHORT_BINUNICODE", "SHORT_BINBYTES",
}  # fmt: skip
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_STEPS = {
    "EMPTY_DICT", "MARK", "TUPLE", "MEMOIZE", "BINGET", "SETITEM", "SETITEMS", "STACK_GLOBAL",
    "NEWOBJ", "REDUCE", "BUILD", "STOP",
}  # fmt: skip
_KNOWN = _IGNORED | _CONSTANTS.keys() | _LITERALS | _TUPLES.keys() | _STEPS
_INSTRUCTIONS = {each.code.encode("latin-1"): each for each in pickletools.opcodes}
_MARK = object()


def read_inert(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds, of the inert kinds
    """Read a pickled scaler into inert values.

    Parameters
    ----------
    path
        A file written by ``joblib.dump`` without compression.

    Returns
    -------
    object
        Numbers, text, bytes, tuples, dictionaries, one-dimensional float64 arrays and
        `InertObject`.

    Raises
    ------
    EchoingError
        If the file cannot be read, is damaged, or asks for anything beyond a scaler.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise EchoingError(
            f"The scaler {path.name} cannot be read: {error.strerror or error}.",
            code="unreadable_scaler",
        ) from error
    if len(content) > _MAX_BYTES:
        raise EchoingError(f"{path.name} is too large for a scaler.", code="not_a_scaler")
    try:
        return _build(io.BytesIO(content))
    except (ValueError, TypeError, LookupError) as error:
        raise EchoingError(
            f"The scaler {path.name} is damaged, or not written as the released one was.",
            hint="Download the released file again.",
            code="damaged_scaler",
        ) from error


def _build(stream: io.BytesIO) -> Any:  # noqa: ANN401
    stack: list[Any] = []
    memo: list[Any] = []
    while code := stream.read(1):
        instruction = _INSTRUCTIONS.get(code)
        if instruction is None:
            raise ValueError("this is no pickle")
        kind = instruction.name
        if kind not in _KNOWN:
            raise _refusal(f"the instruction {kind}")
        argument: Any = instruction.arg.reader(stream) if instruction.arg else None
        match kind:
            case _ if kind in _IGNORED:
                pass
            case _ if kind in _CONSTANTS:
                stack.append(_CONSTANTS[kind])
            case _ if kind in _LITERALS:
                stack.append(argument)
            case _ if kind in _TUPLES:
                stack.append(_pop(stack, _TUPLES[kind]))
            case "EMPTY_DICT":
                stack.append({})
            case "MARK":
                stack.append(_MARK)
            case "TUPLE":
                stack.append(_pop_to_mark(stack))
            case "MEMOIZE":
                memo.append(stack[-1])
            case "BINGET":
                stack.append(memo[argument])
            case "SETITEM":
                _set_items(stack, _pop(stack, 2))
            case "SETITEMS":
                _set_items(stack, _pop_to_mark(stack))
            case "STACK_GLOBAL":
                stack.append(_allowed_name(*_pop(stack, 2)))
            case "NEWOBJ" | "REDUCE":
                name, arguments = _pop(stack, 2)
                _expect(isinstance(name, Name) and isinstance(arguments, tuple), "a call")
                stack.append(InertObject(name, arguments))
            case "BUILD":
                target, state = _pop(stack, 2)
                _expect(isinstance(target, InertObject), "an object")
                target.state = state
                stack.append(_read_array(stream, state) if target.name == _ARRAY else target)
            case _:  # STOP
                (result,) = stack
                return result
    raise ValueError("it has no end")


def _expect(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(f"{what} is expected where there is none")


def _pop(stack: list[Any], count: int) -> tuple[Any, ...]:
    _expect(len(stack) >= count, "a value")
    split = len(stack) - count
    values = tuple(stack[split:])
    del stack[split:]
    return values


def _pop_to_mark(stack: list[Any]) -> tuple[Any, ...]:
    mark = next((at for at in reversed(range(len(stack))) if stack[at] is _MARK), None)
    if mark is None:
        raise ValueError("a mark is missing")
    values = _pop(stack, len(stack) - mark)
    return values[1:]


def _set_items(stack: list[Any], items: tuple[Any, ...]) -> None:
    keys = items[::2]
    # Text only: the hash of nested tuples that hold one another takes exponential time.
    _expect(all(isinstance(key, str) for key in keys) and len(items) % 2 == 0, "a named value")
    _expect(isinstance(stack[-1], dict), "a dictionary")
    stack[-1].update(zip(keys, items[1::2], strict=True))


def _allowed_name(module: object, name: object) -> Name:
    if not (isinstance(module, str) and isinstance(name, str)):
        raise ValueError("a name is not text")  # noqa: TRY004 - told as any other damage
    called = Name(module, name)
    if called not in _ALLOWED:
        raise _refusal(repr(f"{module}.{name}"[:80]))
    return called


def _refusal(what: str) -> EchoingError:
    return EchoingError(
        f"The scaler file asks for {what}, which no scaler needs; nothing in it was run.",
        hint="Download the released file again.",
        code="unsafe_scaler",
    )


def _read_array(stream: io.BytesIO, wrapper: Any) -> NDArray[np.float64]:  # noqa: ANN401
    """Read what joblib puts behind its wrapper: padding, led by its length, and the values."""
    _expect(isinstance(wrapper, dict) and wrapper.get("subclass") == _NDARRAY, "a numpy array")
    dtype = _dtype(wrapper["dtype"])
    shape = wrapper["shape"]
    _expect(isinstance(shape, tuple) and len(shape) == 1, "a row of numbers")
    (count,) = shape
    _expect(isinstance(count, int) and 0 <= count <= _MAX_BYTES, "a number of values")
    if wrapper.get("numpy_array_alignment_bytes") is not None:  # since joblib 1.1
        padding = stream.read(1)
        _expect(len(padding) == 1, "padding")
        stream.seek(padding[0], io.SEEK_CUR)
    content = stream.read(count * dtype.itemsize)
    _expect(len(content) == count * dtype.itemsize, "an array's content")
    return np.frombuffer(content, dtype).astype(np.float64)


def _dtype(described: Any) -> np.dtype[Any]:  # noqa: ANN401
    _expect(isinstance(described, InertObject) and described.name == _DTYPE, "a number type")
    code, (_, byte_order, *_) = described.args[0], described.state
    _expect(isinstance(code, str) and bool(_NUMERIC.fullmatch(code)), "a number type")
    _expect(byte_order in _BYTE_ORDERS, "a byte order")
    return np.dtype(byte_order + code)
