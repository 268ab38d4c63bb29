"""A release's imaging folder -> cases to read, and a case -> a delivery or a refusal: the two doors of this package.

Belongs here: which reader a layout needs, and which of several runs is read. Does not belong here: naming rules
(``layout``), reading (``dicom``, ``nifti_set``), and what is done with a delivery.
"""

from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from models.imaging.acquisition import UNKNOWN_FACTS
from models.imaging.archive import DeliveredFile, read_file, read_zip
from models.imaging.contrast import BASELINE_VISIT, PATIENT_ID
from models.imaging.dicom import Delivery, assemble_delivery, read_folder, read_zips
from models.imaging.dixon import CONTRASTS, combine_contrasts
from models.imaging.instance import is_dicom, read_instance
from models.imaging.layout import Case, choose_run, list_cases
from models.imaging.nifti_set import read_nifti
from models.imaging.refusal import Refusal, first_refusal

_N_PEEKED = 20


@dataclass(frozen=True)
class Plan:
    """What to do with an imaging folder.

    Attributes
    ----------
    cases
        To be read, one for each participant and visit, sorted by path.
    duplicates
        (case, the one that is read instead of it).
    strays
        Files that belong to no case.
    """

    cases: list[Case]
    duplicates: list[tuple[Case, Case]]
    strays: list[DeliveredFile]


def plan_intake(imaging: Path, layout: str | None = None) -> Plan:
    """List the cases of an imaging folder and choose one run of each participant and visit.

    Names, sizes and times alone decide (`list_cases`, `choose_run`), except for participants with several deliveries
    whose names state no visit: of those one header each is read for the visit.

    Parameters
    ----------
    imaging
        The folder; an absent one holds nothing.
    layout
        composed, stations, dicom or nifti where the release states it; None: recognised per participant.

    Raises
    ------
    ValueError
        If the layout is unknown.
    """
    listing = list_cases(imaging, layout)
    of_participant = defaultdict(list)
    for case in listing.cases:
        of_participant[case.participant_id or case.path].append(case)
    chosen, duplicates = [], []
    for cases in of_participant.values():
        of_visit = defaultdict(list)
        for case in cases:
            of_visit[case.visit or peek_visit(case) if len(cases) > 1 else None].append(case)
        for runs in of_visit.values():
            best = choose_run(runs)
            chosen.append(best)
            duplicates += [(run, best) for run in runs if run is not best]
    return Plan(sorted(chosen, key=lambda case: (case.path, case.files[0].path)), duplicates, listing.strays)


def read_case(case: Case) -> Delivery:
    """Read a case of any layout.

    Raises
    ------
    Refusal
        With any code of ``REFUSALS``.
    OSError
        If a file cannot be opened.
    """
    if case.layout == "nifti":
        return _read_nifti_set(case)
    read = read_folder if case.layout == "dicom" else read_zips
    return assemble_delivery(read(case.files), case.participant_id, case.visit)


def peek_visit(case: Case) -> str:
    """Return the visit that the first DICOM file of a case states; the baseline where it cannot be told."""
    first = case.files[0]
    try:
        files = (("", read_file(first)),) if case.layout in ("dicom", "nifti") else read_zip(first)
        instances = (read_instance(data) for _, data in islice(files, _N_PEEKED) if is_dicom(data))
        first_image = next(filter(None, instances), None)
    except (Refusal, OSError):
        return BASELINE_VISIT
    match = first_image and PATIENT_ID.fullmatch(first_image.patient_id)
    return (match and match[2]) or BASELINE_VISIT


def _read_nifti_set(case: Case) -> Delivery:
    if case.participant_id is None:
        raise Refusal("invalid_participant_id")
    images, refusals = {}, []
    for file in case.files:
        if file.contrast in images:
            refusals.append(Refusal("duplicate_position", f"Contrast: {file.contrast}."))
        try:
            images[file.contrast] = read_nifti(read_file(file))
        except Refusal as refusal:
            refusals.append(Refusal(refusal.code, f"Contrast: {file.contrast}."))
    if refusals:
        raise first_refusal(refusals)
    facts = dict.fromkeys(CONTRASTS, UNKNOWN_FACTS)
    return Delivery(case.participant_id, case.visit or BASELINE_VISIT, combine_contrasts(images), facts)
