"""Settings of a long-running command from a file and the environment.

The strongest first: the command line, PKTMEND_<OPTION>, the file of --config, the option's default.  Keys and names are
derived from the command's own options, so that nothing is listed twice: `--busy-poll` is `busy-poll` in the file and
PKTMEND_BUSY_POLL in the environment; an option that has only a letter goes by its parameter's name.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import click
import msgspec

from pktmend.errors import ConfigError, OSFailure, PktmendError
from pktmend.host.trusted_path import require_trusted

PREFIX = "PKTMEND"
CONFIG = "pktmend.config"  # where a click context remembers the file
COMMAND_LINE = "command line"
DEFAULT = "default"
_OWN = {"config", "check_config", "help"}
_CODE = "stage"  # the setting that names code


def key_of(parameter: click.Parameter) -> str:
    """Return the parameter's key in the file."""
    return (parameter.name or "").replace("_", "-")


def parameters(command: click.Command) -> list[click.Parameter]:
    """Return what of a command can be set by file and environment."""
    return [p for p in command.params if p.name not in _OWN]


def _type_of(parameter: click.Parameter) -> Any:
    """The parameter's type as msgspec checks it."""
    kind: Any = str
    match parameter.type:
        case click.Choice():
            kind = Literal[tuple(str(choice) for choice in parameter.type.choices)]
        case click.IntRange():
            kind = Annotated[int, msgspec.Meta(ge=parameter.type.min, le=parameter.type.max)]
        case click.types.IntParamType():
            kind = int
        case click.types.FloatParamType():
            kind = float
        case click.types.BoolParamType():
            kind = bool
    if isinstance(parameter, click.Argument) and parameter.nargs == -1:
        return str  # a sentence: an expression
    return list[kind] if parameter.multiple or parameter.nargs != 1 else kind


def schema(command: click.Command) -> type[msgspec.Struct]:
    """Return the type of the command's file: every key optional, no other allowed."""
    fields = [(p.name or "", _type_of(p) | msgspec.UnsetType, msgspec.UNSET) for p in parameters(command)]
    return msgspec.defstruct(f"{command.name}_settings", fields, forbid_unknown_fields=True, rename="kebab")


def read(path: str, command: click.Command) -> dict[str, Any]:
    """Return the settings in the file *path*, by parameter name.

    Raises: OSFailure if it cannot be read; ConfigError, with the place, if it is no TOML, or has an unknown key or a
            value that cannot be.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise OSFailure(f"{path}: {error.strerror}", error=error.errno or 0) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: octet {error.start} is not UTF-8") from None
    try:
        found: Any = msgspec.toml.decode(text, type=schema(command))
    except msgspec.ValidationError as error:
        raise _explain(path, text, command, str(error)) from None
    except msgspec.DecodeError as error:  # tomllib's words have line and column
        raise ConfigError(f"{path}: {error}") from None
    values = {name: value for name in found.__struct_fields__ if (value := getattr(found, name)) is not msgspec.UNSET}
    for p in parameters(command):
        if isinstance(p, click.Argument) and p.name in values:
            values[p.name] = values[p.name].split()
    if values.get(_CODE):
        require_trusted(Path(path), f"{path} names code")
    return values


def _explain(path: str, text: str, command: click.Command, words: str) -> ConfigError:
    """Say it with the line it is on, and what was probably meant."""
    keys = [key_of(p) for p in parameters(command)]
    unknown = re.search(r"unknown field `(.*?)`", words)
    place = re.search(r"\$\.([\w-]+)", words)
    key = unknown[1] if unknown else place[1] if place else ""
    line = next(
        (
            f":{n}"
            for n, row in enumerate(text.splitlines(), 1)
            if re.match(rf"""\s*(\[\s*)?["']?{re.escape(key)}["']?\s*[=.\]]""", row)
        ),
        "",
    )
    if unknown:
        near = difflib.get_close_matches(key, keys, 1, 0.7)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(keys)}"
        return ConfigError(f"{path}{line}: unknown key {key!r}", hint)
    return ConfigError(f"{path}{line}: {key}: {words.partition(' - at')[0]}")


def show(context: click.Context) -> str:
    """Return the settings in force as a file of settings, with where each one comes from."""
    rows = []
    for p in parameters(context.command):
        value = context.params.get(p.name or "")
        if value is None or value == () or (isinstance(p, click.Option) and p.hidden):
            continue
        if isinstance(p, click.Argument):
            value = " ".join(value)
        text = msgspec.json.encode(value).decode()  # of strings, numbers, truths and lists of them, TOML is JSON
        rows.append((f"{key_of(p)} = {text}", origin_of(context, p)))
    width = max((len(text) for text, _ in rows), default=0)
    return "\n".join(f"{text:{width}}  # {origin}" for text, origin in rows)


def name_source(context: click.Context, error: PktmendError) -> None:
    """Say in the hint of *error* where a setting that it is about comes from, if that is not the command line."""
    said = set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", error.detail))
    interface = getattr(error, "interface", "")
    for p in parameters(context.command):
        value, origin = context.params.get(p.name or ""), origin_of(context, p)
        is_meant = said & {*p.opts, *p.secondary_opts} or (
            interface and interface in (value if isinstance(value, tuple) else (value,))
        )
        if is_meant and origin not in (COMMAND_LINE, DEFAULT):
            error.hint = "; ".join(filter(None, (error.hint, f"{p.opts[-1]} was set by {origin}")))


def origin_of(context: click.Context, parameter: click.Parameter) -> str:
    """Return where a setting comes from: a variable of the environment, a file, COMMAND_LINE or DEFAULT."""
    source = context.get_parameter_source(parameter.name or "")
    if source is click.core.ParameterSource.ENVIRONMENT:
        return f"{PREFIX}_{(parameter.name or '').upper()}"
    if source is click.core.ParameterSource.DEFAULT_MAP:
        return str(context.meta[CONFIG])
    return COMMAND_LINE if source is click.core.ParameterSource.COMMANDLINE else DEFAULT
