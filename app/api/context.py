"""What the routes are handed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request

from app.services.context import Services
from app.services.secrets import Seal


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiContext:
    """The use cases' world, and the key that new secrets are sealed with."""

    services: Services
    seal: Seal

    @property
    def clock(self) -> Callable[[], datetime]:
        return self.services.clock


def get_context(request: Request) -> ApiContext:
    """The context that the lifespan put into the application's state."""
    context: ApiContext = request.app.state.context
    return context


Context = Annotated[ApiContext, Depends(get_context)]
