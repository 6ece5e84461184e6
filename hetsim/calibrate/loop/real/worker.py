"""One vLLM engine with the NIXL connector: orders and answers are lines of JSON.

Run as a script by an interpreter that has vLLM; hetsim itself is not imported. Standard output
carries answers only, whatever the engine prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any, TextIO


def _settle(spec: dict[str, Any]) -> None:
    """Set what the engine reads from its environment: one core, in this process, no network."""
    os.environ.update(
        {
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "VLLM_NIXL_SIDE_CHANNEL_HOST": "127.0.0.1",
            "VLLM_NIXL_SIDE_CHANNEL_PORT": str(spec["port"]),
            "VLLM_CPU_OMP_THREADS_BIND": str(spec["core"]),
            "HF_HUB_OFFLINE": "1",
        }
    )


def _engine(spec: dict[str, Any]) -> Any:
    """Return an engine with random weights."""
    from vllm import LLM  # type: ignore[import-not-found, unused-ignore]
    from vllm.config import KVTransferConfig  # type: ignore[import-not-found, unused-ignore]

    more: dict[str, Any] = {}
    if spec["connector"]:
        more["kv_transfer_config"] = KVTransferConfig(
            kv_connector="NixlConnector",
            kv_role="kv_both",
            kv_buffer_device="cpu",
            kv_connector_extra_config={"kv_lease_duration": spec["lease_s"]},
        )
    return LLM(
        model=spec["model"],
        load_format="dummy",
        skip_tokenizer_init=True,
        max_model_len=2304,
        enforce_eager=True,
        dtype=spec["dtype"],
        enable_prefix_caching=False,
        max_num_seqs=8,
        block_size=spec["block_tokens"],
        **more,
    )


def _run(engine: Any, order: dict[str, Any]) -> dict[str, Any]:
    """Serve one request step by step and say when its tokens came."""
    from vllm import SamplingParams, TokensPrompt  # type: ignore[import-not-found, unused-ignore]

    extra = {"kv_transfer_params": order["handoff"]} if order.get("handoff") else None
    sampling = SamplingParams(
        max_tokens=order["tokens"],
        temperature=0.0,
        detokenize=False,
        ignore_eos=True,
        extra_args=extra,
    )
    began_s, stamps, last = time.perf_counter(), [], None
    engine.add_request(order["id"], TokensPrompt(prompt_token_ids=order["prompt"]), sampling)
    while engine.has_unfinished_requests():
        if time.perf_counter() - began_s > order["limit_s"]:
            engine.abort_request([order["id"]])
            return {"ok": False, "why": "no end within the limit"}
        for made in engine.step():
            last = made
            stamps.append(time.perf_counter() - began_s)
    if last is None:
        return {"ok": False, "why": "ended without an output"}
    found = last.outputs[0]
    return {
        "ok": True,
        "first_s": stamps[0],
        "stamps_s": stamps,
        "output": list(found.token_ids),
        "finish": found.finish_reason,
        "handoff": getattr(last, "kv_transfer_params", None),
    }


def _serve(llm: Any, answers: TextIO) -> None:
    engine = llm.llm_engine
    pool = engine.engine_core.engine_core.scheduler.kv_cache_manager.block_pool
    _say(answers, {"ok": True, "free": pool.get_num_free_blocks()})
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "stop":
            return
        try:
            answer = _run(engine, order) if order["do"] == "run" else {"ok": True}
        except Exception as error:  # told to the parent, which records it
            answer = {"ok": False, "why": f"{type(error).__name__}: {error}"[:400]}
        _say(answers, {**answer, "free": pool.get_num_free_blocks()})


def _say(answers: TextIO, row: dict[str, Any]) -> None:
    answers.write(json.dumps(row) + "\n")
    answers.flush()


def main() -> None:
    """Serve until told to stop or until the parent has gone."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    spec = json.loads(sys.argv[1])
    _settle(spec)
    try:
        import vllm  # type: ignore[import-not-found, unused-ignore]

        _say(answers, {"ok": True, "version": vllm.__version__})
        _serve(_engine(spec), answers)
    except Exception as error:
        _say(answers, {"ok": False, "why": f"{type(error).__name__}: {error}"[:400]})
    os._exit(0)  # transfer threads of the engine would keep the process alive


if __name__ == "__main__":
    main()
