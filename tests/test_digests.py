from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from toughen.digests import kept

PASSWORD = "Correct-Horse-7f3a"
SALT = "a1b2c3d4e5f60718"


def digest(name: str, text: str) -> str:
    return hashlib.new(name, text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("stored", "how"),
    [
        (PASSWORD, "itself"),
        (f"user:{PASSWORD}:1", "itself, in a longer text"),
        (base64.b64encode(PASSWORD.encode()).decode(), "base64 of it"),
        (PASSWORD.encode().hex(), "its bytes in hexadecimal"),
        (PASSWORD[::-1], "itself, turned round"),
        (digest("md5", PASSWORD).upper(), "its plain md5 digest"),
        (f"sha256${digest('sha256', PASSWORD)}", "its plain sha256 digest"),
        (base64.b64encode(hashlib.sha1(PASSWORD.encode()).digest()).decode(), "its plain sha1 digest"),  # noqa: S324 - what prototypes do
        (f"sha1$ab${digest('sha1', 'ab' + PASSWORD)}", "its sha1 digest, with a text in front or behind that stands in the same row"),
    ],
)
def test_what_gives_a_password_away(stored: str, how: str) -> None:
    """Itself, an encoding, or a quick digest in any of the ways in which programs write one down."""
    assert kept(PASSWORD, stored) == how


def test_salts_that_whoever_reads_the_database_or_the_source_knows() -> None:
    """A quick digest is as quick to try with a text of the same row, or of the source; without it, nothing is claimed."""
    salted = digest("sha512", SALT + PASSWORD)
    keyed = hmac.new(b"pepper", PASSWORD.encode(), "sha256").hexdigest()
    assert not kept(PASSWORD, salted)
    assert kept(PASSWORD, salted, [SALT]).endswith("stands in the same row")
    assert kept(PASSWORD, digest("sha256", PASSWORD + bytes.fromhex(SALT).decode("latin-1")), [SALT]) == ""
    assert kept(PASSWORD, hashlib.sha256(bytes.fromhex(SALT) + PASSWORD.encode()).hexdigest(), [SALT]).endswith("stands in the same row")
    assert not kept(PASSWORD, keyed)
    assert kept(PASSWORD, keyed, [], ["pepper"]).endswith("stands in the source")


@pytest.mark.parametrize(
    "stored",
    [
        hashlib.scrypt(PASSWORD.encode(), salt=SALT.encode(), n=2, r=1, p=1).hex(),
        f"pbkdf2:sha256:2${SALT}${hashlib.pbkdf2_hmac('sha256', PASSWORD.encode(), SALT.encode(), 2).hex()}",
        digest("sha256", "another one"),
        "",
    ],
)
def test_what_says_nothing(stored: str) -> None:
    """What is derived slowly, whatever its rounds, and what is made of something else."""
    assert not kept(PASSWORD, stored, [SALT])
