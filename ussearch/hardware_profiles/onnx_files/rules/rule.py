"""What a rule is, and what it says about a file that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from ussearch.hardware_profiles.onnx_files.rules.view import ModelView
from ussearch.hardware_profiles.profile import Parser, Profile
from ussearch.registry import Registry


@dataclass(frozen=True)
class Violation:
    """What is wrong at a node (or tensor, or ``model``) and what mends it."""

    node: str
    message: str
    hint: str


@dataclass(frozen=True)
class Finding:
    """A broken rule: which one, at which node (or tensor, or ``model``), what is wrong and what mends it."""

    rule: str
    node: str
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.node}: {self.message}; {self.hint}."

    def to_dict(self) -> dict[str, str]:
        """Return the finding as plain data."""
        return asdict(self)


Check = Callable[[ModelView, Profile], Iterator[Violation]]


@dataclass(frozen=True)
class Rule:
    """A named check; ``parser`` is the only one that it holds for, None: every device."""

    name: str
    check: Check
    parser: Parser | None

    def findings(self, view: ModelView, profile: Profile) -> Iterator[Finding]:
        """Yield everything about the model that breaks the rule; nothing where the rule does not apply."""
        if self.parser in {None, profile.export.parser}:
            for fault in self.check(view, profile):
                yield Finding(self.name, fault.node, fault.message, fault.hint)


RULES: Registry[Rule] = Registry("ONNX rule")


def rule(name: str, parser: Parser | None = None) -> Callable[[Check], Check]:
    """Return a decorator that registers a check as the rule ``name``."""

    def register(check: Check) -> Check:
        RULES.register(name)(Rule(name, check, parser))
        return check

    return register
