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
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scorematch._cli.messages import CommandError, did_you_mean
from scorematch.domains import Domain, Sphere

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
    on_sphere: bool = False  # of the domains, the sphere alone or all others

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
        union = typing.get_origin(self.annotation) in (typing.Union, types.UnionType)
        kinds = typing.get_args(self.annotation) if union else (self.annotation,)
        bases = tuple(base for base in kinds if isinstance(base, type) and dataclasses.is_dataclass(base))
        # A base class stands in a private module of the package that lists all.
        packages = dict.fromkeys(sys.modules[base.__module__.partition("._")[0]] for base in bases)
        public = [getattr(package, name) for package in packages for name in getattr(package, "__all__", ())]
        classes = [cls for cls in public if isinstance(cls, type) and issubclass(cls, bases)]
        return {
            kebab(cls.__name__): cls
            for cls in classes
            if not inspect.isabstract(cls) and _can_be_written(cls)
            if Domain not in bases or issubclass(cls, Sphere) == self.on_sphere
        }

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
            keys = any(_kinds(cls) for cls in self.objects.values())
            return "NAME[:KEY=VALUE,...]" if keys else "NAME"
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
            cls._on_sphere,
        )
        for name, parameter in constructor(cls).items()
        if name not in COMMON
    ]
    # What is said of several options together is shown with the first.
    first: dict[str, str] = {}
    for option in options:
        first.setdefault(option.help, option.flag)
    options = [
        option if first[option.help] == option.flag else dataclasses.replace(option, help=f"See {first[option.help]}.")
        for option in options
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


def _kinds(cls: type) -> dict[str, Any]:
    """The arguments of a domain or weight that a line can hold, in order: bool, float, or Sequence for numbers."""
    hints = typing.get_type_hints(cls)
    found: dict[str, Any] = {}
    for name in constructor(cls):
        kinds = (hints[name], *typing.get_args(hints[name]))
        if hints[name] is bool:
            found[name] = bool
        elif Sequence[float] in kinds:
            found[name] = Sequence
        elif float in kinds or int in kinds:
            found[name] = float
    return found


def _can_be_written(cls: type) -> bool:
    """Whether a line can hold all that a domain or weight needs; matrices and functions it cannot."""
    arguments = constructor(cls).values()
    return {one.name for one in arguments if one.default is inspect.Parameter.empty} <= set(_kinds(cls))


def _usage(cls: type) -> str:
    """How a domain or weight is written: ``log1p``, ``tanh[:a=1]``, ``ball:radius=NUMBER[,norm=2,nonnegative=no]``."""
    arguments = constructor(cls)
    needed, others = [], []
    for name in _kinds(cls):
        default = arguments[name].default
        if default is inspect.Parameter.empty:
            needed.append(f"{name}=NUMBER")
        elif isinstance(default, bool):
            others.append(f"{name}={'yes' if default else 'no'}")
        else:
            others.append(f"{name}={'NUMBER' if default is None else f'{default:g}'}")
    optional = f"[{',' if needed else ':'}{','.join(others)}]" if others else ""
    return kebab(cls.__name__) + (f":{','.join(needed)}" if needed else "") + optional


def _parse_value(text: str, kind: Any) -> float | bool:
    """One value of an argument of that kind; ValueError with what it must be."""
    if kind is bool:
        words = {"yes": True, "true": True, "no": False, "false": False}
        if text.lower() not in words:
            raise ValueError("yes or no")
        return words[text.lower()]
    try:
        return float(text)
    except ValueError:
        raise ValueError("a number") from None


def _parse_object(flag: str, text: str, classes: Mapping[str, type]) -> Any:
    """A domain or weight from ``name:key=value,key=value``; a key that is repeated makes a list."""
    name, colon, rest = text.partition(":")
    if name not in classes:
        known = ", ".join(map(_usage, classes.values()))
        raise CommandError(f"{flag}: unknown name {name!r}{did_you_mean(name, classes)} Known are {known}")
    cls = classes[name]
    kinds = _kinds(cls)
    given: dict[str, list[float | bool]] = {}
    for item in rest.split(",") if colon else ():
        key, _, number = item.partition("=")
        if key not in kinds:
            takes = f"it takes {', '.join(kinds)}" if kinds else "it takes none"
            raise CommandError(f"{flag} {text}: {name} has no parameter {key!r}; {takes}. Write {_usage(cls)}")
        try:
            given.setdefault(key, []).append(_parse_value(number, kinds[key]))
        except ValueError as error:
            raise CommandError(f"{flag} {text}: {key} must be {error}; got {number!r}. Write {_usage(cls)}") from None
    for key, values in given.items():
        if len(values) > 1 and kinds[key] is not Sequence:
            raise CommandError(f"{flag} {text}: {key} is given {len(values)} times; {name} takes it once")
    missing = [key for key, one in constructor(cls).items() if one.default is one.empty and key not in given]
    if missing:
        raise CommandError(f"{flag} {text}: {name} needs {' and '.join(missing)}. Write {_usage(cls)}")
    construct: Callable[..., Any] = cls
    try:
        return construct(**{key: values[0] if len(values) == 1 else tuple(values) for key, values in given.items()})
    except ValueError as error:
        raise CommandError(f"{flag} {text}: {error}") from error
