"""Jobs that are stopped at a chosen moment, as by a kill."""

from apache_beam.io.filesystems import FileSystems


class Stopped(BaseException):
    """Stands for the end of the process: nothing in the code under test handles it."""


def contents(directory):
    """Return the bytes of all files below a directory, by relative path."""
    return {
        str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()
    }


def run_and_stop_at(monkeypatch, main, arguments, step):
    """Run a command until its file operation number `step`; tell whether it got so far."""
    done = 0

    def stopping(operation):
        def wrapped(*args, **kwargs):
            nonlocal done
            done += 1
            if done > step:
                raise Stopped
            return operation(*args, **kwargs)

        return staticmethod(wrapped)

    with monkeypatch.context() as patch:
        for name in ("rename", "delete", "create"):
            patch.setattr(FileSystems, name, stopping(getattr(FileSystems, name)))
        # After a kill nobody tidies up.
        for name in ("discard_attempts", "discard_if_empty"):
            patch.setattr(f"beam_jobs.running.{name}", lambda job: None)
        try:
            main(arguments)
        except BaseException:
            return True
    return done > step
