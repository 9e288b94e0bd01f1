"""`Refused`: the only early exit from the processing of a request. Its reason names an example of the document."""

from __future__ import annotations


class Refused(Exception):  # noqa: N818  it refuses a request; nothing went wrong
    """A request is refused, and nothing has changed.

    `reason` is the name of an example under an error response of the spec, which holds status, code and text;
    `param` names the one input that is to blame; `words` fill the places in the text.
    """

    def __init__(self, reason: str, param: str | None = None, **words: object) -> None:
        super().__init__(reason)
        self.reason = reason
        self.param = param
        self.words = words
