"""Owns the text of the module that keeps passwords in a mended project: one for each library that makes slow hashes."""

from __future__ import annotations

from dataclasses import dataclass

_HEAD = '''"""How passwords are stored: as slow, salted hashes. What was stored before still opens, and is hashed at the next log-in."""

import hmac
'''
_TAIL = '''

def matches(password, stored, former=None):
    """Whether this is the stored password; `former` is what was stored of it before hashing: itself, where nothing is given."""
    if password is None or stored is None:
        return False
    if not outdated(stored):
        return _verified(str(password), stored)
    return hmac.compare_digest(_bytes(stored), _bytes(password if former is None else former))


def outdated(stored):
    """Whether a stored password is not hashed yet."""
    return {outdated}


def _bytes(value):
    return value if isinstance(value, bytes) else str(value).encode()
'''


@dataclass(frozen=True, slots=True)
class Hasher:
    """A library that hashes passwords, as the mended project uses it."""

    name: str
    package: str
    """What the project's dependencies must name; "" where they do already."""
    length: int
    """Characters of a stored hash."""
    imports: str
    body: str
    outdated: str

    @property
    def text(self) -> str:
        """The whole module."""
        return _HEAD + self.imports + self.body + _TAIL.replace("{outdated}", self.outdated)


ARGON2 = Hasher(
    "argon2", "argon2-cffi>=23.1.0", 97,
    """
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error

_HASHER = PasswordHasher()
""",
    '''

def hashed(password):
    """What to store of a password: another text each time, since it is salted."""
    return None if password is None else _HASHER.hash(str(password))


def _verified(password, stored):
    try:
        return _HASHER.verify(stored, password)
    except (Argon2Error, ValueError):
        return False
''',
    'not str(stored).startswith("$argon2")',
)  # fmt: skip
WERKZEUG = Hasher(
    "werkzeug", "", 162,
    """
from werkzeug.security import check_password_hash, generate_password_hash
""",
    '''

def hashed(password):
    """What to store of a password: another text each time, since it is salted."""
    return None if password is None else generate_password_hash(str(password))


def _verified(password, stored):
    return check_password_hash(stored, password)
''',
    'not str(stored).startswith(("scrypt:", "pbkdf2:"))',
)  # fmt: skip
PASSLIB = Hasher(
    "passlib", "", 90,
    """
from passlib.hash import pbkdf2_sha256

_HASHER = pbkdf2_sha256.using(rounds=600_000)
""",
    '''

def hashed(password):
    """What to store of a password: another text each time, since it is salted."""
    return None if password is None else _HASHER.hash(str(password))


def _verified(password, stored):
    return _HASHER.verify(password, stored)
''',
    "not pbkdf2_sha256.identify(str(stored))",
)  # fmt: skip
BCRYPT = Hasher(
    "bcrypt", "", 60,
    """
import bcrypt
""",
    '''

def hashed(password):
    """What to store of a password: another text each time, since it is salted. bcrypt reads 72 bytes of it."""
    return None if password is None else bcrypt.hashpw(_bytes(password)[:72], bcrypt.gensalt()).decode()


def _verified(password, stored):
    return bcrypt.checkpw(_bytes(password)[:72], _bytes(stored))
''',
    'not str(stored).startswith("$2")',
)  # fmt: skip
SCRYPT = Hasher(
    "scrypt", "", 96,
    """import hashlib
import os
""",
    '''

def hashed(password):
    """What to store of a password: another text each time, since it is salted."""
    if password is None:
        return None
    salt = os.urandom(16)
    return f"scrypt${salt.hex()}${_derived(password, salt).hex()}"


def _verified(password, stored):
    _, salt, key = stored.split("$")
    return hmac.compare_digest(_derived(password, bytes.fromhex(salt)).hex(), key)


def _derived(password, salt):
    return hashlib.scrypt(str(password).encode(), salt=salt, n=2**15, r=8, p=3, maxmem=2**26, dklen=24)
''',
    'not str(stored).startswith("scrypt$")',
)  # fmt: skip
