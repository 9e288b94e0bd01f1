#!/bin/sh
# Installs what scripts/clients and scripts/workflows use, unless it is there: tests/clients/requirements.txt into
# build/clients/venv, and tests/clients/package-lock.json into tests/clients/node_modules. Runs in the root of the repository.
set -eu
clients=tests/clients
venv=build/clients/venv
if ! cmp -s $clients/requirements.txt $venv/requirements.txt; then
    echo "zof-emulator: installing $clients/requirements.txt into $venv" >&2
    .venv/bin/python -m venv --clear $venv
    $venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes \
        -r $clients/requirements.txt 2>&1 | grep -v 'is ignored: it is neither' >&2 || true
    $venv/bin/python -c 'import httpx, openapi_generator_cli, openapi_python_client, pact' # the pipe hides pip's status
    cp $clients/requirements.txt $venv/requirements.txt
fi
if command -v npm >/dev/null && ! cmp -s $clients/package-lock.json $clients/node_modules/installed.json; then
    echo "zof-emulator: installing $clients/package-lock.json" >&2
    (cd $clients && npm ci --silent --no-progress --engine-strict=false) >&2
    cp $clients/package-lock.json $clients/node_modules/installed.json
fi
