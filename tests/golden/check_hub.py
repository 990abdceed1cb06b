"""Checks that clipc and Python's huggingface_hub share one cache, both ways, against the server of
tests/hub: what clipc pulled is there for snapshot_download and hf_hub_download without a network,
for open_clip, and is not fetched again with one; what Python downloaded is there for clipc.

usage: python3 tests/golden/check_hub.py      (./clipc built; huggingface_hub, open_clip_torch)
"""
import json
import os
import subprocess
import sys
import tempfile
import time

MODEL = "tests/golden/models/e2e"
NAME = "org/name"
NEEDED = ["open_clip_config.json", "open_clip_model.safetensors"]


def python(home, endpoint, code, **env):
    """Runs code in a Python of its own: huggingface_hub reads the environment once."""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                         env=dict(os.environ, HF_HOME=home, HF_ENDPOINT=endpoint, HF_HUB_DISABLE_XET="1", **env))
    assert out.returncode == 0, out.stderr[-2000:]
    return out.stdout.strip().split("\n")[-1]


def clipc(home, endpoint, *args):
    out = subprocess.run(["./clipc", *args], capture_output=True, text=True,
                         env=dict(os.environ, HF_HOME=home, HF_ENDPOINT=endpoint))
    assert out.returncode == 0, out.stderr
    return out.stdout


def tree(home):
    """Files and links below a cache, without what only one side writes."""
    out = {}
    for base, _, names in os.walk(os.path.join(home, "hub", "models--org--name")):
        for name in names:
            path = os.path.join(base, name)
            key = os.path.relpath(path, home)
            if not key.split("/")[2].startswith(("trees", ".no_exist")):
                out[key] = os.readlink(path) if os.path.islink(path) else open(path, "rb").read()
    return out


def fetched(state):
    with open(os.path.join(state, "log")) as log:
        return sum(" GET " in line and ("/cache/" in line or line.startswith("cdn")) for line in log)


def main():
    import huggingface_hub
    import open_clip

    state = tempfile.mkdtemp()
    server = subprocess.Popen([sys.executable, "tests/hub/server.py", MODEL, state], stderr=subprocess.DEVNULL)
    try:
        while not os.path.exists(os.path.join(state, "ports")):
            time.sleep(0.05)
        hub = "http://127.0.0.1:%s/ok" % open(os.path.join(state, "ports")).read().split()[0]
        a, b = os.path.join(state, "a"), os.path.join(state, "b")

        pulled = clipc(a, hub, "pull", NAME).strip()
        snapshot = "from huggingface_hub import snapshot_download as d; print(d('%s', %s))"
        assert python(a, hub, snapshot % (NAME, "local_files_only=True")) == pulled
        assert python(a, hub, snapshot % (NAME, ""), HF_HUB_OFFLINE="1") == pulled
        print("snapshot_download without a network finds what clipc pulled")
        one = "from huggingface_hub import hf_hub_download as d; print(d('%s', '%s'))"
        before = fetched(state)
        for file in NEEDED:
            assert python(a, hub, one % (NAME, file)) == os.path.join(pulled, file)
        assert fetched(state) == before
        print("hf_hub_download with a network fetches none of it again")
        load = ("import open_clip; m = open_clip.create_model('hf-hub:%s'); "
                "print(sum(p.numel() for p in m.parameters()))")
        params = int(python(a, hub, load % NAME, HF_HUB_OFFLINE="1"))
        assert params == json.loads(clipc(a, hub, "info", NAME, "--json"))["params"], params
        print("open_clip loads it: %d parameters" % params)
        scan = ("from huggingface_hub import scan_cache_dir as s; c = s(); assert not c.warnings, c.warnings; "
                "r, = c.repos; print(r.repo_id, r.nb_files, r.size_on_disk, *[sorted(v.refs) for v in r.revisions])")
        found = python(a, hub, scan)
        assert found == "org/name 2 2206121 ['main']", found
        print("scan_cache_dir: %s" % found)

        python(b, hub, snapshot % (NAME, "allow_patterns=%r" % NEEDED))
        before = fetched(state)
        assert clipc(b, hub, "pull", NAME).strip() == pulled.replace(a, b)
        assert fetched(state) == before and "org/name" in clipc(b, hub, "models")
        assert clipc(b, hub, "embed", "-m", NAME, "-T", "a dog") == clipc(a, hub, "embed", "-m", NAME, "-T", "a dog")
        assert tree(a) == tree(b), (tree(a).keys(), tree(b).keys())
        print("clipc finds what snapshot_download fetched, and fetches none of it again; the caches are the same")
        print("huggingface_hub %s, open_clip %s" % (huggingface_hub.__version__, open_clip.__version__))
    finally:
        server.kill()


main()
