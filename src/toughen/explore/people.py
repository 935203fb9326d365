"""Owns what is known about users by facts: the table with a password column, its names, its roles."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toughen.explore.values import normal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toughen.model.blueprint import Blueprint, Json, Route, Table

_PASSWORD = re.compile(
    r"^(hash(ed)?_?|encrypted_?|user_?)?(password|passwd|psswd|pwd|psw|passphrase|passcode|senha|contrase(n|ñ)a|contrasenia|clave|mot_?de_?passe|passwort|kennwort|wachtwoord|sifre|parola|haslo|heslo)(_?(hash|hashed|digest|salt))?\d?$"
    r"|^hash(ed)?(_(password|pwd|pass))?$|^(pw|pass)(_?hash)?$",
    re.IGNORECASE,
)
HASHED = re.compile(r"^(pbkdf2_sha\d+|bcrypt(_sha256)?|scrypt|argon2|md5|sha1)\$|^\$2[abxy]\$|^\$argon2|^pbkdf2:|^scrypt:|^\$pbkdf2|^\$5\$|^\$6\$|^[0-9a-f]{64}$|^[0-9a-f]{128}$")
"""How stored passwords look."""
_ROLE = re.compile(r"^(user_?)?role$|^user_?type$|^account_?type$|^(papel|perfil|rol|cargo|rolle|tipo_usuario)$|^is_?(admin|superuser|staff|manager|vendor|seller)$|^admin$|^superuser$|^admin_?(role|flag|user|rights?)$|^(has_)?admin_?access$|^access_?level$|^permission_?level$", re.IGNORECASE)


_FLAGS = frozenset({"is_superuser", "is_staff"})
_MOST_ROLES = 40


def password_column(table: Table) -> str | None:
    """The column that holds passwords, None where there is none."""
    return next((column.name for column in table.columns if _PASSWORD.match(column.name)), None)


def users_table(blueprint: Blueprint) -> Table | None:
    """The table of users: it has a password column; one named for users wins over others."""
    found = [table for table in blueprint.tables if password_column(table)]
    found.sort(key=lambda table: 0 if re.search(r"user|account|member|customer|usuario|cliente|utilisateur|benutzer|kullanici", table.name, re.IGNORECASE) else 1)
    return found[0] if found else None


def role_column(table: Table) -> str | None:
    """The column that says what a user may do; the flags that Django's own users have only where there is no other."""
    found = [column.name for column in table.columns if _ROLE.match(column.name)]
    return next((name for name in found if name not in _FLAGS), next(iter(found), None))


def beside(table: Table, column: str) -> str | None:
    """The flag that goes with another one: whoever may do all in Django is of the staff, too."""
    return "is_staff" if column == "is_superuser" and table.column("is_staff") else None


def role_values(blueprint: Blueprint, table: Table, rows: Iterable[dict[str, Json]]) -> list[Json]:
    """All roles: values in rows, the column's enum, literals that the code compares with it; False and True for a flag."""
    name = role_column(table)
    column = table.column(name) if name else None
    if column is None:
        return []
    if column.type == "boolean" or normal(column.name).startswith("is_") or normal(column.name).startswith("admin") or column.name.lower() == "superuser":
        return [0, 1]
    values: dict[Json, None] = {}
    for row in rows:
        if row.get(column.name) not in {None, ""}:
            values[row[column.name]] = None
    for each in (*column.enum, *blueprint.roles):
        if str(each).lower() not in {str(value).lower() for value in values}:
            values[each] = None
    return list(values)[:_MOST_ROLES]


def plain_role(role: str | None) -> str:
    """A role as sources name it: `admin` of `Role.ADMIN`."""
    return (role or "").rpartition(".")[2].lower()


def roles_asked(route: Route) -> frozenset[str]:
    """The roles that may pass all guards in front of a route's handler, as far as they name any."""
    named = [{plain_role(role) for role in each.roles} for each in route.guards if each.kind in {"dependency", "decorator"} and each.roles]
    return frozenset(set.intersection(*named)) if named else frozenset()


def password_parameter(name: str) -> bool:
    """Whether a parameter of that name carries a password."""
    return bool(_PASSWORD.match(normal(name))) or (normal(name) in {"password1", "new_password", "pin"} and normal(name) != "pin")
