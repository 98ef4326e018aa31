"""What goes wrong: at the start for who runs the server, at a request for who sent it."""

from grpc import StatusCode


class StartError(Exception):
    """The server cannot start: one line that names the thing, its value and the remedy."""


class RequestError(Exception):
    """A request that gets no answer.

    Attributes:
        code: the status, by gRPC's names; REST maps it as TF Serving does.
        message: one line.
    """

    def __init__(self, code: StatusCode, message: str):
        super().__init__(message)
        self.code = code
        self.message = message


def invalid(message: str) -> RequestError:
    """Return the error of a request that can never be answered."""
    return RequestError(StatusCode.INVALID_ARGUMENT, message)


def one_line(error: BaseException, limit: int = 300) -> str:
    """Return what an exception says in one line, without what TensorFlow puts around it."""
    frame = ("Graph execution error:", "Detected at node", "[[{{node")
    said = (line.strip() for line in str(error).splitlines())
    lines = [line for line in said if line and not line.startswith(frame)]
    lines.append(type(error).__name__)
    return lines[0] if len(lines[0]) <= limit else lines[0][:limit] + "..."
