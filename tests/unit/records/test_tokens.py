import hashlib
import hmac
import json
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.tokens import Leave, Signer, TokenError, kept_key

KEY = b"k" * 32
LEAVE = Leave("file", "/assets/ab/照片.JPG", "api-key", 2_000_000_000)
SIGNER = Signer(KEY)
leaves = st.builds(Leave, st.text(), st.text(), st.text(), st.integers(0, 2**40))


@given(leaves)
def test_a_token_gives_back_what_was_allowed(leave: Leave) -> None:
    assert SIGNER.check(SIGNER.sign(leave), leave.purpose, leave.subject, leave.expires - 1) == leave


@given(leaves, leaves)
def test_a_token_opens_nothing_else(one: Leave, other: Leave) -> None:
    token = SIGNER.sign(one)
    if (one.purpose, one.subject) != (other.purpose, other.subject):
        with pytest.raises(TokenError):
            SIGNER.check(token, other.purpose, other.subject, 0)


@pytest.mark.parametrize(
    ("purpose", "subject"),
    [
        ("tiles", LEAVE.subject),
        ("file", "/assets/ab/"),
        ("file", "/assets/ab"),
        ("file", LEAVE.subject + "/"),
        ("", ""),
    ],
)
def test_neither_its_container_nor_another_purpose(purpose: str, subject: str) -> None:
    with pytest.raises(TokenError, match="another file"):
        SIGNER.check(SIGNER.sign(LEAVE), purpose, subject, 0)


def test_a_token_ends() -> None:
    token = SIGNER.sign(LEAVE)
    assert SIGNER.check(token, "file", LEAVE.subject, LEAVE.expires - 0.001) == LEAVE
    with pytest.raises(TokenError, match="expired"):
        SIGNER.check(token, "file", LEAVE.subject, LEAVE.expires)


@given(st.data())
def test_no_letter_of_a_token_can_be_changed(data: st.DataObject) -> None:
    token = SIGNER.sign(LEAVE)
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("0123456789abcdefXYZ-_.= +/é"))
    changed = token[:place] + letter + token[place + 1 :]
    if changed != token:
        with pytest.raises(TokenError):
            SIGNER.check(changed, "file", LEAVE.subject, 0)


@given(st.text())
def test_nonsense_is_no_token(text: str) -> None:
    with pytest.raises(TokenError):
        SIGNER.check(text, "file", LEAVE.subject, 0)


def test_a_later_end_or_another_issuer_needs_the_key() -> None:
    expires, issuer, mac = SIGNER.sign(LEAVE).split(".")
    for forged in (f"{int(expires) + 1}.{issuer}.{mac}", f"{expires}.bG9jYWw.{mac}", f"0{expires}.{issuer}.{mac}"):
        with pytest.raises(TokenError):
            SIGNER.check(forged, "file", LEAVE.subject, 0)
    assert Signer(b"o" * 32).sign(LEAVE) != SIGNER.sign(LEAVE)
    assert SIGNER.sign(replace(LEAVE, issuer="local")) != SIGNER.sign(LEAVE)


def test_the_signature_is_hmac_sha256() -> None:
    said = json.dumps(["flyonce-1", "file", LEAVE.subject, "api-key", LEAVE.expires]).encode()
    assert SIGNER._mac(LEAVE) == hmac.new(KEY, said, hashlib.sha256).digest()


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Signer(b"short")


def test_the_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(kept_key, [path] * 16))
    assert len(keys) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    path.chmod(0o640)
    with pytest.raises(PermissionError, match="chmod 600"):
        kept_key(path)
