"""The four muscle compartments of the study: names, sides and label values.

What belongs here: the vocabulary that masks, tables and figures share. No image processing, and nothing that needs torch.
"""

COMPARTMENTS = ("psoas", "gluteus")
SIDES = ("left", "right")

LABELS: dict[tuple[str, str], int] = {
    ("psoas", "left"): 1,
    ("psoas", "right"): 2,
    ("gluteus", "left"): 3,
    ("gluteus", "right"): 4,
}
