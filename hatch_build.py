"""Build hook: puts a copy of `openapi.yaml` into both packages of a wheel, where each package reads its own."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CopyContract(BuildHookInterface[Any]):
    """Adds the document to a wheel. An editable install reads the one at the root of the checkout."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """List the files to add. A path can be included only once, so the second package takes a temporary copy."""
        if version == "editable":
            return
        contract = Path(self.root, "openapi.yaml")
        self._folder = tempfile.TemporaryDirectory()
        second = shutil.copy(contract, self._folder.name)
        build_data["force_include"] |= {
            str(contract): "zof_emulator/openapi.yaml",
            second: "zof_contracts/openapi.yaml",
        }

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove the temporary copy."""
        if version != "editable":
            self._folder.cleanup()
