"""`Refused`: the exception that ends the processing of a request. Its reason names an example in the document."""

from __future__ import annotations


class Refused(Exception):  # noqa: N818  a refusal is a regular answer, not an error of the emulator
    """A request is refused; the state has not changed.

    Attributes:
        reason: the name of an example under an error response of the document, which gives status, code and message.
        param: the input that caused the refusal; None if no single input did.
        values: the values of the placeholders in the message.
    """

    def __init__(self, reason: str, param: str | None = None, **values: object) -> None:
        super().__init__(reason)
        self.reason = reason
        self.param = param
        self.values = values
