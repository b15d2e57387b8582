"""Run the suite with the oldest versions that pyproject.toml allows, and with the newest on each later Python.

    python tests/reliability/versions.py [oldest 3.12 3.13] [--folder FOLDER] [--cases N] [-- PYTEST ARGUMENTS]

For each a new environment: the package is built from the tracked files of the tree, installed with its test
requirements, and the suite runs against that installation. Oldest is Python 3.11 with every lower bound of the
dependencies and of the extras that the tests need, as it stands in pyproject.toml. An interpreter is looked for beside
the installation of this one and as ``python3.12``; without names, what this machine does not have is left out, and
said. A folder that is given is used again. `--cases 3` runs three cases of each test function.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from fewer_cases import fewer

TREE = Path(__file__).resolve().parents[2]
PYTHONS = {"oldest": "3.11", "3.12": "3.12", "3.13": "3.13"}
EXTRAS = ("test", "pandas", "xgboost", "plot")  # the first asks for the others
SHOWN = ("numpy", "scipy", "scikit-learn", "joblib", "pandas", "pytest")


def find_python(version):
    """Return the path of an interpreter of a version such as "3.12", None where there is none."""
    names = sorted(map(str, Path(sys.base_prefix).parent.glob(f"*{version}.*/bin/python{version}")), reverse=True)
    names += [shutil.which(f"python{version}")]
    for name in filter(None, names):
        # What stands under the name may be a launcher that has no such version.
        command = [name, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        if found.stdout.strip() == version:
            return name
    return None


def lower_bounds(project):
    """Return ``name==version`` for each requirement with a lower bound."""
    requirements = [*project["dependencies"]]
    for extra in EXTRAS:
        requirements += project["optional-dependencies"][extra]
    found = (re.match(r"([A-Za-z0-9_-]+)(?:\[[^]]*\])?>=([0-9.]+)", requirement) for requirement in requirements)
    return sorted({f"{match[1]}=={match[2]}" for match in found if match})


def copy_tree(folder):
    """Copy the tracked files, so that nothing is taken from an earlier build."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=TREE, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (TREE / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TREE / name, folder / name)


def prepare(name, folder):
    """Make the environment, build and install; return its interpreter."""
    python, source = folder / "venv" / "bin" / "python", folder / "tree"
    project = tomllib.loads((TREE / "pyproject.toml").read_text())
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    if not python.exists():
        subprocess.run([find_python(PYTHONS[name]), "-m", "venv", folder / "venv"], check=True)
        subprocess.run([*pip, "install", *project["build-system"]["requires"]], check=True)
    copy_tree(source)
    shutil.rmtree(folder / "wheel", ignore_errors=True)
    wheel = ["wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", folder / "wheel", source]
    subprocess.run([*pip, *wheel], check=True)
    bounds = folder / "bounds.txt"
    bounds.write_text("\n".join(lower_bounds(project["project"])) if name == "oldest" else "")
    (built,) = (folder / "wheel").glob("sklstm-*.whl")
    subprocess.run([*pip, "install", "--force-reinstall", "--no-deps", built], check=True)
    newest = ["--upgrade", "--upgrade-strategy", "eager"] if name != "oldest" else []
    subprocess.run([*pip, "install", *newest, "--constraint", bounds, f"{built}[test]"], check=True)
    return python


def run(name, folder, cases, arguments):
    """Run the suite; return its last line, and whether it was green."""
    python = prepare(name, folder)
    listed = subprocess.run([python, "-m", "pip", "freeze"], capture_output=True, text=True, check=True).stdout
    versions = [line.replace("==", " ") for line in listed.splitlines() if line.partition("==")[0].lower() in SHOWN]
    title = subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"{name}: {title}, {', '.join(versions)}", flush=True)
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    plugin, environment = fewer(cases, {**inherited, "PYTHONSAFEPATH": "1"})
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin, *(arguments or ["-n", "2", "tests"])]
    with subprocess.Popen(command, cwd=folder / "tree", env=environment, stdout=subprocess.PIPE, text=True) as done:
        lines = []
        for line in done.stdout:
            lines.append(line.rstrip())
            if re.match(r"(FAILED|ERROR|E  )", line):
                print(f"  {line.rstrip()}", flush=True)
    return lines[-1] if lines else "no output", done.returncode == 0


def main():
    """Run the chosen versions one after the other, and print the counts of each."""
    given = sys.argv[1:]
    end = given.index("--") if "--" in given else len(given)
    arguments = given[end + 1 :]
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PYTHONS))
    parser.add_argument("--folder", type=Path, help="where environments stay (default: one that is removed again)")
    parser.add_argument("--cases", type=int, help="most cases of each test function (default: all)")
    options = parser.parse_args(given[:end])
    if unknown := set(options.names) - set(PYTHONS):
        parser.error(f"{', '.join(sorted(unknown))}: not among {', '.join(PYTHONS)}")
    green = True
    with tempfile.TemporaryDirectory() as temporary:
        for name in options.names or PYTHONS:
            if find_python(PYTHONS[name]) is None:
                print(f"{name}: not run, no Python {PYTHONS[name]} was found", flush=True)
                green = green and not options.names
                continue
            folder = (options.folder or Path(temporary)).resolve() / name
            folder.mkdir(parents=True, exist_ok=True)
            begin = time.perf_counter()
            counts, passed = run(name, folder, options.cases, arguments)
            print(f"{name}: {counts.strip('= ')} ({time.perf_counter() - begin:.0f} s with the build)", flush=True)
            green = green and passed
    raise SystemExit(not green)


if __name__ == "__main__":
    main()
