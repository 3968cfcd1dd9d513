"""The file of users: what is written, what is refused, and what Python's own scrypt says of it."""

from __future__ import annotations

import base64
import hashlib
import stat
from pathlib import Path

import pytest

from agent.errors import ConfigurationError
from agent.security.passcodes import Entry, is_passcode_of, is_user, put


def quick(user: str, passcode: bytes) -> Entry:
    return Entry.make(user, passcode, n=16, p=1)


def test_an_entry_is_scrypt_with_a_salt_of_its_own() -> None:
    first, second = quick("anna", b"geheim"), quick("anna", b"geheim")
    assert first.salt != second.salt
    user, scheme, n, r, p, salt, digest = first.line().split(":")
    assert (user, scheme) == ("anna", "scrypt")
    assert base64.b64decode(digest) == hashlib.scrypt(
        b"geheim", salt=base64.b64decode(salt), n=int(n), r=int(r), p=int(p), dklen=32
    )
    whole = Entry.make("anna", b"x")
    assert (whole.n, whole.r, whole.p) == (16384, 8, 5)


def test_users_are_added_and_replaced_and_the_file_stays_closed(tmp_path: Path) -> None:
    file = tmp_path / "passcodes"
    assert not put(file, quick("anna", b"one"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o640)
    assert not put(file, quick("anna:scrypt:1", b"two"))
    assert put(file, quick("anna", b"three"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    found = str(file)
    assert is_passcode_of(found, "anna", b"three")
    assert not is_passcode_of(found, "anna", b"one")
    assert is_passcode_of(found, "anna:scrypt:1", b"two")
    assert not is_passcode_of(found, "bert", b"three")
    assert is_user(found, "anna")
    assert not is_user(found, "bert")
    assert [each.name for each in tmp_path.iterdir()] == ["passcodes"]


@pytest.mark.parametrize("name", ["", " anna", "an\nna", "x" * 257])
def test_a_name_that_could_be_mistaken_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="a user name has"):
        quick(name, b"geheim")


@pytest.mark.parametrize(
    "parameters",
    ["15:8:1", "1048576:8:1", "16:0:1", "16:8:999", "x:8:1", "16:8"],
)
def test_a_damaged_line_is_told_and_lets_nobody_in(tmp_path: Path, parameters: str) -> None:
    file = tmp_path / "passcodes"
    put(file, quick("anna", b"geheim"))
    file.write_text(file.read_text().replace("16:8:1", parameters))
    with pytest.raises(ConfigurationError, match=r"the line of anna in .* is damaged"):
        is_passcode_of(str(file), "anna", b"geheim")


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o620, 0o602])
def test_a_file_that_others_may_read_or_write_is_not_used(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "passcodes"
    put(file, quick("anna", b"geheim"))
    file.chmod(mode)
    with pytest.raises(ConfigurationError, match="may be read by others"):
        is_passcode_of(str(file), "anna", b"geheim")


def test_a_file_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        is_user(str(tmp_path / "none"), "anna")
