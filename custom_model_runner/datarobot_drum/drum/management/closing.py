"""Context managers that close themselves at their end."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TypeVar

Self = TypeVar("Self", bound="ClosingContext")


class ClosingContext(ABC):
    """The base of the owners of processes."""

    @abstractmethod
    def close(self) -> None:
        """End the process."""

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
