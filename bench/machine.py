"""What machine this is, and what was measured on its kind before."""
import os
import re
import resource
import subprocess
import time

FLAGS = "avx2 fma avx_vnni avx512f avx512_vnni avx512_bf16 amx_tile amx_bf16 amx_int8".split()

# Medians on quiet machines of two cores, which a run must come near: the peak of one core in
# GFLOP/s (float32), and OpenVINO 2026.4.1's milliseconds.
KNOWN_PEAKS = {"Zen 3": 99, "Zen 4": 116, "Zen 5": 267}
KNOWN_TIMES = {"Zen 4": {
    "vit-b32-b1-t1": 96.4, "vit-b32-b1-t2": 52.6, "vit-b32-b32-t1": 2718, "vit-b32-b32-t2": 1414,
    "vit-b16-b1-t1": 339, "vit-b16-b1-t2": 190,
    "rn50-b1-t1": 110.8, "rn50-b1-t2": 60.5, "text-b1-t1": 61.6,
    "bf16-b1-t1": 46.8, "bf16-b1-t2": 25.7,
    "int8-b1-t1": 27.2, "int8-b1-t2": 15.9, "int8-b32-t2": 399}, "Zen 5": {
    "vit-b32-b1-t1": 48.8, "vit-b32-b1-t2": 29.0, "vit-b32-b32-t1": 1313, "vit-b32-b32-t2": 666,
    "rn50-b1-t1": 51.6, "rn50-b1-t2": 28.7, "text-b1-t1": 30.5,
    "bf16-b1-t1": 25.9, "bf16-b1-t2": 15.6, "bf16-b32-t1": 644, "bf16-b32-t2": 331,
    "int8-b1-t1": 15.9, "int8-b1-t2": 9.2, "int8-b32-t1": 384, "int8-b32-t2": 197}}
PEAK_OFF, PEER_SLOWER = 0.05, 1.15
OTHERS = 0.1  # cores that others may have used in the meantime


def cpuinfo():
    with open("/proc/cpuinfo") as f:
        first = f.read().split("\n\n")[0]
    return dict(re.split(r"\s*:\s*", line, maxsplit=1) for line in first.split("\n") if ":" in line)


def kind_of(cpu):
    """AMD's cores by name, others as they call themselves: hypervisors hide models' names."""
    cores = {("25", False): "Zen 3", ("25", True): "Zen 4", ("26", True): "Zen 5"}
    if cpu["vendor_id"] != "AuthenticAMD":
        return cpu["model name"]
    wide = "avx512f" in cpu["flags"].split()
    return cores.get((cpu["cpu family"], wide), f"AMD family {cpu['cpu family']}")


def describe():
    cpu = cpuinfo()
    return {"kind": kind_of(cpu), "name": cpu["model name"], "cores": len(os.sched_getaffinity(0)),
            "family": cpu["cpu family"], "model": cpu["model"], "cache": cpu.get("cache size"),
            "flags": [f for f in FLAGS if f in cpu["flags"].split()]}


def peak():
    """GFLOP/s of one core's multiply-adds in float32, just now."""
    env = {k: v for k, v in os.environ.items() if k != "CLIPC_ISA"}
    out = subprocess.check_output(["build/release-gcc/bench_speed"], text=True, env=env)
    return float(re.search(r"FMA peak (\d+)", out).group(1))


def clocks():
    """Seconds now; that all cores were busy; that this process and its children had."""
    with open("/proc/stat") as f:
        user, nice, system, _, _, irq, softirq, steal = map(int, f.readline().split()[1:9])
    busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return time.monotonic(), busy, sum(u.ru_utime + u.ru_stime for u in used)


def others(begin, end):
    """Cores that something else used between two readings of clocks()."""
    wall, busy, own = (b - a for a, b in zip(begin, end))
    return max(0.0, busy - own) / wall


def void(kind, row, peaks, best_peak, peer_ms, others):
    """Why a row does not count: the machine was not itself.  best_peak: of this run, where none
    is known; peer_ms: OpenVINO's median, or None."""
    if others > OTHERS:
        return f"something else used {others:.1f} cores"
    want = KNOWN_PEAKS.get(kind, best_peak)
    off = [p for p in peaks if abs(p / want - 1) > PEAK_OFF]
    if off:
        return f"FMA peak {off[0]:.0f} GFLOP/s, wanted {want:.0f} within {100 * PEAK_OFF:.0f} %"
    known = KNOWN_TIMES.get(kind, {}).get(row)
    if known and peer_ms and peer_ms > PEER_SLOWER * known:
        return f"OpenVINO took {peer_ms:.1f} ms, {known} ms on a quiet machine"
    return None
