"""Deviations from the protocol are recorded with value and expectation."""

from dataclasses import replace

from models.imaging.acquisition import UNKNOWN_FACTS, AcquisitionFacts, protocol_deviations

FACTS = AcquisitionFacts(1.23, 4.36, 9.0, 3.0, "Skyra", "syngo MR E11", 316)
NAKO = {"in": replace(FACTS, echo_time_ms=2.46), "opp": FACTS, "fat": FACTS, "water": FACTS}
SPACING_MM = (1.40625, 1.40625, 3.0)


def test_the_protocol_itself_does_not_deviate():
    assert protocol_deviations(NAKO, SPACING_MM) == []
    assert protocol_deviations({c: replace(f, field_strength_t=2.89) for c, f in NAKO.items()}, SPACING_MM) == []


def test_each_deviation_is_named():
    other = {c: replace(f, repetition_time_ms=5.0, field_strength_t=1.5) for c, f in NAKO.items()}
    other["in"] = replace(other["in"], echo_time_ms=2.6)
    other["water"] = replace(other["water"], flip_angle_deg=10.0)
    assert protocol_deviations(other, (1.5, 1.40625, 6.0)) == [
        ("echo_time_in_ms", 2.6, 2.46),
        ("repetition_time_ms", 5.0, 4.36),
        ("flip_angle_deg", 10.0, 9.0),
        ("field_strength_t", 1.5, 3.0),
        ("spacing_x_mm", 1.5, 1.4),
        ("spacing_z_mm", 6.0, 3.0),
    ]


def test_what_is_not_stated_is_no_deviation():
    assert protocol_deviations(dict.fromkeys(NAKO, UNKNOWN_FACTS), SPACING_MM) == []
