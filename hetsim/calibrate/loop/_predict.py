"""The same requests through hetsim: a scenario with the measured device, link and host."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hetsim.calibrate.loop._cases import Case, ModelKey
from hetsim.calibrate.loop._kernels import Kernels
from hetsim.calibrate.loop._shapes import config_of, twin_config
from hetsim.costs import Layout, Overheads, Precision, build_step_model
from hetsim.model import get_model
from hetsim.run import run_loaded
from hetsim.scenario import load_data
from hetsim.spec import data_root
from hetsim.stages import build_plan
from hetsim.transfer import LineFit

__all__ = ["Host", "Predictor", "host_of", "scenario_of"]

_BUDGET_TOKENS = 4096


class Host(NamedTuple):
    """What the interpreter adds to a step, and to each sequence of it, at a number of layers."""

    step_s: float
    sequence_s: float


def host_of(twin: Mapping[int, float], key: ModelKey, kernels: Kernels, folder: Path) -> Host:
    """Return the host's share of a step from a model of the same depth and almost no width.

    ``twin`` gives measured steps by batch. What the kernel fits say of it is taken off; the rest
    does not depend on width.
    """
    path, fmt = folder / f"twin-{key.size}.json", key.format
    path.write_text(json.dumps(dict(twin_config(config_of(key.size)))))
    steps = build_step_model(
        get_model(str(path)),
        kernels.accelerator,
        Layout(),
        Precision(weights=fmt, compute=fmt, kv=fmt),
        kernels.calibration(key),
        Overheads(),
    )
    left = {
        batch: seconds - steps.step((), batch, [32.0 * batch] * len(steps.windows)).time_s
        for batch, seconds in twin.items()
    }
    low, high = min(left), max(left)
    each = max(0.0, (left[high] - left[low]) / (high - low)) if high > low else 0.0
    return Host(max(0.0, left[low] - low * each), each)


class Predictor:
    """Predicts cases; ``folder`` takes the files that the scenarios name."""

    def __init__(
        self,
        kernels: Kernels,
        twins: Mapping[ModelKey, Mapping[int, float]],
        links: Mapping[str, LineFit],
        folder: Path,
    ) -> None:
        self.kernels = kernels
        self._folder = folder
        self._links = links
        self._hosts = {key: host_of(twin, key, kernels, folder) for key, twin in twins.items()}
        self._device = folder / "device.yaml"
        self._device.write_text(_reachable(_profile_text(kernels)))
        for through, line in links.items():
            (folder / f"{through}.yaml").write_text(_engine_text(through, line))

    def host(self, key: ModelKey) -> Host:
        """Return the host's share of a step of a model."""
        return self._hosts[key]

    def predict(self, case: Case) -> list[dict[str, Any]]:
        """Return the requests of a case as hetsim sees them, in the columns of the real ones."""
        folder = self._folder
        (folder / "model.json").write_text(json.dumps(dict(config_of(case.model.size))))
        (folder / "runtime.yaml").write_text(_runtime_text(self.host(case.model)))
        lines = [f"{ask.arrival_s},{ask.isl},{ask.osl}" for ask in case.asks]
        (folder / "trace.csv").write_text("\n".join(["arrival_s,isl,osl", *lines]) + "\n")
        loaded = load_data(scenario_of(case, self._links, folder), base_dir=folder)
        name = self.kernels.accelerator.name
        calibrations = {name: self.kernels.calibration(case.model)}
        result = run_loaded(loaded, calibrations=calibrations)
        plan = build_plan(loaded.scenario, folder, calibrations=calibrations)
        assert plan.boundary is not None
        rows: Any = result.requests.sort_values("request_id").to_dict("records")
        moved: Any = result.transfers.sort_values("request_id").to_dict("records")
        return [
            _row(ask.isl, row, transfer, plan.boundary.transfer)
            for ask, row, transfer in zip(case.asks, rows, moved, strict=True)
        ]


