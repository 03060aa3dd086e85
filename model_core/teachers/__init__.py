"""Teachers: networks that supervise a student and never ship with it."""

from model_core.teachers.ecg_text import EcgTextEncoder
from model_core.teachers.echoclip import LICENCE_TERMS, ClipModel, EchoClip, load_echoclip
from model_core.teachers.image_text import (
    FrozenTeacher,
    GaussianText,
    ImageTextTeacher,
    build_vocabulary,
    study_distribution,
)

__all__ = [
    "LICENCE_TERMS",
    "ClipModel",
    "EcgTextEncoder",
    "EchoClip",
    "FrozenTeacher",
    "GaussianText",
    "ImageTextTeacher",
    "build_vocabulary",
    "load_echoclip",
    "study_distribution",
]
