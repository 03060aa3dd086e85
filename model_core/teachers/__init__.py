"""Teachers: networks that supervise a student and never ship with it."""

from model_core.teachers.image_text import (
    FrozenTeacher,
    ImageTextTeacher,
    build_vocabulary,
    split_words,
    study_distribution,
)
from model_core.teachers.zero_shot import mean_similarity, rank_regression

__all__ = [
    "FrozenTeacher",
    "ImageTextTeacher",
    "build_vocabulary",
    "mean_similarity",
    "rank_regression",
    "split_words",
    "study_distribution",
]
