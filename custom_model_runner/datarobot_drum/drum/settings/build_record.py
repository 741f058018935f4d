"""What a build of settings finds out beside the values: where each of them comes from, and what is wrong."""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from datarobot_drum.drum.exceptions import SettingsErrors, StartupError
from datarobot_drum.drum.settings.routed_models import naming_model
from datarobot_drum.runtime_parameters.origins import Origin

_T = TypeVar("_T")


def routed_key(model: str, key: str) -> str:
    """Return the name of a setting of one model of a routed set."""
    return f"models.{model}.{key}"


class BuildRecord:
    """The origins of settings, by flag, variable or key, and the errors of a build.

    Args:
        collects: True keeps all errors and goes on with substitutes; False raises the first one.
        is_report: True keeps also those that an error server reports itself.
    """

    def __init__(self, *, collects: bool = False, is_report: bool | None = None) -> None:
        self.collects = collects
        self.is_report = collects if is_report is None else is_report
        self.origins: dict[str, Origin] = {}
        self.errors: list[StartupError] = []
        self.model_errors: list[StartupError] = []
        """Those of ``errors`` that make loading the model pointless."""
        self.fatal_errors: list[StartupError] = []
        """Those with which not even the error server starts: of address, folder or access."""

    def add(self, error: StartupError, *, of_model: bool = False, is_fatal: bool = False) -> None:
        """Keep an error, once for each text.

        Raises:
            StartupError: the error itself, if errors are not collected.
        """
        if not self.collects:
            raise error
        if of_model:
            self.model_errors.append(error)
        if is_fatal:
            self.fatal_errors.append(error)
        if str(error) not in map(str, self.errors):
            self.errors.append(error)

    def raise_errors(self) -> None:
        """Raise what was collected.

        Raises:
            StartupError: the only error.
            SettingsErrors: several errors.
        """
        if len(self.errors) > 1:
            raise SettingsErrors(self.errors)
        for error in self.errors:
            raise error

    def merge(self, record: "BuildRecord", model: str) -> None:
        """Add the record of one model of a routed set; its origins get the name of the model as prefix."""
        self.origins |= {routed_key(model, key): origin for key, origin in record.origins.items()}
        for error in record.errors:
            with suppress(StartupError), naming_model(model):
                raise error
            self.add(error, of_model=error in record.model_errors)

    def attempt(
        self, function: Callable[[], _T], substitute: _T, *, of_model: bool = False, is_fatal: bool = False
    ) -> _T:
        """Return the result of ``function``, or ``substitute`` after an error that is kept.

        Raises:
            StartupError: of ``function``, if errors are not collected.
        """
        try:
            return function()
        except StartupError as error:
            self.add(error, of_model=of_model, is_fatal=is_fatal)
            return substitute
