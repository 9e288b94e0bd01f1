"""The client generators that are tried: how each is called, built and run, and what it is known not to do."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[1]
PROGRAMS: Final = HERE / "programs"
PYTHON: Final = ROOT / "build" / "clients" / "venv" / "bin"
NODE: Final = HERE / "node_modules" / ".bin"
CHILD: Final = str(PYTHON / "python")
CONTRACT: Final = ROOT / "openapi.yaml"
CONTROL: Final = ROOT / "emulator" / "zof_emulator" / "control.yaml"
ANNOTATIONS: Final = Path("/usr/share/java/jakarta-annotation-api.jar")
"""The library of the annotations in generated Java."""
GO_LIBRARIES: Final = Path("/usr/share/gocode/src/gopkg.in")
"""The folder of what generated Go validates alternatives with."""

Command = tuple[str, ...]
Files = tuple[tuple[Path, str], ...]
_TSC: Final = (
    *(str(NODE / "tsc"), "--strict", "--target", "es2022", "--module", "commonjs", "--moduleResolution", "node10"),
    *("--esModuleInterop", "--lib", "es2022,dom,dom.iterable", "--types", "node", "--typeRoots"),
    *(str(HERE / "node_modules" / "@types"), "--skipLibCheck", "--outDir", "out"),
)
_CSV_IS_JSON: Final = "types the export as JSON and cannot read CSV; use the raw response"


@dataclass(frozen=True)
class Need:
    """A program or a library that the machine must have for a generator."""

    name: str
    probe: Command
    """A command that succeeds where the need is met."""
    package: str = ""
    """The package of Debian that meets the need; empty when Debian's is too old."""

    def __str__(self) -> str:
        return f"{self.name} (Debian: {self.package})" if self.package else self.name


NODE_JS: Final = Need("Node.js 20.19, 22.12 or later", ("node", "--version"))
JAVA: Final = (
    Need("javac", ("javac", "--version"), "default-jdk-headless"),
    Need(ANNOTATIONS.name, ("test", "-e", str(ANNOTATIONS)), "libjakarta-annotation-api-java"),
)
GO: Final = (
    Need("go", ("go", "version"), "golang-go"),
    Need("gopkg.in/validator.v2", ("test", "-d", str(GO_LIBRARIES / "validator.v2")), "golang-gopkg-validator.v2-dev"),
)
RUBY: Final = (
    Need("ruby", ("ruby", "--version"), "ruby"),
    Need("typhoeus", ("ruby", "-rtyphoeus", "-e", ""), "ruby-typhoeus"),
)


@dataclass(frozen=True)
class Recipe:
    """One generator, and the program that is written against its client."""

    name: str
    language: str
    needs: tuple[Need, ...]
    generate: tuple[Command, ...]
    """Commands that write the client of the document `{document}` into the working folder."""
    build: tuple[Command, ...]
    """Commands that build the client without a program."""
    build_program: tuple[Command, ...]
    """Commands that build the program with the client."""
    run: Command
    program: str
    extra: Files = ()
    """Files that are written before: path and content."""
    limits: Mapping[str, str] = field(default_factory=dict)
    """The steps that this generator cannot do, and why."""


def _openapi_generator(generator: str, folder: str, properties: str) -> Command:
    command = (str(PYTHON / "openapi-generator-cli"), "generate", "-q", "-i", "{document}", "-g", generator)
    return (*command, "-o", folder, f"--additional-properties={properties}")


def _jar() -> str:
    """The generator's own archive, which holds the JSON library that generated Java uses."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    package = PYTHON.parent / "lib" / version / "site-packages" / "openapi_generator_cli"
    return f"{package / 'openapi-generator.jar'}:{ANNOTATIONS}"


def _python(package: str) -> Command:
    """Import every module of a package."""
    code = (
        f"import importlib, pkgutil, {package} as p\n"
        "for m in pkgutil.walk_packages(getattr(p, '__path__', []), p.__name__ + '.'): importlib.import_module(m.name)"
    )
    return CHILD, "-W", "error::SyntaxWarning", "-c", code


_OVERRIDES: Final = """package_name_override: zof_opc
content_type_overrides:
  image/png: application/octet-stream
  application/x-ndjson: text/plain
