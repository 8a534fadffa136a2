"""Names and values of HTTP headers, as teams write them. Pure."""

from typing import Annotated

from pydantic import StringConstraints

# A field name of RFC 9110, 5.1; compared in lower case.
HeaderName = Annotated[
    str, StringConstraints(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", max_length=100, to_lower=True, strict=True)
]
HeaderValue = Annotated[str, StringConstraints(pattern=r"^[!-~]([ -~]*[!-~])?$", max_length=1_000, strict=True)]
