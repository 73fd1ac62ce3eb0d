"""Why a file or an input cannot be used."""


class Refused(Exception):  # noqa: N818 - it reads as what happened
    """A file or an input that flyonce will not use, said so that a person can act on it.

    `reason` is a stable word for programs (`truncated`, `not-an-image`, `no-position`, `no-crs`, …); `message` names
    the file and says what was found; `remedy` says what to do about it.
    """

    def __init__(self, reason: str, message: str, remedy: str = "") -> None:
        super().__init__(f"{message} {remedy}".strip())
        self.reason = reason
        self.message = message
        self.remedy = remedy

    def __reduce__(self) -> tuple[type["Refused"], tuple[str, str, str]]:
        """Survive the trip between Dask processes with all three fields."""
        return type(self), (self.reason, self.message, self.remedy)
