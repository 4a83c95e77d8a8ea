"""A family's options, read from its constructor and its docstring: nothing here lists a family or an option."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from scorematch._cli.messages import CommandError, did_you_mean
from scorematch.domains import Domain

if TYPE_CHECKING:
    from scorematch._base import ScoreMatchingEstimator

# Constructor arguments for which `fit` has options of its own, the same for every model.
COMMON = ("n_jobs", "random_state", "verbose")


def kebab(name: str) -> str:
    """The command line's form of a class name.

    >>> [kebab(name) for name in ("GaussianMixture", "ICA", "GaussianBernoulliRBM", "StudentT", "n_components")]
    ['gaussian-mixture', 'ica', 'gaussian-bernoulli-rbm', 'student-t', 'n-components']
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).replace("_", "-").lower()


@dataclasses.dataclass(frozen=True)
class Option:
    """One argument of a constructor."""

    name: str
    annotation: Any
    default: Any
    help: str
    # Of the domains, those that the family can be put on.
    domains: tuple[type, ...] = ()

    @property
    def flag(self) -> str:
        return f"--{kebab(self.name)}"

    @property
    def choices(self) -> tuple[str, ...] | None:
        """The words that it takes; None where it takes something else."""
        if typing.get_origin(self.annotation) is typing.Literal:
            return typing.get_args(self.annotation)
        return None

    @property
    def objects(self) -> dict[str, type]:
        """Domains or weights that it takes, by their names on the command line; empty where it takes something else."""
        base = self.annotation
        if not (isinstance(base, type) and dataclasses.is_dataclass(base)):
            return {}
        public = vars(sys.modules[base.__module__])
        classes = (public[name] for name in public.get("__all__", ()))
        kinds = [cls for cls in classes if issubclass(cls, base) and cls is not base]
        return {kebab(cls.__name__): cls for cls in kinds if cls in self.domains or base is not Domain}

    @property
    def flags(self) -> str:
        return f"{self.flag}/--no-{self.flag[2:]}" if self.annotation is bool else self.flag

    @property
    def metavar(self) -> str:
        if self.annotation is bool:
            return ""
        if self.choices:
            return "{" + ",".join(self.choices) + "}"
        if self.objects:
            keys = any(dataclasses.fields(cls) for cls in self.objects.values())
            return "NAME[:KEY=NUMBER,...]" if keys else "NAME"
        return {int: "INT", float: "NUMBER", str: "TEXT"}.get(self.annotation, "VALUE")

    @property
    def default_text(self) -> str:
        if self.default is inspect.Parameter.empty:
            return "needed"
        if isinstance(self.default, bool):
            return "yes" if self.default else "no"
        return "none" if self.default is None else f"{self.default}"

    @property
    def full_help(self) -> str:
        """The help with what the option takes and its default."""
        takes = f" One of {', '.join(map(_usage, self.objects.values()))}." if self.objects else ""
        return f"{self.help}{takes} (default: {self.default_text})"

    def parse(self, text: str) -> Any:
        """The value that a text on the command line stands for; an error names the option."""
        if self.objects:
            return _parse_object(self.flag, text, self.objects)
        if self.annotation in (int, float, str):
            try:
                return self.annotation(text)
            except ValueError:
                kind = {int: "an integer", float: "a number"}[self.annotation]
                raise argparse.ArgumentTypeError(f"{text!r} is not {kind}") from None
        try:  # an array, or something that no other option takes
            return json.loads(text)
        except json.JSONDecodeError:
            return text

    def add_to(self, group: argparse._ArgumentGroup) -> None:
        """Make it an option of a parser; it stays out of the result unless it is given."""
        keywords: dict[str, Any] = {
            "dest": destination(self.name),
            "default": argparse.SUPPRESS,
            "help": self.full_help.replace("%", "%%"),
        }
        if self.annotation is bool:
            group.add_argument(self.flag, action=argparse.BooleanOptionalAction, **keywords)
        elif self.choices:
            group.add_argument(self.flag, choices=self.choices, **keywords)
        else:
            group.add_argument(self.flag, type=self.parse, metavar=self.metavar, **keywords)


def destination(name: str) -> str:
    """Where a parser puts a model's option: out of the way of the command's own."""
    return f"model option {name}"


def model_options(cls: type[ScoreMatchingEstimator]) -> list[Option]:
    """The options of a family, those that all models share left out."""
    hints = typing.get_type_hints(cls.__init__)
    descriptions = _documented(cls, "Parameters")
    options = [
        Option(
            name,
            _without_none(hints.get(name, Any)),
            parameter.default,
            descriptions.get(name, ("", ""))[1],
            cls._domains,
        )
        for name, parameter in constructor(cls).items()
        if name not in COMMON
    ]
    # The docstrings speak Python: NonNegative() is non-negative here.
    spelled = {f"{known.__name__}()": name for option in options for name, known in option.objects.items()}
    for call, name in spelled.items():
        options = [dataclasses.replace(option, help=option.help.replace(call, name)) for option in options]
    return options


def fits_on_a_line(cls: type) -> bool:
    """Whether a command line can hold all that a constructor needs; functions it cannot."""
    hints = typing.get_type_hints(cls.__init__)  # type: ignore[misc]
    needed = [name for name, argument in constructor(cls).items() if argument.default is inspect.Parameter.empty]
    return not any(typing.get_origin(hints.get(name)) is Callable for name in needed)


