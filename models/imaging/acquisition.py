"""How a contrast was acquired.

Belongs here: the acquisition facts that intake records. Does not belong here: reading them from headers (``instance``),
and comparing them with the study's protocol, which the warehouse does (``sql/raw/protocol_deviation.sql``).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class AcquisitionFacts:
    """How one contrast was acquired; None where the header does not say, or says it unusably."""

    echo_time_ms: float | None
    repetition_time_ms: float | None
    flip_angle_deg: float | None
    field_strength_t: float | None
    scanner_model: str | None
    software_version: str | None
    n_instances: int


UNKNOWN_FACTS = AcquisitionFacts(None, None, None, None, None, None, 0)
"""Of an image that came without a DICOM header."""
