"""``get_model``: from a built-in name, a config.json, or a folder that holds one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from hetsim.errors import Problem, ScenarioError, nearest
from hetsim.model._config import Config, shown
from hetsim.model._names import find_builtin, model_names, near_names
from hetsim.model._types import Model
from hetsim.spec import kinds, lookup

__all__ = ["get_model", "read_config"]

_MAX_BYTES = 32 * 2**20
_FAMILY = "model_reader"


def get_model(name_or_path: str | Path) -> Model:
    """Return the model that a built-in name, a ``config.json`` or its folder stands for.

    Raises
    ------
    ScenarioError
        If there is no such model or file, or the configuration is wrong: every problem with
        file, line, path, the value seen and what to write instead.

    >>> get_model("meta-llama/Llama-3.1-8B-Instruct").layer_count
    32
    """
    text = str(name_or_path)
    path = None if text in model_names() else _existing(text)
    if path is None:
        found = find_builtin(text)
        if found is None:
            raise ScenarioError(Problem(_unknown(text), "model"))
        return _builtin(found)
    return _from_file(path / "config.json" if path.is_dir() else path)


def _unknown(text: str) -> str:
    if text.endswith((".json", ".yaml", ".yml")):
        return f"no such file {shown(text)}; give a built-in name or a path to a config.json"
    hint = near_names(text)
    return f"no built-in model {shown(text)}, no file, no folder with a config.json; {hint}"


def _existing(text: str) -> Path | None:
    """Return the file, or the folder with a configuration, that ``text`` names."""
    if not text or "\0" in text:
        return None
    try:
        path = Path(text).expanduser()
        if path.is_file() or (path.is_dir() and (path / "config.json").is_file()):
            return path
    except (OSError, RuntimeError, ValueError):  # too long, no such user, lone surrogates
        return None
    return None


@lru_cache(maxsize=256)
def _builtin(path: Path) -> Model:
    return _from_yaml(path)


def _from_file(path: Path) -> Model:
    if path.suffix in (".yaml", ".yml"):
        return _from_yaml(path)
    text = _text(path)
    data = _json(text, str(path))
    if "quantization_config" not in data:
        data |= _quantisation_beside(path)
    cfg = Config(data, str(path), text)
    model = read_config(cfg)
    stem = path.resolve().parent.name if path.name == "config.json" else path.stem
    return replace(model, name=stem, source=str(path))


def _quantisation_beside(path: Path) -> dict[str, Any]:
    """Return what ModelOpt checkpoints state in a file of its own, in the form of the others."""
    beside = path.with_name("hf_quant_config.json")
    if path.name != "config.json" or not beside.is_file():
        return {}
    found = _json(_text(beside), str(beside)).get("quantization")
    return {"quantization_config": found} if isinstance(found, dict) else {}


def _text(path: Path) -> str:
    file = str(path)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ScenarioError(Problem("is larger than 32 MiB; is it a config.json?", "", file))
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ScenarioError(Problem(f"is not UTF-8 text: {error.reason}", "", file)) from None
    except OSError as error:
        raise ScenarioError(Problem(f"cannot be read: {error.strerror}", "", file)) from None


def _json(text: str, file: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        message = f"not JSON: {error.msg}; give the config.json of a Hugging Face model"
        raise ScenarioError(Problem(message, "", file, error.lineno)) from None
    except (ValueError, RecursionError) as error:
        raise ScenarioError(Problem(f"not JSON: {str(error)[:80]}", "", file)) from None
    if not isinstance(data, dict):
        message = f"must hold a mapping of keys to values, not {shown(data)}"
        raise ScenarioError(Problem(message, "", file))
    return data


_OWN = (
    "name", "source", "aliases", "published_params", "published_active_params",
    "published_source", "notes", "config",
)  # fmt: skip


def _from_yaml(path: Path) -> Model:
    from hetsim.spec._yaml import read_yaml

    data, _ = read_yaml(path)
    file, text = str(path), _text(path)
    if not isinstance(data, dict):
        raise ScenarioError(Problem(f"must be a mapping, not {shown(data)}", "", file))
    strange = [key for key in data if key not in _OWN]
    if strange:
        raise ScenarioError([Problem(f"unknown key; {nearest(k, _OWN)}", k, file) for k in strange])
    own = Config(data, file, text)
    total, active = (_published(own, k) for k in ("published_params", "published_active_params"))
    aliases = own.words("aliases") if "aliases" in own else []
    notes = own.words("notes") if "notes" in own else []
    model = read_config(own.section("config"))
    own.finish()
    return replace(
        model,
        name=own.word("name") or path.stem,
        source=own.word("source"),
        aliases=tuple(aliases),
        notes=tuple(dict.fromkeys((*notes, *model.notes))),
        published_params=total,
        published_active_params=active,
    )


def _published(own: Config, key: str) -> float | None:
    value = own.raw(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e18:
        own.problem(key, f"must be a positive number, not {shown(value)}")
        return None
    return float(value)


def read_config(cfg: Config) -> Model:
    """Return the model that ``cfg`` states, by the reader of its ``model_type``.

    Raises
    ------
    ScenarioError
        With every problem; an architecture or layer kind that is not modelled is named.
    """
    import hetsim.model.readers  # noqa: F401  (registers every reader)

    if cfg.flag("is_encoder_decoder"):
        cfg.problem("is_encoder_decoder", "encoder-decoder models are not modelled")
    text = _text_part(cfg)
    reader = _reader(text) or (None if text is cfg else _reader(cfg))
    if reader is None:
        reader = _unknown_but_plain(text)
    try:
        model = reader(text)
    except RecursionError:
        raise ScenarioError(Problem("nests too deep", "", cfg.file)) from None
    text.finish()
    return model


def _text_part(cfg: Config) -> Config:
    """Return the part that describes the language model; towers beside it are noted."""
    for key in ("text_config", "language_config", "llm_config"):
        if key in cfg:
            inner = cfg.section(key)
            inner.inherit(cfg, ("tie_word_embeddings", "quantization_config", "architectures"))
            break
    else:
        inner = cfg
    towers = [k.removesuffix("_config") for k in ("vision_config", "audio_config") if k in cfg]
    if towers:
        cfg.note(f"{' and '.join(towers)} tower left out: language model only")
    return inner


def _reader(cfg: Config) -> Callable[[Config], Model] | None:
    known = {_plain(kind): kind for kind in kinds(_FAMILY)}
    words = [cfg.word("model_type")]
    if "architectures" in cfg:
        words += cfg.words("architectures")
    for word in words:
        for key in (_plain(word), _plain(word.removesuffix("_text"))):
            if key in known:
                made: Callable[[Config], Model] = lookup(_FAMILY, known[key])
                return made
    return None


def _plain(word: str) -> str:
    """Return a model type or class name in one spelling.

    >>> _plain("DeepseekV32ForCausalLM"), _plain("deepseek_v32")
    ('deepseekv32', 'deepseekv32')
    """
    word = re.sub(r"(For[A-Z]\w*|Model|LMHeadModel)$", "", word)
    return re.sub(r"[^a-z0-9]", "", word.lower())


# Words in keys that tell of layers which a plain decoder does not have.
_STRANGE = re.compile(
    "moe|expert|ssm|mamba|conv|rnn|lru|linear_|lora_rank|compress|sparse|index_|hybrid|latent|"
    "block_type|layer_types|cross_attention|encoder|recurrent|state_size|num_kv_shared"
)
_PLAIN = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")


def _unknown_but_plain(cfg: Config) -> Callable[[Config], Model]:
    """Return the reader of plain decoders, if nothing in ``cfg`` tells of other layers.

    Raises
    ------
    ScenarioError
        Naming the architecture, and the keys that stand in the way.
    """
    seen = cfg.raw("model_type") or cfg.raw("architectures")
    if seen is None:
        cfg.problem("model_type", "is missing; a Hugging Face config.json states it")
        cfg.finish()
    strange = [key for key in cfg.stated() if _STRANGE.search(key) and cfg.raw(key)]
    missing = [key for key in _PLAIN if key not in cfg]
    if strange or missing:
        why = f"its {', '.join(strange[:4])}" if strange else f"a decoder without {missing[0]}"
        message = f"{shown(seen)} is an architecture that hetsim does not know, and {why} cannot be"
        cfg.problem("model_type", f"{message} guessed; {nearest(str(seen), kinds(_FAMILY))}")
        cfg.finish()
    cfg.note(f"{shown(seen)} is not known; read as a plain decoder with a gated feed-forward")
    made: Callable[[Config], Model] = lookup(_FAMILY, "llama")
    return made
