"""The tables of the index, as of `VERSION`; how older ones get there is in `migrations`.

Texts of the data set (BLOB columns) are the bytes as received, without their padding, in the
character set of their row (the raw value of (0008,0005)): decoding them is the reader's work, so
that the one writer needs no character tables. UIDs, dates, times and code strings are TEXT.

`instance.id` is the number of the object's file in the spool.
"""

from __future__ import annotations

VERSION = 5

# "gan1": so that `file` and a person can tell whose database this is.
APPLICATION_ID = 0x67616E31

_FIRST = """
CREATE TABLE state (
    name TEXT PRIMARY KEY,
    value ANY
) WITHOUT ROWID;

CREATE TABLE patient (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    patient_id BLOB NOT NULL,
    issuer_of_patient_id BLOB NOT NULL,
    patient_name BLOB NOT NULL,
    birth_date TEXT NOT NULL,
    sex TEXT NOT NULL,
    character_set BLOB NOT NULL,
    studies INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE study (
    id INTEGER PRIMARY KEY,
    patient INTEGER NOT NULL REFERENCES patient (id),
    study_instance_uid TEXT NOT NULL UNIQUE,
    study_date TEXT NOT NULL,
    study_time TEXT NOT NULL,
    accession_number BLOB NOT NULL,
    study_id BLOB NOT NULL,
    study_description BLOB NOT NULL,
    referring_physician_name BLOB NOT NULL,
    character_set BLOB NOT NULL,
    received REAL NOT NULL,
    changed REAL NOT NULL,
    accessed REAL NOT NULL,
    series INTEGER NOT NULL DEFAULT 0,
    instances INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX study_patient ON study (patient);
CREATE INDEX study_date ON study (study_date);
CREATE INDEX study_accession_number ON study (accession_number);
CREATE INDEX study_accessed ON study (accessed);

CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    study INTEGER NOT NULL REFERENCES study (id),
    series_instance_uid TEXT NOT NULL,
    modality TEXT NOT NULL,
    series_number TEXT NOT NULL,
    series_date TEXT NOT NULL,
    series_time TEXT NOT NULL,
    series_description BLOB NOT NULL,
    body_part_examined TEXT NOT NULL,
    character_set BLOB NOT NULL,
    instances INTEGER NOT NULL DEFAULT 0,
    UNIQUE (study, series_instance_uid)
);
CREATE INDEX series_uid ON series (series_instance_uid);

CREATE TABLE instance (
    id INTEGER PRIMARY KEY,
    series INTEGER REFERENCES series (id),
    study INTEGER REFERENCES study (id),
    sop_instance_uid TEXT NOT NULL,
    sop_class_uid TEXT NOT NULL,
    transfer_syntax_uid TEXT NOT NULL,
    instance_number TEXT NOT NULL,
    number_of_frames TEXT NOT NULL,
    content_date TEXT NOT NULL,
    content_time TEXT NOT NULL,
    character_set BLOB NOT NULL,
    data_set_offset INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    received REAL NOT NULL,
    source TEXT NOT NULL,
    flags INTEGER NOT NULL DEFAULT 0,
    received_digest BLOB
);
CREATE INDEX instance_uid ON instance (sop_instance_uid);
CREATE INDEX instance_series ON instance (series);
CREATE INDEX instance_study ON instance (study);

CREATE TABLE doomed (
    id INTEGER PRIMARY KEY
);

CREATE TABLE destination (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    paused INTEGER NOT NULL DEFAULT 0,
    last_success REAL NOT NULL DEFAULT 0,
    last_failure REAL NOT NULL DEFAULT 0,
    last_status INTEGER NOT NULL DEFAULT 0,
    last_reason TEXT NOT NULL DEFAULT ''
);

CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    destination INTEGER NOT NULL REFERENCES destination (id),
    instance INTEGER,
    study INTEGER NOT NULL DEFAULT 0,
    state INTEGER NOT NULL,
    rank INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL,
    next_attempt REAL NOT NULL,
    status INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    payload BLOB NOT NULL
);
CREATE INDEX job_ready ON job (destination, state, rank, id);
CREATE INDEX job_due ON job (destination, state, next_attempt, study);
CREATE INDEX job_instance ON job (instance) WHERE instance IS NOT NULL;

CREATE TABLE finished_job (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    destination INTEGER NOT NULL,
    instance INTEGER,
    sop_instance_uid TEXT NOT NULL,
    outcome TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    created REAL NOT NULL,
    finished REAL NOT NULL,
    status INTEGER NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX finished_job_order ON finished_job (finished);

CREATE TABLE delivery (
    instance INTEGER NOT NULL,
    destination INTEGER NOT NULL,
    delivered REAL NOT NULL,
    committed REAL,
    PRIMARY KEY (instance, destination)
) WITHOUT ROWID;

CREATE TABLE correction (
    id INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    action TEXT NOT NULL,
    level TEXT NOT NULL,
    uid TEXT NOT NULL,
    who TEXT NOT NULL,
    instances INTEGER NOT NULL,
    detail TEXT NOT NULL
);
"""

PROCEDURES = """
CREATE TABLE step (
    sop_instance_uid TEXT PRIMARY KEY,
    status TEXT NOT NULL,
    calling TEXT NOT NULL,
    created REAL NOT NULL,
    changed REAL NOT NULL,
    attributes BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE commitment (
    transaction_uid TEXT PRIMARY KEY,
    peer TEXT NOT NULL,
    asked REAL NOT NULL,
    asked_of_us INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX commitment_asked ON commitment (asked);

CREATE TABLE commitment_item (
    transaction_uid TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    sop_class_uid TEXT NOT NULL,
    job INTEGER NOT NULL,
    PRIMARY KEY (transaction_uid, sop_instance_uid)
) WITHOUT ROWID;

CREATE TABLE examination (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    state TEXT NOT NULL,
    device TEXT NOT NULL,
    begun REAL NOT NULL,
    changed REAL NOT NULL,
    study_instance_uid TEXT NOT NULL,
    content TEXT NOT NULL
);
CREATE INDEX examination_state ON examination (state);
"""
"""Since version 2: steps, commitments and examinations."""

QUERIES = """
CREATE INDEX patient_patient_id ON patient (patient_id);
CREATE INDEX patient_read_otherwise ON patient (id)
    WHERE instr(patient_id, x'5C') > 0 OR instr(patient_id, x'1B') > 0;
DROP INDEX instance_study;
CREATE INDEX instance_study ON instance (study, sop_class_uid);
"""
"""Since version 3: indexes for queries. A Patient ID with a backslash or an escape sequence may be
other text than its bytes say."""

DATES = """
CREATE INDEX study_read_otherwise ON study (id) WHERE length(study_date) <> 8;
"""
"""Since version 4: studies that the order of `study_date` does not find, empty ones among them."""

UNCONFIRMED = """
CREATE TABLE unconfirmed (
    id INTEGER PRIMARY KEY,
    checksum INTEGER NOT NULL
);
"""
"""Since version 5: the objects whose rows came with their files, which were not synced before; with
the CRC-32 of each file. The next transaction empties it: by then all of them are durable."""

TABLES = _FIRST + PROCEDURES + QUERIES + DATES + UNCONFIRMED
