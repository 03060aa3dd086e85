"""What an export tells of whose ECG it is: one rule for all forms of export. No Qt."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from echoing_gui.files import atomic_write
from model_core.errors import EchoingError
from model_core.records import new_study_id
from model_core.wording import say

KEY_NAME = "pseudonym.key"
_KEY_BYTES = 32


class Identity(StrEnum):
    """What an export tells of whose ECG it is; the values stand in the audit log."""

    HIDDEN = "hidden"
    LINKABLE = "linkable"
    KEPT = "kept"


def pseudonyms(identity: Identity, folder: Path) -> Callable[[str], str]:
    """Give what names recordings in an export.

    Parameters
    ----------
    identity
        Hidden: a new random name each time. Linkable: the same one for the same recording in all
        of this user's exports, made with a key that stays in `folder`; who has the file but not the
        key cannot tell. Kept: none.
    folder
        Of the user's settings.

    Returns
    -------
    Callable
        From `recording_id` to the pseudonym; empty where whose it is may be told.

    Raises
    ------
    EchoingError
        If the key cannot be kept, or is damaged.
    """
    if identity is Identity.KEPT:
        return lambda _recording_id: ""
    if identity is Identity.HIDDEN:
        return lambda _recording_id: new_study_id()
    key = _key(folder / KEY_NAME)
    length = len(new_study_id()) - len("ECG-")

    def linkable(recording_id: str) -> str:
        if not recording_id:  # it could not be read: nothing to link
            return new_study_id()
        digest = hmac.new(key, recording_id.encode(), "sha256").hexdigest()
        return f"ECG-{digest[:length]}"

    return linkable


def _key(path: Path) -> bytes:
    try:
        if not path.exists():
            atomic_write(path, secrets.token_bytes(_KEY_BYTES))
        key = path.read_bytes()
    except OSError as error:
        raise EchoingError(
            say("Nothing was exported: the key of your pseudonyms cannot be kept."),
            hint=say("Free some disk space, or export without a linkable pseudonym."),
            code="no_key",
        ) from error
    if len(key) != _KEY_BYTES:
        raise EchoingError(
            say("Nothing was exported: the key of your pseudonyms is damaged."),
            hint=say(
                "Restore {name} in the folder of your settings from a backup, or remove it: "
                "later exports then carry other pseudonyms.",
                name=KEY_NAME,
            ),
            code="no_key",
        )
    return key
