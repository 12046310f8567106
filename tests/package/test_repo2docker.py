"""What Binder would do with the repository, from repo2docker itself: it writes a Dockerfile, and nothing is built."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_repo2docker_takes_the_files_of_binder_in_an_order_that_caches_the_environment():
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", str(ROOT)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0, said
    assert "Building conda environment for python=3.11" in said
    steps = [line for line in said.splitlines() if "environment.yml" in line or "postBuild" in line or " src/" in line]
    alone = next(i for i, line in enumerate(steps) if line.startswith("COPY") and "src/binder/environment.yml" in line)
    update = next(
        i for i, line in enumerate(steps) if "env update" in line and '--file "binder/environment.yml"' in line
    )
    everything = next(i for i, line in enumerate(steps) if line.startswith("COPY") and " src/ " in line)
    install = steps.index("RUN ./binder/postBuild")
    assert alone < update < everything < install  # so a commit that leaves environment.yml alone finds torch installed
    assert not [line for line in steps if "src/environment.yml" in line or '--file "environment.yml"' in line]
