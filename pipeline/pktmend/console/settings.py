"""Settings of a long-running command from a file and the environment.

The strongest first: the command line, PKTMEND_<OPTION>, the file of --config, the option's default.  Keys and names are
derived from the command's own options, so that nothing is listed twice: `--busy-poll` is `busy-poll` in the file and
PKTMEND_BUSY_POLL in the environment; an option that has only a letter goes by its parameter's name.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import click
import msgspec

from pktmend.errors import ConfigError, OSFailure, PktmendError
from pktmend.host.trusted_path import read_trusted

PREFIX = "PKTMEND"
CONFIG = "pktmend.config"  # where a click context remembers the file
COMMAND_LINE = "command line"
DEFAULT = "default"
LONGEST = 1 << 20  # bytes of a file of settings
_OWN = {"config", "check_config", "help"}
_CODE = "stage"  # the setting that names code


def key_of(parameter: click.Parameter) -> str:
    """Return the parameter's key in the file."""
    return (parameter.name or "").replace("_", "-")


def parameters(command: click.Command) -> list[click.Parameter]:
    """Return what of a command can be set by file and environment."""
    return [p for p in command.params if p.name not in _OWN]


def is_offered(parameter: click.Parameter) -> bool:
    """Is it one that people should know: not hidden, and of some effect?"""
    return parameter.expose_value and not (isinstance(parameter, click.Option) and parameter.hidden)


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


def read(path: str, command: click.Command) -> dict[str, Any]:
    """Return the settings in the file *path*, by parameter name.

    Raises: OSFailure if it cannot be read; ConfigError, with the place, if it is no TOML, or has an unknown key or a
            value of the wrong type or range.
    """
    text = _text_of(path)
    values = _values_in(text, path, command)
    if values.get(_CODE):  # read again, as only trusted users can have written it
        trusted = read_trusted(Path(path), f"{path} names code").decode(errors="replace")
        values = values if trusted == text else _values_in(trusted, path, command)
    return values


def _text_of(path: str) -> str:
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > LONGEST:
                raise ConfigError(f"{path} is no file of settings: not a regular one, or longer than {LONGEST} bytes")
            return file.read(LONGEST).decode()
    except OSError as error:
        raise OSFailure(f"{path}: {error.strerror}", error=error.errno or 0) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8") from None


def _values_in(text: str, path: str, command: click.Command) -> dict[str, Any]:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:  # its words have line and column
        raise ConfigError(f"{path}: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: values are nested too deep") from None
    known = {key_of(p): p for p in parameters(command)}
    values: dict[str, Any] = {}
    offered = [key for key, p in known.items() if is_offered(p)]
    for key, value in table.items():
        place = f"{path}{_line_of(key, text)}"
        if key not in known:
            near = difflib.get_close_matches(key, offered, 1, 0.7)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(offered)}"
            raise ConfigError(f"{place}: unknown key {key!r}", hint)
        parameter = known[key]
        if "\0" in str(value):
            raise ConfigError(f"{place}: {key} holds a NUL")
        try:
            taken = msgspec.convert(value, _type_of(parameter))
        except msgspec.ValidationError as error:
            raise ConfigError(f"{place}: {key}: {error}") from None
        values[parameter.name or ""] = taken.split() if isinstance(parameter, click.Argument) else taken
    return values


def _line_of(key: str, text: str) -> str:
    """Return `:N`, the line of TOML that sets *key* or opens a table of that name; empty if none is found."""
    pattern = re.compile(rf"""\s*(\[\s*)?["']?{re.escape(key)}["']?\s*[=.\]]""")
    return next((f":{n}" for n, row in enumerate(text.splitlines(), 1) if pattern.match(row)), "")


def show(context: click.Context) -> str:
    """Return the settings in force as a file of settings, with where each one comes from."""
    rows = []
    for p in parameters(context.command):
        value = context.params.get(p.name or "")
        if value is None or value == () or not is_offered(p):
            continue
        if isinstance(p, click.Argument):
            value = " ".join(value)
        text = msgspec.json.encode(value).decode()  # of strings, numbers, truths and lists of them, TOML is JSON
        rows.append((f"{key_of(p)} = {text}", origin_of(context, p)))
    width = max((len(text) for text, _ in rows), default=0)
    return "\n".join(f"{text:{width}}  # {origin}" for text, origin in rows)


def name_source(context: click.Context, error: PktmendError) -> None:
    """Say in the hint of *error* where a setting that it is about comes from, if that is not the command line."""
    options = error.options if isinstance(error, ConfigError) else ()
    subject = error.subject if isinstance(error, OSFailure) else ""
    for p in parameters(context.command):
        value, origin = context.params.get(p.name or ""), origin_of(context, p)
        is_meant = p.name in options or (subject and subject in (value if isinstance(value, tuple) else (value,)))
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
