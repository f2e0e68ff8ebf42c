"""From JSON Schema to the structural schema that Kubernetes demands of a custom resource.

A structural schema has no references, a type for every field, and no type inside of `anyOf` and its kin.
What a union of types allows is therefore said side by side: a pattern binds texts only, a minimum numbers
only. Defaults are left out: the API server would write them into every object, where they would outlive the
version of Fairtrial that they come from, and where a GitOps tool would find what nobody wrote.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Schema = dict[str, Any]

#: What an editor needs and the API server does not take.
_NOISE = frozenset({"$defs", "$schema", "additionalProperties", "default", "examples", "title"})
_NUMBERS = {"integer", "number"}


def structural(schema: Mapping[str, Any]) -> Schema:
    """The structural schema of a JSON Schema as pydantic makes it. Raises ValueError for what has none."""
    return _converted(schema, schema.get("$defs", {}))


def _converted(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> Schema:
    schema = _dereferenced(schema, defs)
    kept = {key: value for key, value in schema.items() if key not in _NOISE}
    options: Sequence[Mapping[str, Any]] = kept.pop("anyOf", ())
    alternatives: Sequence[Mapping[str, Any]] = kept.pop("oneOf", ())
    if "properties" in kept:
        kept["properties"] = {name: _converted(each, defs) for name, each in kept["properties"].items()}
    if "items" in kept:
        kept["items"] = _converted(kept["items"], defs)
    others = schema.get("additionalProperties")
    if others is True:
        kept["x-kubernetes-preserve-unknown-fields"] = True
    elif isinstance(others, Mapping):
        kept["additionalProperties"] = _converted(others, defs)
    if options:
        kept |= _united([_dereferenced(option, defs) for option in options])
    if alternatives:
        kept["x-kubernetes-validations"] = [_exactly_one([each["required"][0] for each in alternatives])]
    if "const" in kept:
        kept["enum"] = [kept.pop("const")]
    for bound in ("Minimum", "Maximum"):
        if f"exclusive{bound}" in kept:
            kept[bound.lower()] = kept[f"exclusive{bound}"]
            kept[f"exclusive{bound}"] = True
    if "type" not in kept and not any(key.startswith("x-kubernetes-") for key in kept):
        raise ValueError(f"no structural schema says {dict(schema)}")
    return kept


def _dereferenced(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is said beside a reference is closer to the field than what is said of the part."""
    if "$ref" not in schema:
        return schema
    part: Mapping[str, Any] = defs[schema["$ref"].removeprefix("#/$defs/")]
    return {**part, **{key: value for key, value in schema.items() if key != "$ref"}}


def _united(options: Sequence[Mapping[str, Any]]) -> Schema:
    """One schema for what each of several takes; exact for every union that the model has."""
    texts = [option for option in options if option.get("type", "string") == "string"]
    numbers = [option for option in options if option.get("type") in _NUMBERS]
    types = {str(option.get("type", "string")) for option in options}
    bounds = {
        key: option[key] for option in numbers for key in ("minimum", "maximum") if key in option
    } | _texts(texts)
    if types == {"string"}:
        return {"type": "string", **bounds}
    if types == {"string", "integer"}:
        return {"x-kubernetes-int-or-string": True, **bounds}
    if types <= {"string", "boolean", *_NUMBERS}:
        # Without a type anything goes in: no mapping and no list has as many items as these ask for.
        nothing = {"minProperties": 1, "maxProperties": 0, "minItems": 1, "maxItems": 0}
        no_switch = {} if "boolean" in types else {"not": {"enum": [True, False]}}
        return {"x-kubernetes-preserve-unknown-fields": True, **bounds, **nothing, **no_switch}
    raise ValueError(f"no structural schema says {options}")


def _texts(options: Sequence[Mapping[str, Any]]) -> Schema:
    """A text that any of them takes."""
    if not all("pattern" in option or "const" in option for option in options):
        return {}
    patterns = [option.get("pattern") or f"^{option['const']}$" for option in options]
    if len(patterns) == 1:
        return {key: options[0][key] for key in ("pattern", "minLength") if key in options[0]}
    least = min(int(option.get("minLength", len(option.get("const", "")))) for option in options)
    return {"pattern": "|".join(patterns), "minLength": least}


def _exactly_one(fields: Sequence[str]) -> Schema:
    """As a rule with words of its own: what `oneOf` says when it is broken helps nobody."""
    counted = " + ".join(f"(has(self.{field}) ? 1 : 0)" for field in fields)
    return {"rule": f"{counted} == 1", "message": f"say exactly one of {', '.join(fields)}"}
