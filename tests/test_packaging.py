"""The repository as a whole: its files, its dependencies, and what happens where one of them is missing."""

import ast
import fnmatch
import importlib
import importlib.metadata
import importlib.util
import inspect
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement

import kldanneal

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it there

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SOURCES = sorted((ROOT / "kldanneal").rglob("*.py"))


# ------------------------------------------------------------------------------------------------------------- files


def repository_files():
    """The files of the repository, by git where it is there, else by a walk that leaves out what .gitignore names."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        listed = []
    files = [ROOT / name for name in listed if name and (ROOT / name).is_file()]
    if files:
        return files
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    ignored = [".git", *(line.strip("/") for line in lines if line.strip())]
    files = [path for path in ROOT.rglob("*") if path.is_file()]
    parts = {path: path.relative_to(ROOT).parts for path in files}
    return [path for path in files if not any(fnmatch.fnmatch(part, name) for part in parts[path] for name in ignored)]


def test_the_top_level_is_exactly_this():
    expected = """notebooks kldanneal environment.yml tests README.md binder
        pyproject.toml LICENSE CHANGELOG.md CITATION.cff Makefile .gitignore .github .ci"""
    assert sorted({path.relative_to(ROOT).parts[0] for path in repository_files()}) == sorted(expected.split())


def test_no_file_names_a_registry_or_a_machine():
    # written in halves, so that this file may be searched too
    addresses = ["pypi" + ".org", "download.pytorch" + ".org", "files.python" + "hosted", "/wo" + "rk/", "/ro" + "ot/"]
    found, read = [], 0
    for path in repository_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:  # a picture
            continue
        read += 1
        found += [f"{path.relative_to(ROOT)}: {address}" for address in addresses if address in text]
    assert found == []
    assert read > len(SOURCES)


def test_readme_is_short_and_its_links_lead_somewhere():
    for name in ("README.md", ".github/CONTRIBUTING.md", "tests/benchmarks/README.md", "notebooks/RESULTS.md"):
        page = (ROOT / name).read_text(encoding="utf-8")
        links = [link for link in re.findall(r"\]\(([^)\s]+)\)", page) if not link.startswith("http")]
        assert [link for link in links if not ((ROOT / name).parent / link).exists()] == []
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 130


def test_contributing_says_of_every_target_what_it_does():
    targets = re.findall(r"^#: make ([\w-]+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    page = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `make ([\w-]+)", page, re.MULTILINE) == targets


# ----------------------------------------------------------------------------------------- the repository's address

ADDRESS = PROJECT["project"]["urls"]["Repository"]


def named_repositories(folder):
    """The repository that each badge, citation and set-up cell names, by file."""
    files = [
        "README.md",
        "CITATION.cff",
        *(path.relative_to(folder) for path in (folder / "notebooks").glob("*.ipynb")),
    ]
    files += [f"notebooks/coursework/{step}/annealing/annealing.ipynb" for step in ("source", "release")]
    before = r"(?:colab\.research\.google\.com/github/|mybinder\.org/v2/gh/|git\+https://github\.com/|code: \S+\.com/)"
    name = re.compile(rf"{before}([\w-]+/(?:[\w-]|\.(?!git\b)(?=\w))+)")
    return {str(file): set(name.findall((folder / file).read_text(encoding="utf-8"))) for file in files}


def test_every_file_names_the_repository_of_pyproject():
    named = named_repositories(ROOT)
    assert len(named) >= 9 and all(found == {ADDRESS.removeprefix("https://github.com/")} for found in named.values())


@pytest.mark.skipif(not shutil.which("make") or os.name == "nt", reason="there is no make")
def test_make_address(tmp_path):
    for name in ("Makefile", "pyproject.toml", "README.md", "CITATION.cff"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(
        ROOT / "notebooks", tmp_path / "notebooks", ignore=shutil.ignore_patterns("submitted", "autograded")
    )

    def address(new):
        return subprocess.run(["make", "address", f"REPOSITORY={new}"], cwd=tmp_path, capture_output=True, text=True)

    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for wrong in ("", "me/kldanneal", "https://gitlab.com/me/kldanneal", "https://github.com/me/kldanneal/tree/main"):
        assert address(wrong).returncode == 2
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert address("https://github.com/some-fork/kld.anneal").returncode == 0
    assert all(found == {"some-fork/kld.anneal"} for found in named_repositories(tmp_path).values())
    assert "(https://some-fork.github.io/kld.anneal/)" in (tmp_path / "README.md").read_text(encoding="utf-8")
    assert 'Repository = "https://github.com/some-fork/kld.anneal" #' in (tmp_path / "pyproject.toml").read_text()
    assert address(ADDRESS).returncode == 0
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


# --------------------------------------------------------------------------------------------------------- metadata


def extra(name):
    """The requirements of an extra, by the name of the package; an extra that names another holds that one's too."""
    requirements = {}
    for requirement in map(Requirement, PROJECT["project"]["optional-dependencies"][name]):
        if requirement.name == "kldanneal":
            for other in requirement.extras:
                requirements |= extra(other)
        else:
            requirements[requirement.name] = requirement
    return requirements


