"""What all pages have in common: templates that escape whatever they are given."""

import jinja2


def render(template: str, **values) -> str:
    """Render a page.

    Args:
        template: name of a file in `templates/`.
        values: what it shows; one that the template asks for and that is not there is an error.

    Returns:
        a whole HTML page without scripts or references to anything outside of it.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tfcap.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": "{:,}".format, "size": _size, "share": _share}
    page = environment.get_template(template).render(**values)
    # A lone surrogate, which JSON can hold and UTF-8 cannot, is shown as its escape.
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


def _size(size: int) -> str:
    """Return bytes in words: 9566073 -> "9.6 MB"."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"


def _share(part: int, whole: int) -> str:
    """Return a percentage; a dash of nothing."""
    return f"{100 * part / whole:.1f}%" if whole else "–"
