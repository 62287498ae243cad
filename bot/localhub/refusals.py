"""The answers with which GitHub refuses a call: one exception, and a constructor for each common kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.localhub.records import Json


class Refused(Exception):
    """The call ends here with this status and body; whatever it was to do has not been done."""

    def __init__(
        self, status: int, message: str, *, errors: list[Json] | list[str] | str | None = None, location: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors
        self.location = location

    def body(self, documentation: str) -> Json:
        """GitHub's error body; `documentation` is the page that explains the endpoint."""
        shown: Json = {"message": self.message}
        if self.errors is not None:
            shown["errors"] = self.errors
        return {**shown, "documentation_url": documentation, "status": str(self.status)}


def not_found() -> Refused:
    """404, also for what exists but must stay hidden from the caller."""
    return Refused(404, "Not Found")


def bad_credentials() -> Refused:
    """401 for a token that is none (any more)."""
    return Refused(401, "Bad credentials")


def authentication_required() -> Refused:
    """401 for a call that needs somebody."""
    return Refused(401, "Requires authentication")


def bad_jwt(reason: str) -> Refused:
    """401 for an App's JWT."""
    return Refused(401, reason)


def not_by_integration() -> Refused:
    """403 for a token that lacks the permission or the repository."""
    return Refused(403, "Resource not accessible by integration")


def invalid(*errors: Json, message: str = "Validation Failed") -> Refused:
    """422 with the fields that are wrong."""
    return Refused(422, message, errors=list(errors))


def invalid_request(sentence: str) -> Refused:
    """422 as GitHub's schema check words it, before anything else is looked at."""
    return Refused(422, f"Invalid request.\n\n{sentence}")


def problem(resource: str, field: str, code: str, message: str | None = None) -> Json:
    """One entry of a validation error: `code` is missing, missing_field, invalid, already_exists or custom."""
    entry: Json = {"resource": resource, "code": code, "field": field}
    return {**entry, "message": message} if message else entry
