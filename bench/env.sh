# The bench's own Python: $env, made under build/ where it is not there.  Sourced.
env=build/bench-env
if [ ! -x $env/bin/python ]; then
    python3 -m venv $env
    while read -r package; do
        $env/bin/pip install -q -c bench/requirements.txt "$package" </dev/null ||
            echo "bench: $package could not be installed: it will be missing" >&2
    done <bench/requirements.txt
fi
