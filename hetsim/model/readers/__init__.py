"""One reader per group of architectures: a configuration becomes a ``Model``.

Each module registers functions under the ``model_type`` that they read; all modules of this
folder are imported in sorted order. ``_common.py`` first, then ``llama.py``. To add one: a
file with ``@register("model_reader", "<model_type>")`` above ``read(cfg: Config) -> Model``.
"""

from __future__ import annotations

import importlib
import pkgutil

__all__: list[str] = []

for _module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
    if not _module.startswith("_"):
        importlib.import_module(f"{__name__}.{_module}")
