"""The one access decision. Every read of the catalogue, of a file or of a tile asks it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    OPERATOR = "operator"
    """Whoever runs flyonce on this machine, through its command line or over loopback."""
    KEY = "key"
    """Holds the deployment's API key."""
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, by the name that the books keep."""

    name: str
    role: Role


LOCAL_OPERATOR = Principal("local", Role.OPERATOR)
KEY_HOLDER = Principal("api-key", Role.KEY)
ANONYMOUS = Principal("anonymous", Role.ANONYMOUS)


class Action(StrEnum):
    SEARCH = "search"
    """Learn that an item exists, where and when."""
    READ = "read"
    """See its pixels, originals and results."""
    WRITE = "write"
    """Add to the catalogue, ask for jobs."""
    REVIEW = "review"
    """Approve, reject, file."""


class Right(StrEnum):
    DENY = "deny"
    METADATA = "metadata"
    PIXELS = "pixels"


class SecurityClass(StrEnum):
    """An item's `flyonce:security`."""

    PUBLIC = "public"
    INTERNAL = "internal"
    SENSITIVE = "sensitive"


@dataclass(frozen=True, slots=True)
class Decision:
    """`why` is for the person who asked. `security` is kept with whatever is handed out or made from the item."""

    right: Right
    why: str
    security: SecurityClass

    @property
    def allowed(self) -> bool:
        return self.right is not Right.DENY


def security_of(item: Mapping[str, Any]) -> SecurityClass:
    """The class of a STAC item: `internal` where it does not say, and where it says what nobody here knows, the
    strictest."""
    stated = item.get("properties", {}).get("flyonce:security", SecurityClass.INTERNAL)
    return SecurityClass(stated) if stated in tuple(SecurityClass) else SecurityClass.SENSITIVE


def decide(principal: Principal, action: Action, item: Mapping[str, Any] | None = None) -> Decision:
    """Whether the principal may do this, to this STAC item or, without one, at all.

    The operator and the holder of the API key may do everything; nobody else anything. Areas, grants and the finest
    ground sampling distance that they allow are decided here as well, once there are departments.
    """
    security = SecurityClass.INTERNAL if item is None else security_of(item)
    match principal.role:
        case Role.OPERATOR:
            why = f"{principal.name} operates this flyonce"
        case Role.KEY:
            why = f"{principal.name} holds the API key"
        case Role.ANONYMOUS:
            return Decision(Right.DENY, f"{action} needs the API key: send it as X-API-Key", security)
    return Decision(Right.METADATA if action == Action.SEARCH else Right.PIXELS, why, security)
