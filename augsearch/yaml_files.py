"""YAML files as people mean them: `5e-4` is a number, and a class may be called `no` or `00014`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from augsearch.errors import SettingsError


class _Loader(yaml.SafeLoader):
    """PyYAML reads YAML 1.1; DVC and most people read 1.2, where an exponent needs no dot and `no` is a word."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # PyYAML's own class attribute
        first: [
            (tag, pattern) for tag, pattern in resolvers if tag not in ("tag:yaml.org,2002:float", "tag:yaml.org,2002:bool")
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Keys are names, whatever they look like: `no`, `00014`, `1e3`."""
        self.flatten_mapping(node)
        names = [key.value for key, _ in node.value]
        for name in names:
            if names.count(name) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {name!r} is there twice", node.start_mark)
        return {key.value: self.construct_object(value, deep=deep) for key, value in node.value}


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"),
    list("-+.0123456789"),
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def read_yaml(path: str | Path, missing: str = "") -> dict[str, Any]:
    """The sections that a YAML file holds; keys are strings.

    Args:
        missing: advice for a file that is not there.

    Raises:
        SettingsError: one line: no such file, not YAML, or no sections.
    """
    try:
        data = yaml.load(Path(path).read_text(), _Loader)  # a SafeLoader
    except OSError as error:
        raise SettingsError(
            f"{path}: {error.strerror or error}{missing}".replace("No such file or directory", "no such file")
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise SettingsError(f"{path}: holds a {type(data).__name__}; must be sections of settings")
    return data
