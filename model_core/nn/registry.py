"""Students by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from model_core.errors import EchoingError
from model_core.nn.student import Student

_Factory = TypeVar("_Factory", bound=Callable[..., Student])
_STUDENTS: dict[str, Callable[..., Student]] = {}


def register_student(factory: _Factory) -> _Factory:
    """Make a student known under the name of the function that builds it."""
    _STUDENTS[factory.__name__] = factory
    return factory


def list_students() -> list[str]:
    """Names of all registered students, sorted."""
    return sorted(_STUDENTS)


def create_student(name: str, **settings: Any) -> Student:  # noqa: ANN401 - its own
    """Build a student with fresh weights.

    Raises
    ------
    EchoingError
        If no student has that name.
    """
    if name not in _STUDENTS:
        known = ", ".join(list_students())
        raise EchoingError(
            f"There is no student named {name!r}; known: {known}.", code="unknown_student"
        )
    return _STUDENTS[name](**settings)