def _row(isl: int, row: Mapping[str, Any], transfer: Mapping[str, Any], planner: Any) -> Any:
    planned = planner.plan(isl)
    return {
        "arrival_s": row["arrival_s"],
        "isl": isl,
        "osl": row["osl_tokens"],
        "prefill_cpu_s": row["prefill_s"],
        "tpot_cpu_s": row["tpot_s"],
        "ttft_s": row["ttft_s"],
        "producer_convert_s": planned.producer_convert_s,
        "consumer_convert_s": planned.consumer_convert_s,
        "transfer_s": transfer["duration_s"] - planned.producer_convert_s,
        "bytes": transfer["bytes"],
        "first_token_s": row["first_token_s"],
        "last_token_s": row["last_token_s"],
    }


def scenario_of(case: Case, links: Mapping[str, LineFit], folder: Path) -> dict[str, Any]:
    """Return the scenario of a case: two devices of one thread, one cable, one prompt a step."""
    handoff, native = case.handoff, case.model.format
    common = {
        "accelerator": "device.yaml",
        "instances": 1,
        "parallel": {"tp": 1},
        "runtime": "runtime.yaml",
        "devices_per_node": 1,
        "max_batched_tokens": _BUDGET_TOKENS,
    }
    boundary: dict[str, Any] = {
        "transfer_engine": str(folder / f"{handoff.through}.yaml"),
        "control_latency": "0 s",
    }
    side = handoff.side(native)
    if side != "none":
        boundary |= {"wire": handoff.wire, "convert_at": _at(side)}
    rate = links[handoff.through].bytes_per_s
    return {
        "name": "closed loop",
        "model": str(folder / "model.json"),
        "workload": {"kind": "trace", "path": "trace.csv"},
        "pools": {
            "prefill": {
                **common,
                "role": "prefill",
                "max_seqs": 1,
                "precision": {"weights": native, "compute": native, "kv": native},
            },
            "decode": {
                **common,
                "role": "decode",
                "precision": {"weights": native, "compute": native, "kv": handoff.kv},
            },
        },
        "network": {
            "fabric": "direct",
            "link": f"{rate!r} byte/s",
            "efficiency": 1.0,
            "latency": "0 s",
        },
        "boundary": boundary,
        "slo": {"ttft": "60 s", "tpot": "10 s"},
    }


def _at(side: str) -> str:
    """Return where the codes on the wire are made of, or made into, the wider format."""
    return "consumer" if side == "consumer" else "producer"


def _profile_text(kernels: Kernels) -> str:
    if kernels.profile is not None:
        return kernels.profile.read_text()
    name = kernels.accelerator.name
    return (data_root("hardware_profiles") / "accelerators" / f"{name}.yaml").read_text()


def _reachable(text: str) -> str:
    """Return a profile whose memory the wire reaches: KV lies in ordinary memory here."""
    if "\nnic:" in text:
        return text
    return text.replace("\nsources:", '\nnic: {rdma_to_device: "yes"}\nsources:', 1)


def _engine_text(through: str, line: LineFit) -> str:
    source = '"timed between the two processes of the loop"'
    return "\n".join(
        [
            f'title: "{through} between two processes of one machine"',
            f"control_s: {max(0.0, line.fixed_s):.9f}",
            "post_s: 0.0",
            "descriptors_per_s: null",
            "ceiling_ratio: 1.0",
            "connect_s: 0.0",
            "grade: measured",
            f"rse: {line.median_error_ratio:.4f}",
            f"sources: {{default: {source}}}",
            "",
        ]
    )


def _runtime_text(host: Host) -> str:
    source = '"timed on a model of the same depth and almost no width"'
    return "\n".join(
        [
            "base: ideal",
            "name: closed_loop",
            'title: "The two processes of the closed loop"',
            "scheduler: vllm",
            "first_token_from: decode_on_arrival",
            f"host_step_s: {host.step_s:.9f}",
            f"host_per_sequence_s: {host.sequence_s:.9f}",
            f"max_batched_tokens: {_BUDGET_TOKENS}",
            f"prefill_chunk_tokens: {_BUDGET_TOKENS}",
            "sources:",
            f"  host_step_s: {source}",
            f"  host_per_sequence_s: {source}",
            "",
        ]
    )
