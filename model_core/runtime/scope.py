"""Whether the patient is one of those whom the model of a package was studied on."""

from __future__ import annotations

import re

from model_core.runtime.manifest import Scope
from model_core.types import SEXES, Reason, Recording, Severity
from model_core.wording import listed, say

# In statements of devices and readers, in English, German, French, Spanish and Italian.
_PACED = re.compile(
    r"\b(?:(?:electronic(?:ally)?|atrial(?:ly)?|ventricular(?:ly)?|av|dual[- ]chamber|"
    r"biventricular(?:ly)?|demand)[ -]+(?:paced|pac(?:ing|emaker))|paced|pacing|"
    r"pace[ -]?maker|schrittmacher\w*|stimulateur cardiaque|marcapasos?|pacing)\b",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"\b(?:no|not|non|without|kein\w*|sans|sin|senza|wandering|ectopic|escape)\b[^.;,]{0,30}$",
    re.IGNORECASE,
)
_ANSWERED_NO = re.compile(r"^[^.;,]{0,20}[:=]\s*(?:no|none|not|off|nein|0|false|absent)\b", re.I)
# What the stated ages are told apart by.
_ADULT_Y = 18.0


def check_scope(recording: Recording, scope: Scope, *, paced: bool) -> tuple[Reason, ...]:
    """Compare what is known of the patient with whom the model was studied on.

    Parameters
    ----------
    recording
        Its metadata state age, sex and findings.
    scope
        Of the package.
    paced
        Whether pacing spikes were found in the signal.
    """
    return (
        *_pacing(recording, scope, spikes=paced),
        *_age(recording, scope),
        *_sex(recording, scope),
    )


def states_pacing(text: str) -> bool:
    """Whether a statement says that the rhythm is paced, or that there is a pacemaker.

    Examples
    --------
    >>> states_pacing("Ventricular-paced rhythm"), states_pacing("No pacemaker spikes seen")
    (True, False)
    >>> states_pacing("Pacemaker: no")
    False
    """
    for found in _PACED.finditer(text):
        denied = _DENIED.search(text[: found.start()]) or _ANSWERED_NO.match(text[found.end() :])
        if not denied:
            return True
    return False


def _pacing(recording: Recording, scope: Scope, *, spikes: bool) -> tuple[Reason, ...]:
    if scope.paced:
        return ()
    metadata = recording.metadata
    if spikes:
        message = say(
            "Beats follow the spikes of a pacemaker: the model was not studied on paced rhythm."
        )
    elif ("Pacemaker", "yes") in metadata.patient or any(
        states_pacing(text) for text in (*metadata.comments, *_statements(recording))
    ):
        message = say("The file states a pacemaker: the model was not studied on paced rhythm.")
    else:
        return ()
    return (Reason("paced", Severity.REFUSE, message),)


def _statements(recording: Recording) -> tuple[str, ...]:
    return tuple(statement.text for statement in recording.metadata.statements)


def _age(recording: Recording, scope: Scope) -> tuple[Reason, ...]:
    metadata = recording.metadata
    age_y = metadata.age.years if metadata.age is not None else metadata.age_y
    low, high = scope.age_y
    studied = (
        say("the model was studied on patients of {low:g} years and older", low=low)
        if high >= 120
        else say(
            "the model was studied on patients of {low:g} to {high:g} years", low=low, high=high
        )
    )
    if age_y is None:
        message = say("The file states no age; {studied}.", studied=studied)
        return (Reason("age_unknown", Severity.CAUTION, message),)
    if low <= age_y <= high:
        return ()
    stated = metadata.age.text if metadata.age else say("{n:g} years", n=age_y)
    message = say("The patient's age is {age}; {studied}.", age=stated, studied=studied)
    # A child's heart and ECG are others; an adult beyond the ages studied is told.
    severity = Severity.REFUSE if age_y < min(low, _ADULT_Y) else Severity.CAUTION
    return (Reason("age_not_studied", severity, message),)


def _sex(recording: Recording, scope: Scope) -> tuple[Reason, ...]:
    sex = recording.metadata.sex
    if not sex or sex in scope.sexes:
        return ()
    message = say(
        "The patient is {sex}; the model was studied on {sexes} patients.",
        sex=SEXES.get(sex, sex),
        sexes=listed([SEXES.get(each, each) for each in scope.sexes]),
    )
    return (Reason("sex_not_studied", Severity.REFUSE, message),)
