"""What a file takes over from the one that it replaces: owner, permissions, access list, notes."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import NamedTuple

_ACCESS_LIST = "system.posix_acl_access"

# Signatures of the old content (Linux's integrity subsystem); the kernel makes new ones.
_OF_CONTENT = ("security.ima", "security.evm")


class Likeness(NamedTuple):
    """The status of a file and its extended attributes; None for an unreadable value."""

    status: os.stat_result
    attributes: dict[str, bytes | None]


def likeness_of(number: int) -> Likeness:
    """Return what a new file takes over from an open one."""
    return Likeness(os.fstat(number), _attributes_of(number))


def _attributes_of(number: int) -> dict[str, bytes | None]:
    if not hasattr(os, "listxattr"):  # only Linux has it
        return {}
    attributes: dict[str, bytes | None] = {}
    with suppress(OSError):  # the file system has no attributes
        for name in os.listxattr(number):
            attributes[name] = None
            with suppress(OSError):
                attributes[name] = os.getxattr(number, name)
    return attributes


def make_like(number: int, old: Likeness) -> list[str]:
    """Give a new file what the old one had, and no user more rights; return notes.

    The mode of a file with an access control list has the list's mask where the group's rights
    would be. Without the list that would be the rights of the whole group.
    """
    if not hasattr(os, "fchown"):  # Windows: a file takes its access list from its folder
        return []
    for owner in (old.status.st_uid, -1):  # members of a group may set it alone
        with suppress(OSError):
            os.fchown(number, owner, old.status.st_gid)
            break
    now = os.fstat(number)
    same_group = now.st_gid == old.status.st_gid
    lost, notes = _set_attributes(number, old.attributes, same_group), []
    mode = stat.S_IMODE(old.status.st_mode)
    if now.st_uid != old.status.st_uid:
        mode &= ~stat.S_ISUID
    if not same_group:  # another group gets no more than all others have
        others = (mode & stat.S_IRWXO) << 3
        mode &= ~(stat.S_ISGID | stat.S_IRWXG & ~others)
    if lists := [name for name in lost if name.startswith("system.")]:
        mode &= stat.S_ISUID | stat.S_ISVTX | stat.S_IRWXU
        notes.append("dropped its access control list, so that only its owner has access")
    if others_lost := [name for name in lost if name not in lists]:
        notes.append(f"dropped its extended attributes ({', '.join(others_lost)})")
    os.fchmod(number, mode)  # last, because a new owner clears set-user-ID
    return notes


def _set_attributes(
    number: int, attributes: dict[str, bytes | None], same_group: bool
) -> list[str]:
    """Set extended attributes, and return the names of those that could not be set."""
    if not hasattr(os, "listxattr"):
        return []
    own = _attributes_of(number)
    if _ACCESS_LIST in own and _ACCESS_LIST not in attributes:  # from the folder's default list
        os.removexattr(number, _ACCESS_LIST)
    lost = []
    for name, value in attributes.items():
        if name in _OF_CONTENT or (value is not None and own.get(name) == value):
            continue
        try:
            if value is None or (name == _ACCESS_LIST and not same_group):
                raise PermissionError
            os.setxattr(number, name, value)
        except OSError:
            lost.append(name)
            if name == _ACCESS_LIST and name in own:
                os.removexattr(number, name)
    return lost