def test_the_library_depends_on_torch_alone_with_a_lower_bound_and_no_pin():
    (torch_requirement,) = map(Requirement, PROJECT["project"]["dependencies"])
    assert torch_requirement.name == "torch"
    assert [specifier.operator for specifier in torch_requirement.specifier] == [">="]  # a pin would replace Colab's
    assert torch_requirement.specifier.contains(torch.__version__, prereleases=True)


def test_extras_hold_what_they_are_for_and_none_of_them_pins_torch():
    assert {"jupyterlab", "ipywidgets", "matplotlib", "torchtext", "tqdm"} <= extra("notebooks").keys()
    assert {"pytest", "hypothesis", "nbval", "ruff"} | extra("notebooks").keys() <= extra("test").keys()
    assert extra("lightning").keys() | extra("transformers").keys() | extra("types").keys() <= extra("test").keys()
    assert "torch" not in extra("test")


def test_students_get_no_tools_of_teachers_and_tests():
    more = {"nbgrader", "pytest", "nbval", "hypothesis", "ruff", "lightning", "pytorch-lightning", "transformers"}
    assert not more & extra("notebooks").keys()
    assert "nbgrader" in extra("coursework") and more <= extra("test").keys()  # or tests of the coursework would skip
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^lab: \$\(LAB\)$", makefile, re.MULTILINE)
    assert re.search(r'^\$\(LAB\): .*\n(?:\t.*\n)*\t\$\(PIP\) .*"\.\[notebooks\]"$', makefile, re.MULTILINE)


def test_python_from_3_10_on_and_the_licence():
    assert PROJECT["project"]["requires-python"] == ">=3.10"
    assert PROJECT["project"]["license"] == "MIT"
    assert "MIT License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_the_whole_package_is_packaged_and_an_editable_install_is_a_path():
    build = PROJECT["tool"]["hatch"]["build"]
    assert build["targets"]["wheel"]["packages"] == ["kldanneal"]  # tests/package looks into the wheel
    assert build["dev-mode-dirs"] == ["."]  # type checkers find what a path names; they run no import hooks
    assert (ROOT / "kldanneal" / "py.typed").is_file()


def test_the_installed_version_is_the_version_of_the_module():
    try:
        installed = importlib.metadata.version("kldanneal")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("kldanneal is not installed, only importable")
    assert installed == kldanneal.__version__


# -------------------------------------------------------------------------------------------- what imports need what

#: Packages that come with another one of the extra, and that it is no use to list; or whose import has another name.
COMES_WITH = {
    "IPython": ["ipywidgets"], "PIL": ["matplotlib"], "nbformat": ["nbconvert"],
    "traitlets": ["ipywidgets", "nbconvert"], "vl_convert": ["vl-convert-python"],
}  # fmt: skip


