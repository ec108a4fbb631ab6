# SPDX-License-Identifier: Apache-2.0
"""Parts found by looking: every module of a package holds one class, and its file is named as the class."""

from __future__ import annotations

import importlib
import pkgutil
import re
from types import ModuleType
from typing import Any

from engine.errors import ParameterError, near_miss
from engine.quantity import Model


class Part(Model):
    """What is found by its name and saved as a name with values: a converter, a noise model, a compensation.

    Attributes
    ----------
    abstract : bool
        Only for deriving from; set in the class that says so, not inherited.
    title, formula : str
        One line each, for menus and pages.
    """

    abstract = True
    title = ""
    formula = ""

    @classmethod
    def stem(cls) -> str:
        """Return the part's name: its class in small letters, ``SinglePair`` is ``single_pair``."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])", "_", cls.__name__).lower()

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"kind": stem, "parameters": {...}}``, JSON-ready."""
        return {"kind": self.stem(), "parameters": self.values()}


class Registry:
    """The parts of one package.

    Parameters
    ----------
    package : module
        Its modules are imported; classes derived from ``base`` that are not abstract are its parts.
    base : type
    what : str
        What a part is called in a message.
    """

    def __init__(self, package: ModuleType, base: type[Part], what: str):
        self._base, self._what = base, what
        self._classes: dict[str, type[Part]] = {}
        for found in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package.__name__}.{found.name}")
            for cls in vars(module).values():
                if self._is_part(cls) and cls.__module__ == module.__name__:
                    self.register(cls)

    def _is_part(self, cls: Any) -> bool:
        return isinstance(cls, type) and issubclass(cls, self._base) and not vars(cls).get("abstract", False)

    def register(self, cls: type[Part]) -> type[Part]:
        """Add a class for this process; usable as a decorator. Raises `ParameterError` if its name is taken."""
        known = self._classes.get(cls.stem(), cls)
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ParameterError(
                f"{self._what} {cls.stem()!r}: there is one already, {known.__qualname__} (allowed: one class a name). "
                "Rename it."
            )
        self._classes[cls.stem()] = cls
        return cls

    def names(self) -> list[str]:
        """Return the names of all parts, sorted."""
        return sorted(self._classes)

    def get(self, stem: str) -> type[Part]:
        """Return the class of a name; raises `ParameterError` that names near misses."""
        if stem not in self._classes:
            hint = near_miss(str(stem), self.names())
            raise ParameterError(f"{self._what} = {stem!r}: unknown (allowed: {', '.join(self.names())}).{hint}")
        return self._classes[stem]

    def made(self, given: Part | str | dict[str, Any], subject: str) -> Part:
        """Return a part from itself, its name, or what `Part.to_dict` gave.

        Raises
        ------
        ParameterError
            Anything else; ``subject`` begins the message.
        """
        if isinstance(given, self._base):
            return given
        if isinstance(given, str):
            return self.get(given)()
        if isinstance(given, dict) and isinstance(given.get("kind"), str):
            return self.get(given["kind"])(**given.get("parameters", {}))
        raise ParameterError(
            f"{subject} = {given!r}: is no {self._what} (allowed: a {self._base.__name__}, or one of "
            f"{', '.join(self.names())}). Pass one of these."
        )
