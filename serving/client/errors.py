"""What can go wrong between a client and its server. One bad picture is no exception: its result
has an `error`."""


class CaptionServiceError(Exception):
    """A request was not answered. The message is one line."""


class Unreachable(CaptionServiceError):
    """There was no connection, or no answer in time."""


class Unavailable(CaptionServiceError):
    """The server does not take the request now, after all retries: 429 or 503 over REST,
    RESOURCE_EXHAUSTED or UNAVAILABLE over gRPC, which says the latter of an absent server too.

    Attributes:
        retry_after: seconds that the server asks to wait; 0 where it says nothing.
    """

    def __init__(self, message: str, retry_after: float = 0.0):
        super().__init__(message)
        self.retry_after = retry_after


class Refused(CaptionServiceError):
    """The request is wrong: no such model, version, label or signature, or not the right inputs."""


class ServerFailed(CaptionServiceError):
    """The server failed at the request."""


class InvalidAnswer(CaptionServiceError):
    """The answer is not what a captioner's signatures give: another model is served there."""
