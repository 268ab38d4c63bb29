"""How a contrast was acquired, and how that compares with the study's protocol.

Belongs here: the acquisition facts that intake records, and their comparison with the protocol. Does not belong here:
reading them from headers (``instance``). A deviation is recorded, never refused.
"""

from collections.abc import Mapping, Sequence
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

PROTOCOL = {
    "echo_time_in_ms": (2.46, 0.05),
    "echo_time_opp_ms": (1.23, 0.05),
    "repetition_time_ms": (4.36, 0.1),
    "flip_angle_deg": (9.0, 0.5),
    "field_strength_t": (3.0, 0.2),
    "spacing_x_mm": (1.4, 0.02),
    "spacing_y_mm": (1.4, 0.02),
    "spacing_z_mm": (3.0, 0.05),
}
"""Name -> (expected value, tolerance) in the unit of the name. 3 T scanners write 2.89 to 3; NAKO's pixels are
1.40625 mm.

Expected values: Kiefer et al., Diagnostics 2026, doi 10.3390/diagnostics16020205 (science.md, section 1)."""


def protocol_deviations(
    facts: Mapping[str, AcquisitionFacts], spacing_mm: Sequence[float]
) -> list[tuple[str, float, float]]:
    """Compare an acquisition with the study's protocol.

    Parameters
    ----------
    facts
        Contrast (in, opp, fat, water) -> how it was acquired.
    spacing_mm
        Voxel size along x, y, z.

    Returns
    -------
    list of (name, value, expected)
        In the order of `PROTOCOL`; a value that the header does not state is no deviation. Where contrasts differ, the
        first deviating value in the order in, opp, fat, water.
    """
    observed = {
        "echo_time_in_ms": [facts["in"].echo_time_ms],
        "echo_time_opp_ms": [facts["opp"].echo_time_ms],
        **{f"spacing_{axis}_mm": [step] for axis, step in zip("xyz", spacing_mm, strict=True)},
    }
    for name in ("repetition_time_ms", "flip_angle_deg", "field_strength_t"):
        observed[name] = [getattr(facts[contrast], name) for contrast in ("in", "opp", "fat", "water")]
    deviations = []
    for name, (expected, tolerance) in PROTOCOL.items():
        deviating = [value for value in observed[name] if value is not None and abs(value - expected) > tolerance]
        if deviating:
            deviations.append((name, deviating[0], expected))
    return deviations
