#!/bin/sh
# Installs tests/clients/requirements.txt into build/clients/venv, unless it is there. Runs in the root of the repository.
set -eu
requirements=tests/clients/requirements.txt
venv=build/clients/venv
cmp -s $requirements $venv/requirements.txt && exit
echo "zof-emulator: installing $requirements into $venv" >&2
.venv/bin/python -m venv --clear $venv
$venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes \
    -r $requirements 2>&1 | grep -v 'is ignored: it is neither' >&2 || true
$venv/bin/python -c 'import httpx, openapi_generator_cli, openapi_python_client, pact' # the status of pip is lost above
cp $requirements $venv/requirements.txt
