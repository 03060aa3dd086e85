"""Networks: students with a Gaussian embedding, and the heads on it."""

from model_core.nn.gaussian import product_of_experts, segment_log_variance
from model_core.nn.heads import HeadOutput, MeasureHeads
from model_core.nn.lead_token import LeadTokenStudent, lead_token
from model_core.nn.published import PublishedStudent
from model_core.nn.registry import create_student, list_students, register_student
from model_core.nn.student import Student, StudentOutput
from model_core.nn.zero_shot_heads import ZeroShotHeads

__all__ = [
    "HeadOutput",
    "LeadTokenStudent",
    "MeasureHeads",
    "PublishedStudent",
    "Student",
    "StudentOutput",
    "ZeroShotHeads",
    "create_student",
    "lead_token",
    "list_students",
    "product_of_experts",
    "register_student",
    "segment_log_variance",
]
