"""Decode slots of published disaggregated recipes: most requests in one step of a decode rank.

Those who wrote the recipes matched rates: a decode worker has room for so many requests and the
client keeps 5 to 30 % more under way (up to twice as many at one slot a worker), so that a part of
the users always waits for a slot. That is most of what such rows show as time to the first token.

*Source:* SemiAnalysisAI/InferenceX, .github/configs/nvidia-master.yaml at 0004cf5 (2026-03), whose
recipe names carry workers, layout and slots, without speculative decoding; the rows of Dynamo
0.5.1 from the same file of 2025-11 (``DECODE_MAX_BATCH_SIZE``).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from hetsim.hardware import Accelerator
from hetsim.validate._loads import Load

__all__ = ["decode_slots"]

_RECIPES = """
b200 nvfp4 1024 1024 1dep8 512@4096 2dep8 128@2192 5dep8 32@1365 5tp8 1@6 32@10,15,25,45,90,180
b200 nvfp4 1024 1024 6tp8 64@450
b200 nvfp4 8192 1024 5tp8 1@6 16@10,15,25,50,100 64@370 1dep8 192@1606 3dep8 32@837
b200 nvfp4 8192 1024 2dep8 128@2222
b200 fp8 1024 1024 3tp8 1024@4,32,128 5dep8 48@1920 128@5152 1dep8 512@4096
b200 fp8 8192 1024 1tp8 1@1 4tp8 32@32,128 6tp8 16@96 1dep8 128@128 256@256 640@640 2dep8 64@128
b300 nvfp4 1024 1024 2dep8 64@1176 256@4611 4tp8 1@6 5tp4 4@5,10,15,25 5tp8 64@60,110,195,395
b300 nvfp4 1024 1024 1dep8 512@4405 1024@8192
b300 nvfp4 8192 1024 3tp4 32@105 3tp8 16@63 1@4 4tp4 2@12 2dep8 32@589 1dep8 128@1093 256@2048
b300 fp8 1024 1024 1dep8 256@2112 1024@16384 2dep8 128@3072 3dep8 48@1280 8tp8 64@12,128,384
b300 fp8 8192 1024 4tp8 16@64 8tp8 2@16 1dep8 32@256 64@512 128@1075 384@3072 5tp8 64@256
h200 fp8 1024 1024 9tp8 1@1 256@36,72,144,288,576 9dep8 512@1152 6dep8 512@1536 7dep8 512@3584
h200 fp8 8192 1024 7tp8 1@1 32@28 6tp8 16@48 3tp8 32@48 5tp8 128@160 3dep8 128@192 256@768
h200 fp8 8192 1024 1dep8 256@128 512@512
h100 fp8 1024 1024 3tp16 1@6 2@9 8@30 16@60 3dep16 4@231 8@462 16@924 32@1845 1dep16 256@4916
h100 fp8 8192 1024 3tp16 1@6 2@9 8@30 2tp16 64@154 1dep16 16@308
gb200 nvfp4 1024 1024 1dep8 512@4301 1dep32 16@666 64@2253 2dep4 768@6144
gb200 nvfp4 1024 1024 4tp8 1@5 32@12,24,48,96,192 128@4,8,16,32,64,128,256,564 1dep16 256@4301
gb200 nvfp4 1024 8192 7tp8 1@5,7 15tp4 4@60 8@135 1dep32 16@563 64@2048 128@4096 256@8192
gb200 nvfp4 8192 1024 4tp8 1@5 16@12,44,76 3tp8 32@3,6,12,24,48,102 1dep32 8@333 32@1229
gb200 nvfp4 8192 1024 1dep16 128@2253 256@4096
gb200 fp8 1024 1024 1dep8 768@6144 512@4301 1dep16 128@2151 1dep32 32@1127 8@256 3tp8 8@27 1@3
gb200 fp8 1024 8192 2dep16 256@8192 1dep32 64@2048 16@564 4tp8 8@36 1@4
gb200 fp8 8192 1024 1dep16 64@1229 32@615 1dep32 16@666 8@333 3tp8 16@63 4@18 1@6
gb300 nvfp4 1024 1024 4tp8 1@5 32@12,48,96,192 1dep8 1024@8192 1dep32 32@1229 64@2253
gb300 nvfp4 1024 1024 1dep16 256@4301
gb300 nvfp4 1024 8192 7tp8 1@7 32@245 15tp4 4@60 1dep32 32@1024 128@4096 256@8192
gb300 nvfp4 8192 1024 3tp8 16@72 4tp8 1@5 2@12 5tp4 4@5,15,30 1dep32 16@666
gb300 nvfp4 8192 1024 1dep16 64@1229 128@2253 3dep4 256@3228
gb300 fp8 1024 1024 4tp8 1@4 4@24 16@84 1dep32 32@1229 1dep16 128@2253 2dep8 512@8602 768@12288
gb300 fp8 1024 8192 4tp8 1@4 8@36 1dep32 8@282 32@1024 2dep16 128@4096 256@8192
gb300 fp8 8192 1024 4tp8 1@4 4@24 8@36 1dep16 32@666 64@1229 1dep32 16@512 1dep8 256@2151
"""
"""Device, weights, input and output length; then decode workers and their layout (``dep``:
attention data parallel), and slots of a rank at the numbers of users."""

Key = tuple[str, str, int, int, str, int]


@lru_cache(maxsize=1)
def _table() -> dict[Key, int]:
    found: dict[Key, int] = {}
    for line in _RECIPES.strip().splitlines():
        device, weights, isl, osl, *words = line.split()
        layout = ""
        for word in words:
            if "@" not in word:
                layout = word
                continue
            slots, users = word.split("@")
            for count in users.split(","):
                found[device, weights, int(isl), int(osl), layout, int(count)] = int(slots)
    return found


def decode_slots(
    accelerator: Accelerator, weights: str, load: Load, workers: int, parallel: Mapping[str, int]
) -> int | None:
    """Return the slots of a decode rank; None where no recipe is known.

    >>> from hetsim.hardware import get_accelerator
    >>> load = Load("closed", {}, 63, 630, 10.0, 8192, 1024)
    >>> decode_slots(get_accelerator("GB200"), "fp8_block", load, 3, {"tp": 8, "dp": 1})
    16
    """
    tp, dp = parallel["tp"], parallel["dp"]
    cut = f"dep{tp * dp}" if dp > 1 else f"tp{tp}"
    device, weights = accelerator.name.split("-")[0], weights.split("_")[0]
    return _table().get((device, weights, load.isl, load.osl, f"{workers}{cut}", load.users))
