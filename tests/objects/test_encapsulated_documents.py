"""Documents of other formats as objects: whole, valid, and read back by others."""

import os
import struct
import tracemalloc

import pydicom
import pytest

from agent.dataset.transfer_syntaxes import JPEG_BASELINE
from agent.errors import LocalError, StorageError
from agent.objects.description import InstanceDescription
from agent.objects.document_iods import ENCAPSULATED_CDA, ENCAPSULATED_PDF, ENCAPSULATED_STL
from agent.objects.encapsulated_documents import DocumentDescription, encapsulate
from agent.objects.references import Code, InstanceReference
from agent.objects.ultrasound import ULTRASOUND_IMAGE
from tests.objects.examples import MOMENT, device, examination, file_meta_of
from tests.objects.judging import by_dcmtk, dump, errors_of

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
CDA = b'<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3"/>'
STL = b"triangles".ljust(80) + struct.pack("<I12fH", 1, *range(12), 0)
REPORT = Code("18782-3", "LN", "X-Ray Report")
CASES = [
    (ENCAPSULATED_PDF, PDF, DocumentDescription("Bericht über die Röntgenaufnahme", REPORT)),
    (ENCAPSULATED_PDF, PDF + b"x", DocumentDescription()),
    (
        ENCAPSULATED_CDA,
        CDA,
        DocumentDescription("Report", REPORT, hl7_instance_identifier="1.2.3^4"),
    ),
    (
        ENCAPSULATED_STL,
        STL,
        DocumentDescription(
            "Model",
            Code("85040-4", "LN", "Annotation"),
            sources=(InstanceReference(ULTRASOUND_IMAGE, "1.2.3", "1.2.4"),),
            frame_of_reference_uid="1.2.9",
        ),
    ),
]


def made(folder, sop_class_uid, data, document, **options):
    source, path = folder / "source", folder / "object.dcm"
    source.write_bytes(data)
    reading = os.open(source, os.O_RDONLY)
    writing = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        encapsulate(
            writing,
            sop_class_uid,
            reading,
            examination(),
            device(),
            InstanceDescription("1.2.3.4", 1, MOMENT, MOMENT),
            document,
            file_meta=file_meta_of(sop_class_uid, "1.2.3.4"),
            **options,
        )
    finally:
        os.close(reading)
        os.close(writing)
    return path


@pytest.mark.peer
@pytest.mark.parametrize(("sop_class_uid", "data", "document"), CASES)
def test_a_document_is_valid_and_whole(tmp_path, sop_class_uid, data, document):
    path = made(tmp_path, sop_class_uid, data, document)
    assert errors_of(path) == []
    read = pydicom.dcmread(path)
    assert read.EncapsulatedDocument[: len(data)] == data
    assert read.EncapsulatedDocumentLength == len(data)
    assert read.get("ConversionType") == (None if sop_class_uid == ENCAPSULATED_STL else "WSD")
    assert read.DocumentTitle == (document.title or "")
    assert "EncapsulatedDocument" in dump(path)


@pytest.mark.peer
def test_dcmtk_gets_the_pdf_out_again(tmp_path):
    path = made(tmp_path, *CASES[0])
    by_dcmtk("dcm2pdf", path, tmp_path / "out.pdf")
    assert (tmp_path / "out.pdf").read_bytes().rstrip(b"\0") == PDF


@pytest.mark.parametrize(
    ("sop_class_uid", "data", "document"),
    [
        (ENCAPSULATED_PDF, b"", DocumentDescription()),
        (ENCAPSULATED_PDF, b"PK\3\4 no such document", DocumentDescription()),
        (ENCAPSULATED_CDA, CDA, DocumentDescription()),
        (ENCAPSULATED_STL, STL, DocumentDescription()),
        (ULTRASOUND_IMAGE, PDF, DocumentDescription()),
    ],
)
def test_what_is_no_such_document_is_refused_and_nothing_written(
    tmp_path, sop_class_uid, data, document
):
    with pytest.raises(LocalError):
        made(tmp_path, sop_class_uid, data, document)
    assert (tmp_path / "object.dcm").stat().st_size == 0


def test_a_transfer_syntax_of_pixels_is_refused(tmp_path):
    with pytest.raises(LocalError, match="transfer syntax"):
        made(tmp_path, ENCAPSULATED_PDF, PDF, CASES[0][2], transfer_syntax_uid=JPEG_BASELINE)


def test_a_source_that_cannot_be_read_is_said(tmp_path):
    with pytest.raises(StorageError):
        encapsulate(
            -1,
            ENCAPSULATED_PDF,
            -1,
            examination(),
            device(),
            InstanceDescription("1.2", 1, MOMENT),
            DocumentDescription(),
        )


def test_a_document_of_32_megabytes_takes_no_memory(tmp_path):
    tracemalloc.start()
    source = tmp_path / "large"
    with source.open("wb") as file:
        file.write(PDF)
        file.truncate(32 << 20)
    reading, target = os.open(source, os.O_RDONLY), tmp_path / "object.dcm"
    writing = os.open(target, os.O_RDWR | os.O_CREAT)
    before, _ = tracemalloc.get_traced_memory()
    finished = encapsulate(
        writing,
        ENCAPSULATED_PDF,
        reading,
        examination(),
        device(),
        InstanceDescription("1.2.3.4", 1, MOMENT, MOMENT),
        DocumentDescription(),
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    os.close(reading)
    os.close(writing)
    assert peak - before < 400_000 and finished.length > 32 << 20