"""

RECIPES: Final = (
    Recipe(
        name="openapi-generator python",
        language="Python",
        needs=(),
        generate=(_openapi_generator("python", "client", "packageName=zof_og"), ("cp", "-r", "client/zof_og", ".")),
        build=(_python("zof_og"),),
        build_program=(),
        run=(CHILD, "openapi_generator_python.py"),
        program="openapi_generator_python.py",
        limits={"export csv": _CSV_IS_JSON},
    ),
    Recipe(
        name="openapi-python-client",
        language="Python",
        needs=(),
        generate=(
            (
                *(str(PYTHON / "openapi-python-client"), "generate", "--path", "{document}", "--meta", "none"),
                *("--output-path", "zof_opc", "--overwrite", "--config", "options.yaml"),
            ),
        ),
        build=(_python("zof_opc"),),
        build_program=(),
        run=(CHILD, "openapi_python_client.py"),
        program="openapi_python_client.py",
        extra=((Path("options.yaml"), _OVERRIDES),),
        limits={"export csv": _CSV_IS_JSON},
    ),
    Recipe(
        name="datamodel-code-generator",
        language="Python",
        needs=(),
        generate=(
            (
                *(str(PYTHON / "datamodel-codegen"), "--input", "{document}", "--input-file-type", "openapi"),
                *("--output", "zof_models.py", "--output-model-type", "pydantic_v2.BaseModel"),
            ),
        ),
        build=(_python("zof_models"),),
        build_program=(),
        run=(CHILD, "datamodel_code_generator.py"),
        program="datamodel_code_generator.py",
    ),
    Recipe(
        name="openapi-generator typescript-fetch",
        language="TypeScript",
        needs=(NODE_JS,),
        generate=(_openapi_generator("typescript-fetch", "zof", "supportsES6=true"),),
        build=((*_TSC, "zof/index.ts"),),
        build_program=((*_TSC, "typescript_fetch.ts"),),
        run=("node", "out/typescript_fetch.js"),
        program="typescript_fetch.ts",
        limits={"export csv": _CSV_IS_JSON},
    ),
    Recipe(
        name="openapi-typescript + openapi-fetch",
        language="TypeScript",
        needs=(NODE_JS,),
        generate=((str(NODE / "openapi-typescript"), "{document}", "-o", "zof.d.ts"),),
        build=((*_TSC, "--noEmit", "zof.d.ts"),),
        build_program=((*_TSC, "openapi_typescript.ts"),),
        run=("node", "out/openapi_typescript.js"),
        program="openapi_typescript.ts",
    ),
    Recipe(
        name="@hey-api/openapi-ts",
        language="TypeScript",
        needs=(NODE_JS,),
        generate=((str(NODE / "openapi-ts"), "-i", "{document}", "-o", "zof", "-c", "@hey-api/client-fetch"),),
        build=((*_TSC, "zof/index.ts"),),
        build_program=((*_TSC, "hey_api.ts"),),
        run=("node", "out/hey_api.js"),
        program="hey_api.ts",
    ),
    Recipe(
        name="openapi-generator java (native)",
        language="Java",
        needs=JAVA,
        generate=(
            _openapi_generator(
                "java",
                "client",
                "library=native,openApiNullable=false,useJakartaEe=true,hideGenerationTimestamp=true,"
                "invokerPackage=zof,apiPackage=zof.api,modelPackage=zof.model",
            ),
        ),
        build=(("sh", "-c", f"javac -nowarn -d out -cp {shlex.quote(_jar())} $(find client/src/main -name '*.java')"),),
        build_program=(("javac", "-d", "out", "-cp", f"{_jar()}:out", "Story.java"),),
        run=("java", "-cp", f"{_jar()}:out", "Story"),
        program="Story.java",
        limits={"export csv": _CSV_IS_JSON},
    ),
    Recipe(
        name="openapi-generator go",
        language="Go",
        needs=GO,
        generate=(
            _openapi_generator("go", "client", "packageName=client,withGoMod=false"),
            ("rm", "-r", "client/test"),
            ("cp", "-r", str(GO_LIBRARIES), "vendor/"),
        ),
        build=(("go", "vet", "./client"),),
        build_program=(("go", "build", "-o", "story", "."),),
        run=("./story",),
        program="main.go",
        extra=(
            (Path("go.mod"), "module zof\n\ngo 1.19\n\nrequire gopkg.in/validator.v2 v2.0.0\n"),
            (Path("vendor/modules.txt"), "# gopkg.in/validator.v2 v2.0.0\n## explicit\ngopkg.in/validator.v2\n"),
        ),
        limits={"export csv": _CSV_IS_JSON},
    ),
    Recipe(
        name="openapi-generator ruby",
        language="Ruby",
        needs=RUBY,
        generate=(_openapi_generator("ruby", "client", "gemName=zof,moduleName=Zof"),),
        build=(("ruby", "-Iclient/lib", "-e", "require 'zof'"),),
        build_program=(("ruby", "-wc", "openapi_generator_ruby.rb"),),
        run=("ruby", "-Iclient/lib", "openapi_generator_ruby.rb"),
        program="openapi_generator_ruby.rb",
        limits={"export csv": _CSV_IS_JSON},
    ),
)
