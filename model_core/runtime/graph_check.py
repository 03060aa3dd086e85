"""What may be in an ONNX graph, checked without the `onnx` package.

ONNX Runtime would load operators of other domains and weights from other files without a word.
The `onnx` package could tell, but is not part of the desktop program, so this walks the few
protobuf fields that matter. Field numbers: onnx.proto3 of ONNX 1.21,
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
"""

from __future__ import annotations

from collections.abc import Iterator

from model_core.wording import say

STANDARD_DOMAINS = ("", "ai.onnx")
MAX_DEPTH = 16

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# Message: field number -> message inside it
_CHILDREN = {
    "model": {7: "graph", 8: "opset", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
# Message: field number of an operator domain in it
_DOMAIN_FIELD = {"node": 7, "opset": 1}
_TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION = 13, 14


def graph_fault(model: bytes) -> str:
    """Tell what is wrong with an ONNX model, as the end of a sentence; empty if nothing is.

    Parameters
    ----------
    model
        A serialised ``ModelProto``.

    Examples
    --------
    >>> graph_fault(b"not a model")
    'it is not an ONNX model'
    """
    try:
        return next(_faults("model", memoryview(model), 0), "")
    except (ValueError, IndexError):
        return say("it is not an ONNX model")


def tensors(model: memoryview) -> Iterator[list[tuple[int, int | memoryview]]]:
    """Fields of each tensor in a sound model: initialisers, and constants of nodes.

    The values are views into `model`: where it may be written to, so may they.
    """
    return _tensors("model", model)


def _tensors(message: str, data: memoryview) -> Iterator[list[tuple[int, int | memoryview]]]:
    if message == "tensor":
        yield list(_fields(data))
        return
    for number, value in _fields(data):
        child = _CHILDREN.get(message, {}).get(number)
        if child and not isinstance(value, int):
            yield from _tensors(child, value)


def _faults(message: str, data: memoryview, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        yield say("it is nested too deeply")
        return
    if message in ("function", "training"):
        yield say("it holds a {section} section", section=message)
        return
    has_graph = False
    for number, value in _fields(data):
        if message == "tensor" and (
            number == _TENSOR_EXTERNAL_DATA or (number == _TENSOR_DATA_LOCATION and value)
        ):
            yield say("it keeps weights in another file")
        if isinstance(value, int):
            continue
        if number == _DOMAIN_FIELD.get(message):
            domain = bytes(value).decode("utf-8")
            if domain not in STANDARD_DOMAINS:
                yield say(
                    "it uses operators outside the ONNX standard ({domain})", domain=domain[:40]
                )
        child = _CHILDREN.get(message, {}).get(number)
        if child:
            has_graph |= child == "graph"
            yield from _faults(child, value, depth + 1)
    if message == "model" and not has_graph:
        yield say("it is not an ONNX model")


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field numbers and values of one protobuf message; fixed-width values as bytes."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            value, position = _varint(data, position)
            yield number, value
            continue
        if wire_type == _BYTES:
            size, position = _varint(data, position)
        elif wire_type in (_FIXED32, _FIXED64):
            size = 4 if wire_type == _FIXED32 else 8
        else:
            raise ValueError(f"unknown wire type {wire_type}")
        if position + size > len(data):
            raise ValueError("field beyond the end")
        yield number, data[position : position + size]
        position += size


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("number too long")