def imported_packages(path, *, everywhere):
    """Packages that are neither Python's nor our own, that a file imports: everywhere, or as it is imported itself."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree)) if everywhere else tree.body
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0]
    packages = {name.partition(".")[0] for name in names}
    return packages - set(sys.stdlib_module_names) - {"kldanneal"}


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_modules_import_only_what_is_declared(path):
    allowed = {"torch"}
    if "lab" in path.parts:
        brought = extra("page" if "page" in path.parts else "notebooks")
        allowed |= brought.keys() | {name for name, by in COMES_WITH.items() if brought.keys() & by}
    if path.name == "pool.py":
        allowed |= extra("cluster").keys()
    if path.parent.name in ("guides", "integrations"):
        allowed |= extra("lightning").keys() | extra("transformers").keys()
    assert imported_packages(path, everywhere=True) <= allowed


#: (package, module) for each module of the lab and each package of the extra that it imports.
NEEDS = [(package, module_name(path)) for path in SOURCES if "lab" in path.parts
         for package in sorted(imported_packages(path, everywhere=False) - {"torch"} - COMES_WITH.keys())]  # fmt: skip


class Hidden:
    """A finder of modules that does not find one package, as if it had never been installed."""

    def __init__(self, finder, package):
        self.finder, self.package = finder, package

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, *arguments, **keywords):
        if name.partition(".")[0] == self.package:
            return None
        return self.finder.find_spec(name, *arguments, **keywords)


@pytest.fixture
def hide(monkeypatch):
    """A function that makes a package impossible to find, and kldanneal.lab not imported yet, until the test ends."""

    def hide(package):
        for name in list(sys.modules):
            if f"{name}.".startswith((f"{package}.", "kldanneal.lab.")):
                monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(sys, "meta_path", [Hidden(finder, package) for finder in sys.meta_path])
        assert importlib.util.find_spec(package) is None  # the two ways of finding out, as they are without it
        with pytest.raises(ModuleNotFoundError, match=f"No module named '{package}'"):
            importlib.import_module(package)

    return hide


@pytest.mark.parametrize(("package", "module"), NEEDS)
def test_a_missing_package_is_reported_with_the_extra_that_brings_it(hide, package, module):
    hide(package)
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module(module)
    assert package in str(caught.value)
    needed = "notebooks" if package in extra("notebooks") else "page"
    assert f'pip install "kldanneal[{needed}]"' in str(caught.value)
    assert caught.value.name == package


def run_python(*arguments, cwd, path=()):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*path, ROOT]))}
    command = [sys.executable, "-W", "ignore", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


def test_the_command_without_a_package_is_one_line_and_status_2(tmp_path):
    blocked = (
        f"import sys\n\n{inspect.getsource(Hidden)}\nsys.meta_path = [Hidden(f, 'torchtext') for f in sys.meta_path]\n"
    )
    (tmp_path / "sitecustomize.py").write_text(blocked, encoding="utf-8")  # Python runs it as it starts
    ran = run_python("-m", "kldanneal", "compare", cwd=tmp_path, path=[tmp_path])
    assert ran.returncode == 2
    assert ran.stdout == ""
    (line,) = ran.stderr.splitlines()
    assert line.startswith("kldanneal: error: ")
    assert "torchtext" in line and 'pip install "kldanneal[notebooks]"' in line


def test_importing_the_library_imports_nothing_but_torch(tmp_path):
    code = """
import sys, torch
before = set(sys.modules)
import kldanneal, kldanneal.integrations
kldanneal.VAELoss(), kldanneal.Annealer(4)
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))
"""
    ran = run_python("-c", code, cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.split() == ["kldanneal"]  # not matplotlib, ipywidgets, torchtext, IPython, tqdm, NumPy, ...


# ----------------------------------------------------------------------------- torchtext with the torch that is there


def test_torchtext_has_the_release_that_is_asked_for():
    assert extra("notebooks")["torchtext"].specifier.contains(importlib.metadata.version("torchtext"))


def test_torchtext_tokenizer_and_vocabulary_work():
    from torchtext.data.utils import get_tokenizer
    from torchtext.vocab import Vocab

    tokens = get_tokenizer("basic_english")("The cat isn't the dog.")
    assert tokens == ["the", "cat", "isn", "'", "t", "the", "dog", "."]
    vocab = Vocab(Counter(tokens), specials=["<unk>", "<pad>"])
    assert vocab.itos[:3] == ["<unk>", "<pad>", "the"]
    assert vocab.stoi["the"] == 2 and vocab.stoi["unheard-of"] == 0
    assert len(vocab) == 2 + len(set(tokens))


def test_torchtext_penn_treebank_reads_files_that_are_there(tmp_path):
    from torchtext.data import Field
    from torchtext.datasets import PennTreebank

    folder = tmp_path / "penn-treebank"
    folder.mkdir()
    for part in ("train", "valid", "test"):
        (folder / f"ptb.{part}.txt").write_text(f" the {part} set \n n <unk> \n", encoding="utf-8")
    field = Field()
    splits = PennTreebank.splits(field, root=str(tmp_path))
    for part, dataset in zip(("train", "valid", "test"), splits, strict=True):
        assert dataset[0].text == ["the", part, "set", "<eos>", "n", "<unk>", "<eos>"]
    field.build_vocab(splits[0])
    ids = field.process([splits[0][0].text])
    assert isinstance(ids, torch.Tensor) and ids.shape == (7, 1)


def test_torchtext_names_three_files_to_download():
    from torchtext.datasets import PennTreebank

    assert [re.sub(".*/", "", url) for url in PennTreebank.urls] == ["ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"]
