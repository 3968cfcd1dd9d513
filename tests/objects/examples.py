"""A patient, a study, a device and a file to write an object into."""

import os
from pathlib import Path

from agent.dataset.file_meta import encode_file_meta
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from agent.dataset.uid import new_uid
from agent.objects.composite import FinishedObject, ObjectWriter, begin
from agent.objects.description import (
    Cine,
    DeviceIdentity,
    ExaminationIdentity,
    InstanceDescription,
    Moment,
    PatientIdentity,
    SeriesIdentity,
    StudyIdentity,
)
from agent.objects.geometry import Geometry
from agent.objects.iods import IODS
from agent.objects.pixels import PixelDescription

MOMENT = Moment("20250102", "131415.250000", "+0100")
GEOMETRY = Geometry(
    "1.2.3.4.5", (0.5, 0.5), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (-10.0, 5.5, 20.0), 2.5
)


def examination(**changes) -> ExaminationIdentity:
    values = {
        "patient": PatientIdentity(
            name="Müller^Jürgen", identifier="P-1", birth_date="19700131", sex="M"
        ),
        "study": StudyIdentity(
            new_uid(),
            date="20250102",
            time="130000",
            identifier="S1",
            accession_number="A1",
            referring_physician_name="Weiß^Anna",
            description="Écho",
        ),
        "series": SeriesIdentity(new_uid(), 1, description="Loops"),
    }
    return ExaminationIdentity(**{**values, **changes})


def device() -> DeviceIdentity:
    return DeviceIdentity(
        manufacturer="Acme",
        model_name="Scan 3",
        serial_number="17",
        software_versions=("1.0", "2.0"),
        station_name="US1",
        institution_name="Hospital",
        capture_model_name="Gantry",
    )


def file_meta_of(
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str = EXPLICIT_VR_LITTLE_ENDIAN,
) -> bytes:
    """The file meta information of an example."""
    return encode_file_meta(
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        transfer_syntax_uid=transfer_syntax_uid,
        implementation_class_uid="1.2.826.0.1.3680043.10.999",
    )


def takes_clips(sop_class_uid: str) -> bool:
    """Whether an object of the class is a clip when it is given a frame time."""
    iod = IODS[sop_class_uid]
    return iod.multi_frame or iod.may_be_multi_frame


class ObjectFile:
    """A file in a folder, and the writer of an object into it."""

    def __init__(
        self,
        folder: Path,
        sop_class_uid: str,
        pixels: PixelDescription,
        *,
        identity: ExaminationIdentity | None = None,
        transfer_syntax_uid: str = EXPLICIT_VR_LITTLE_ENDIAN,
        with_file_meta: bool = True,
        frame_time: float | None = 40.0,
        **instance,
    ) -> None:
        self.path = folder / f"{sop_class_uid}.dcm"
        self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        self.sop_instance_uid = new_uid()
        self.file_meta = file_meta_of(sop_class_uid, self.sop_instance_uid, transfer_syntax_uid)
        self.writer: ObjectWriter = begin(
            self.descriptor,
            sop_class_uid,
            examination() if identity is None else identity,
            pixels,
            device(),
            InstanceDescription(
                self.sop_instance_uid, 1, created=MOMENT, acquired=MOMENT, **instance
            ),
            cine=Cine(frame_time, 25, 25) if frame_time and takes_clips(sop_class_uid) else None,
            file_meta=self.file_meta if with_file_meta else b"",
            transfer_syntax_uid=transfer_syntax_uid,
        )

    def finish(self, *arguments, **options) -> FinishedObject:
        finished = self.writer.finish(*arguments, **options)
        os.close(self.descriptor)
        return finished
