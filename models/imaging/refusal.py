"""Why a delivery is refused: the documented codes, and the exception that carries one.

Belongs here: one code and one sentence for every reason to refuse a delivery. Does not belong here: the checks
themselves (``dicom``, ``dixon``), nor failures of the machine (memory, deadline), which are no fault of a delivery.
"""

from collections.abc import Iterable

REFUSALS: dict[str, str] = {
    "unsafe_archive": "The archive has absolute or parent paths, links, nested archives, or inflates to too much.",
    "truncated_archive": "The archive cannot be read in full: it is cut, damaged or encrypted. Deliver it again.",
    "empty_delivery": "The delivery holds no DICOM file.",
    "unreadable_dicom": "A file has the DICOM mark or name but cannot be read as DICOM. Deliver it again.",
    "deflated_transfer_syntax": "A file uses the deflated transfer syntax, which is refused. Export it plain.",
    "multi_frame": "The delivery holds multi-frame (Enhanced MR) files. Export it as classic single-frame MR.",
    "not_mr": "The delivery holds files that are not classic MR images. Remove them.",
    "invalid_participant_id": "A PatientID is no valid '<participant>_<visit>' pseudonym.",
    "participant_mismatch": "The PatientID differs between files, or from the name of the archive. Check the filing.",
    "unknown_contrast": "A file's contrast cannot be told from the Dixon tag, the image type or two echo times.",
    "missing_contrast": "Not all of in-phase, opposed-phase, fat and water were delivered.",
    "missing_position": "A file has no usable image position or orientation.",
    "two_orientations": "The slices of one contrast have different orientations.",
    "two_echo_times": "The slices of one contrast have different echo times.",
    "mixed_matrix": "The slices of one contrast differ in matrix size or pixel spacing.",
    "too_few_slices": "A contrast has fewer than three slices.",
    "duplicate_position": "Two slices of one contrast lie at the same position: a repeated run or a copied file.",
    "missing_slice": "A slice is missing: a gap is a multiple of the slice spacing, or another contrast has the slice.",
    "uneven_gap": "The slices of one contrast are not evenly spaced.",
    "sheared_volume": "The slices of one contrast are not stacked along their normal.",
    "implausible_spacing": "The voxel spacing is absent or outside 0.2 to 15 mm.",
    "unreadable_pixels": "The pixels of a file are absent, incomplete or in an encoding that cannot be read here.",
    "geometry_differs": "The four contrasts do not share one grid.",
}
"""Code -> sentence, in order of precedence: where several apply, the first is the code."""


class Refusal(Exception):
    """A delivery is refused; never retried.

    Parameters
    ----------
    code
        A key of ``REFUSALS``.
    detail
        Further sentence: contrast names, counts and lengths only, never text from a header or a file name.

    Raises
    ------
    KeyError
        If the code is not documented.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.message = f"{REFUSALS[code]} {detail}".rstrip()

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def first_refusal(refusals: Iterable[Refusal]) -> Refusal:
    """Return the refusal that takes precedence.

    Raises
    ------
    ValueError
        If there is none.
    """
    order = list(REFUSALS)
    return min(refusals, key=lambda refusal: order.index(refusal.code))