def constructor(cls: type) -> dict[str, inspect.Parameter]:
    """The arguments of a constructor, without self."""
    return dict(list(inspect.signature(cls.__init__).parameters.items())[1:])  # type: ignore[misc]


def summary(cls: type) -> str:
    """The first line of a docstring."""
    return plain((inspect.getdoc(cls) or "").partition("\n")[0])


def axes_of(model: Any, name: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    """What the axes of a fitted attribute mean, such as ("n_components", "n_features"), from the class's docstring.

    Where an attribute has one shape for each choice of an option, the docstring gives them in the order of the choices.
    """
    kind, description = _documented(type(model), "Attributes").get(f"{name}_", ("", ""))
    found = [tuple(re.findall(r"\w+", axes)) for axes in re.findall(r"\(((?:\w+, ?)+\w*)\)", f"{kind} {description}")]
    documented = [axes for axes in found if all(axis.startswith("n_") for axis in axes)]
    for option in model_options(type(model)):
        choices = option.choices or ()
        if len(choices) == len(documented) > 1 and getattr(model, option.name) in choices:
            documented = [documented[choices.index(getattr(model, option.name))]]
    fitting = [axes for axes in documented if len(axes) == len(shape)]
    return fitting[0] if fitting else ("",) * len(shape)


def in_flags(message: str, options: Iterable[Option]) -> str:
    """A message of the library in the command line's words: ``whiten=False`` becomes ``--no-whiten``."""
    for option in options:
        if option.objects:

            def spelled(match: re.Match[str], option: Option = option) -> str:
                arguments = match[2].replace(" ", "")
                return f"{option.flag} {kebab(match[1])}{':' if arguments else ''}{arguments}"

            message = re.sub(rf"\b{option.name}=(?:scorematch\.)?(\w+)\(([^()]*)\)", spelled, message)
        elif option.annotation is bool:
            message = re.sub(rf"\b{option.name}=True\b", option.flag, message)
            message = re.sub(rf"\b{option.name}=False\b", f"--no-{option.flag[2:]}", message)
        else:
            message = re.sub(rf"\b{option.name}='?([\w.+-]*\w)'?", rf"{option.flag} \1", message)
        if "_" in option.name:  # no word but its name
            message = re.sub(rf"\b{option.name}\b", option.flag, message)
    return message


def plain(text: str) -> str:
    """A piece of a docstring without its markup."""
    text = re.sub(r":math:`([^`]*)`", lambda match: _plain_mathematics(match[1]), text)
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"\1", text)
    return " ".join(text.replace("`", "").split())


def _plain_mathematics(text: str) -> str:
    return re.sub(r"\\(\w+)", r"\1", text).replace("{", "").replace("}", "")


def _documented(cls: type, section: str) -> Mapping[str, tuple[str, str]]:
    """The entries of a section of a numpydoc docstring: name to (type, description)."""
    lines = (inspect.getdoc(cls) or "").split("\n")
    entries: dict[str, tuple[str, list[str]]] = {}
    current: list[list[str]] = []
    inside = False
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if following and set(following) == {"-"}:
            inside = line == section
        elif inside and line and set(line) != {"-"}:
            if line[0].isspace():
                for description in current:
                    description.append(line)
            else:
                names, _, kind = line.partition(" : ")
                current = []
                for name in names.split(","):
                    entries[name.strip()] = (kind, [])
                    current.append(entries[name.strip()][1])
    return {name: (kind, plain(" ".join(description))) for name, (kind, description) in entries.items()}


def _without_none(annotation: Any) -> Any:
    """What ``kind | None`` is beside None; anything else as it is."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        kinds = [kind for kind in typing.get_args(annotation) if kind is not type(None)]
        if len(kinds) == 1:
            return kinds[0]
    return annotation


def _usage(cls: type) -> str:
    """How a domain or weight is written, with its defaults: ``min-power[:c=1,p=1]``."""
    keys = ",".join(f"{field.name}={field.default:g}" for field in dataclasses.fields(cls))
    return kebab(cls.__name__) + (f"[:{keys}]" if keys else "")


def _parse_object(flag: str, text: str, classes: Mapping[str, type]) -> Any:
    """A domain or weight from ``name:key=number,key=number``; a key that is repeated makes a list."""
    name, colon, rest = text.partition(":")
    if name not in classes:
        known = ", ".join(map(_usage, classes.values()))
        raise CommandError(f"{flag}: unknown name {name!r}{did_you_mean(name, classes)} Known are {known}")
    cls = classes[name]
    fields = {field.name: field for field in dataclasses.fields(cls)}
    given: dict[str, list[float]] = {}
    for item in rest.split(",") if colon else ():
        key, _, number = item.partition("=")
        if key not in fields:
            takes = f"it takes {', '.join(fields)}" if fields else "it takes none"
            raise CommandError(f"{flag} {text}: {name} has no parameter {key!r}; {takes}. Write {_usage(cls)}")
        try:
            given.setdefault(key, []).append(float(number))
        except ValueError:
            raise CommandError(f"{flag} {text}: {key} must be a number; got {number!r}. Write {_usage(cls)}") from None
    for key, values in given.items():
        if len(values) > 1 and "Sequence" not in str(fields[key].type):
            raise CommandError(f"{flag} {text}: {key} is given {len(values)} times; {name} takes it once")
    construct: Callable[..., Any] = cls
    try:
        return construct(**{key: values[0] if len(values) == 1 else tuple(values) for key, values in given.items()})
    except ValueError as error:
        raise CommandError(f"{flag} {text}: {error}") from error
