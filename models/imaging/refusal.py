"""Why a delivery is refused: the documented codes, and the exception that carries one.

Belongs here: one code and one sentence for every reason to refuse a delivery of images. Does not belong here: the
checks themselves (``archive``, ``instance``, ``contrast``, ``stack``, ``composition``, ``dixon``, ``nifti_set``), nor
failures of the machine (memory, deadline), which are no fault of a delivery.
"""

from collections.abc import Iterable

REFUSALS: dict[str, str] = {
    "still_copying": "A file changed between two looks: it is still being copied. Run the update again later.",
    "symbolic_link": "The delivery holds a symbolic link. Deliver the file itself.",
    "special_file": "The delivery holds a pipe, socket or device. Deliver regular files only.",
    "absolute_path": "The archive names a file by an absolute path. Pack it again with relative paths.",
    "parent_path": "The archive names a file outside itself ('..'). Pack it again with paths inside.",
    "nested_archive": "The archive holds another archive. Deliver the inner one.",
    "too_large": "The delivery has over 20,000 files, or unpacks to over 2 GiB. Deliver the Dixon series alone.",
    "truncated_archive": "The archive cannot be read in full: it is cut, damaged or encrypted. Deliver it again.",
    "empty_delivery": "The delivery holds no DICOM file. Deliver the images.",
    "empty_dicom": "A DICOM file holds no element. Deliver it again.",
    "length_beyond_file": "A DICOM header announces an element longer than its file. Deliver the file again.",
    "truncated_dicom": "A DICOM file ends before its pixels do. Deliver it again.",
    "unreadable_dicom": "A file has the DICOM mark or name but is damaged or in no form read here. Export it again.",
    "deflated_transfer_syntax": "A file uses the deflated transfer syntax, which is refused. Export it plain.",
    "unreadable_nifti": "A NIfTI file is cut, damaged, or no three-dimensional real image. Convert it again.",
    "multi_frame": "The delivery holds multi-frame (Enhanced MR) files. Export it as classic single-frame MR.",
    "not_mr": "The delivery holds files that are not classic MR images. Remove them.",
    "mosaic": "The delivery holds mosaic images. Remove that series, or export it as single slices.",
    "localizer": "The delivery holds localizer images. Remove them.",
    "phase_image": "The delivery holds phase images. Remove them: the four contrasts are magnitude images.",
    "derived_series": "The delivery holds reformatted or otherwise derived images. Deliver the acquired series.",
    "invalid_participant_id": "A file name or PatientID is no valid '<participant>_<visit>' pseudonym. Correct it.",
    "two_participants": "The files of one delivery carry two participants or two visits. Separate them.",
    "participant_mismatch": "The PatientID differs from the participant or visit of the file name. Check the filing.",
    "not_dixon": "No file names a Dixon contrast and all share one echo time: deliver the Dixon series.",
    "unknown_contrast": "A file's contrast cannot be told from Dixon tag, image type, series name or two echo times.",
    "missing_contrast": "Not all of in-phase, opposed-phase, fat and water were delivered. Deliver all four together.",
    "missing_position": "A file has no usable image position or orientation. Export it again with its full header.",
    "two_orientations": "The slices of one contrast have different orientations. Separate the series.",
    "two_echo_times": "The slices of one contrast have different echo times. Separate the series.",
    "mixed_matrix": "The slices of one contrast differ in matrix size or pixel spacing. Separate the series.",
    "too_few_slices": "A contrast or station has fewer than three slices. Deliver the whole series.",
    "duplicate_position": "Slices of one contrast share a position: a repeated run or a copied file. Remove one.",
    "missing_slice": "A slice inside a contrast is missing: a gap is a multiple of the spacing. Deliver it again.",
    "missing_edge_slice": "A contrast lacks slices at its end that another contrast has. Deliver the whole series.",
    "uneven_gap": "The slices of one contrast are not evenly spaced. Check the series for files of another run.",
    "sheared_volume": "The slices of one contrast are not stacked along their normal. Deliver an unsheared series.",
    "identity_affine": "A NIfTI file has no world coordinates. Convert it again from DICOM, keeping the geometry.",
    "implausible_spacing": "The voxel spacing is absent or outside 0.2 to 15 mm. Export it again with its full header.",
    "missing_station": "A contrast lacks a station that another contrast has. Deliver all stations of all contrasts.",
    "station_mismatch": "Stations differ in orientation or spacing, or lie side by side: they cannot be composed.",
    "station_gap": "Two neighbouring stations neither overlap nor touch. Deliver the station between them.",
    "unreadable_pixels": "Pixels are absent, incomplete or in an encoding not read here. Export them uncompressed.",
    "geometry_differs": "The four contrasts do not share one grid. Check the series for files of another run.",
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
