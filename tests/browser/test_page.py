"""The page of `make page` in Chromium, with the network off: what each control does, and that its numbers are stored.

With the runs of the whole map where the package holds them, else with those of a small one that is trained here.
"""

import importlib.resources
import itertools
import json
import re
from statistics import mean

import pytest

from kldanneal.lab.metrics import COLLAPSED, MEASURES
from kldanneal.lab.page import make as make_page
from kldanneal.lab.page.data import SHOWN, key_of, schedule_of
from kldanneal.lab.results import stored
from kldanneal.lab.results.jobs import from_dict
from kldanneal.lab.results.pool import stored_at

NUMBER = r"-?\d+\.\d+"


class Stored:
    """The stored runs, read without the code of the page."""

    def __init__(self, path, remedies):
        self.paths = path, remedies
        self.own = [(from_dict(run["job"]), run) for run in stored.load(path)[1]]
        more = [(from_dict(run["job"]), run) for run in stored.load(remedies)[1]] if remedies else []
        self.of_key = {}
        for job, run in [*self.own, *((job, run) for job, run in more if job.free_bits)]:
            self.of_key.setdefault(key_of(job), []).append(run)
        jobs = [job for job, _ in self.own]
        self.dropouts = sorted({job.settings["word_dropout"] for job in jobs})
        self.distances = sorted({distance for job in jobs for distance in job.distances})
        self.schedules = list(dict.fromkeys(schedule_of(job) for job in jobs))
        self.ramps = [name for name in self.schedules if not name.startswith("constant")]

    def values(self, key, distance, measure):
        rows = [row for run in self.of_key.get(key, []) for row in run["measured"] if row["distance"] == distance]
        return [row[measure] for row in rows]

    def alive(self, dropout, distance):
        """For each schedule that was measured, whether its mean KL is above the limit."""
        found = {name: self.values(f"{name}-wd{dropout:g}", distance, "kl") for name in self.schedules}
        return {name: mean(kl) >= COLLAPSED for name, kl in found.items() if kl}


@pytest.fixture(scope="session")
def runs(request):
    if stored_at("map").exists():
        return Stored(stored_at("map"), stored_at("remedies") if stored_at("remedies").exists() else None)
    return Stored(*request.getfixturevalue("small_map"))


@pytest.fixture(scope="session")
def file(runs, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "index.html"
    make_page.write(path, *runs.paths)
    return path


@pytest.fixture
def explorer(browser, file):
    """Opens the page; in the end there is no error, no warning, and no request but for the page itself."""
    contexts, said, asked = [], [], []

    def open_page(address="", path=file, **options):
        options = {"viewport": {"width": 1200, "height": 900}, "reduced_motion": "reduce", **options}
        context = browser.new_context(offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.on("request", lambda request: asked.append(request.url.split("#")[0]))
        page.goto(path.as_uri() + address)
        page.wait_for_selector("body[data-ready]" if path == file else "body", timeout=60_000)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []
    assert [url for url in asked if not url.startswith(file.parent.as_uri())] == []


OPEN = "#covered="


def pick(page, name, value):
    page.locator(f"input[name={name}][value='{value}']").check(force=True)


def choose(page, schedule):
    first, *rest = schedule.split("-")
    for name, value in (
        [("mode", "constant"), ("weight", rest[0])]
        if first == "constant"
        else [("mode", rest[1]), ("shape", first), ("steps", rest[0])]
    ):
        pick(page, name, value)


MIDDLE = """([part, column, row]) => {
    const view = views[part], [x, y] = view.origin(), along = view.scale('x'), down = view.scale('y');
    return [x + along(column) + along.bandwidth() / 2, y + down(row) + down.bandwidth() / 2] }"""
TEXTS = "svg => [...svg.querySelectorAll('text')].map(one => one.textContent)"


def square(page, schedule):
    """Where on the screen the square of a schedule is."""
    first, *rest = schedule.split("-")
    part, column, row = ("constant", float(rest[0]), "constant") if first == "constant" else (
        "ramps", int(rest[0]), f"{first}, {rest[1]}")  # fmt: skip
    area = page.locator(f"[data-chart={part}]")
    area.scroll_into_view_if_needed()
    x, y = page.evaluate(MIDDLE, [part, column, row])
    box = area.locator("svg").bounding_box()
    return box["x"] + x, box["y"] + y


def settled(page):
    page.evaluate("async () => { for (const view of Object.values(views)) await view.runAsync() }")


def drawn(page, chart, fields=("run", "x", "y")):
    """The points of a chart, by line."""
    settled(page)
    sets = page.evaluate("""([chart, fields]) => Object.keys(views[chart].getState({ data: () => true }).data)
        .map(name => views[chart].data(name))
        .filter(rows => Array.isArray(rows) && rows.length && typeof rows[0][fields[1]] === 'number')
        .map(rows => rows.map(row => fields.map(name => row[name])))""", [chart, list(fields)])  # fmt: skip
    lines = {}
    for name, *point in max(sets, key=len, default=[]):
        lines.setdefault(name, []).append(point)
    return lines


def table(page):
    """The numbers of each row, as they are shown."""
    rows = page.locator("#table tbody tr").all()
    return [(row.locator("th").inner_text(), row.locator("td").all_inner_texts()) for row in rows]


def check_numbers(page, runs, keys, distance):
    """The table and the curves are those of the stored runs of these keys."""
    rows = table(page)
    assert len(rows) == len(keys)
    for key, (_, (update, kl, *means)) in zip(keys, rows, strict=True):
        values = runs.values(key, distance, "kl")
        if not values:
            assert {update, kl, *means} == {"–"}
            continue
        assert int(update.replace(",", "")) == runs.values(key, distance, "update")[0]
        assert [float(text) for text in kl.split(", ")] == pytest.approx(values, abs=0.0005001)
        for name, text in zip(SHOWN, means, strict=True):
            digits = MEASURES[name].digits
            assert re.fullmatch(rf"-?\d+\.\d{{{digits}}}", text)
            assert float(text) == pytest.approx(mean(runs.values(key, distance, name)), abs=0.50001 * 10**-digits)
    for chart, curve in (("kl", "kl_curve"), ("reconstruction", "reconstruction_curve")):
        lines = drawn(page, chart)
        expected = {f"{key} {run['job']['seed']}": run[curve] for key in keys for run in runs.of_key[key]}
        assert lines.keys() == expected.keys()
        for name, points in lines.items():
            assert points == [[50 * (i + 1), value] for i, value in enumerate(expected[name])]
    assert drawn(page, "weight", ("key", "x", "y")).keys() == set(keys)


# ------------------------------------------------------------------------------------------------------------ controls


def test_it_opens_covered_and_within_its_size(explorer, file):
    page = explorer()
    assert file.stat().st_size < 2_000_000
    assert page.locator("#task").inner_text().startswith("Predict first.")
    assert not page.locator("#table").is_visible() and not page.locator("[data-chart=kl]").is_visible()
    assert re.findall(NUMBER, page.locator("[data-chart=ramps]").inner_text()) == []


def test_each_schedule_shows_its_own_runs(explorer, runs):
    page = explorer(OPEN)
    distance = runs.distances[0]
    for schedule in runs.schedules[:: max(1, len(runs.schedules) // 12)] + runs.schedules[-2:]:
        choose(page, schedule)
        check_numbers(page, runs, [f"{schedule}-wd0"], distance)
        kl = runs.values(f"{schedule}-wd0", distance, "kl")
        said = page.locator("#result").inner_text()
        if not kl:
            assert "Nothing is stored" in said
            continue
        assert f"the KL is {mean(kl):.3f} nats"[:14] in said
        dead = sum(one < COLLAPSED for one in kl)
        assert (f"{dead} of {len(kl)} seeds have collapsed" if dead else "No seed has collapsed") in said


@pytest.mark.parametrize("control", ["shape", "steps", "mode", "dropout", "distance", "weight"])
def test_each_control_changes_what_it_should(explorer, runs, control):
    page = explorer(OPEN + ("&mode=constant" if control == "weight" else ""))
    before = {}
    for option in page.locator(f"input[name={control}]").all():
        pick(page, control, option.get_attribute("value"))
        state = page.evaluate("Object.fromEntries(new FormData(document.getElementById('state')))")
        schedule = f"constant-{state['weight']}" if state["mode"] == "constant" else "-".join(
            state[name] for name in ("shape", "steps", "mode"))  # fmt: skip
        check_numbers(page, runs, [f"{schedule}-wd{state['dropout']}"], int(state["distance"]))
        on_map = [page.locator(f"[data-chart={part}]").inner_text() for part in ("ramps", "constant")]
        before[state[control]] = on_map
        cells = runs.alive(float(state["dropout"]), int(state["distance"]))
        assert f"in {sum(cells.values())} of {len(cells)} squares" in page.locator("#task").inner_text()
    assert len(before) >= 2
    changed = len({json.dumps(texts) for texts in before.values()}) > 1
    assert changed == (control in ("dropout", "distance"))  # the others choose on the map, and leave its numbers alone


def test_the_map_shows_means_of_stored_runs(explorer, runs):
    page = explorer(OPEN)
    for dropout, distance in itertools.product(runs.dropouts, runs.distances[::2]):
        pick(page, "dropout", f"{dropout:g}")
        pick(page, "distance", distance)
        settled(page)
        texts = page.locator("[data-chart=ramps] svg").evaluate(TEXTS)
        shown = sorted(float(text) for text in texts if re.fullmatch(r"\d+\.\d\d", text))
        keys = [f"{schedule}-wd{dropout:g}" for schedule in runs.ramps]
        expected = sorted(mean(kl) for kl in (runs.values(key, distance, "kl") for key in keys) if kl)
        assert shown == pytest.approx(expected, abs=0.00511)
        page.locator("summary").click()
        rows = page.locator("#whole tbody tr").all_inner_texts()
        assert len(rows) == len(runs.schedules)
        page.locator("summary").click()


def test_a_click_and_the_arrow_keys_choose(explorer, runs):
    page = explorer(OPEN)
    target = runs.ramps[-1]
    page.mouse.click(*square(page, target))
    check_numbers(page, runs, [f"{target}-wd0"], runs.distances[0])
    constant = runs.schedules[-1]
    page.mouse.click(*square(page, constant))
    check_numbers(page, runs, [f"{constant}-wd0"], runs.distances[0])

    def now():
        return page.evaluate("views.ramps.signal('schedule')")

    page.focus("#map")
    for _ in range(12):
        page.keyboard.press("ArrowUp")
    for _ in range(12):
        page.keyboard.press("ArrowLeft")
    first = now()
    corner = [page.locator(f"input[name={name}]").first.get_attribute("value") for name in ("shape", "steps", "mode")]
    assert first.split("-") == corner
    page.keyboard.press("ArrowRight")
    assert int(now().split("-")[1]) > int(first.split("-")[1])
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    assert now().split("-")[0] != first.split("-")[0]
    assert page.locator("#result").get_attribute("aria-live") == "polite"
    for _ in range(12):
        page.keyboard.press("ArrowDown")
    assert now().startswith("constant-")


def test_two_schedules_can_be_pinned(explorer, runs):
    page = explorer(OPEN)
    a, b, c = (runs.schedules[i] for i in (0, len(runs.schedules) // 2, -1))
    for schedule, pin in ((a, "A"), (b, "B"), (c, None)):
        choose(page, schedule)
        if pin:
            page.get_by_role("button", name=f"Pin as {pin}").click()
    pick(page, "distance", runs.distances[1])
    check_numbers(page, runs, [f"{name}-wd0" for name in (c, a, b)], runs.distances[1])
    assert [name[:2] for name, _ in table(page)][1:] == ["A:", "B:"]
    page.get_by_role("button", name="Remove A").click()
    check_numbers(page, runs, [f"{name}-wd0" for name in (c, b)], runs.distances[1])


def test_references_can_be_switched_on(explorer, runs):
    page = explorer(f"{OPEN}&distance={runs.distances[-1]}")
    chosen = f"{runs.ramps[0]}-wd0"
    boxes = page.locator("#references label").all()
    assert len(boxes) >= 3
    for box in boxes:
        box.click()
        label = box.inner_text().strip()
        name = table(page)[1][0]
        if label.startswith("free bits"):
            key = next(key for key in runs.of_key if key.startswith("free"))
            assert "free bits" in name.lower()
        else:
            dropout = re.match(r"word dropout (\S+),", label)
            weight = re.search(r"β = (\S+)", label)
            key = f"constant-{weight[1] if weight else 1}-wd{dropout[1] if dropout else 0}"
        check_numbers(page, runs, [chosen, key], runs.distances[-1])
        box.click()
        check_numbers(page, runs, [chosen], runs.distances[-1])


def test_predict_first(explorer, runs):
    page = explorer(f"#distance={runs.distances[1]}")
    alive = runs.alive(0, runs.distances[1])
    guess = runs.ramps[:3] + runs.schedules[-1:]
    for schedule in guess[:2] + guess[3:]:
        page.mouse.click(*square(page, schedule))
    choose(page, guess[2])
    page.focus("#map")
    page.keyboard.press("Enter")
    assert "Marked" in page.locator("#result").inner_text()
    assert f"You have marked {len(guess)}." in page.locator("#task").inner_text()
    page.mouse.click(*square(page, guess[0]))  # takes the mark away
    guess = guess[1:]
    assert "Not marked" in page.locator("#result").inner_text()
    page.get_by_role("button", name="Show the map").click()
    right = sum((schedule in guess) == is_alive for schedule, is_alive in alive.items())
    assert f"Your prediction is right in {right} of {len(alive)}." in page.locator("#task").inner_text()
    page.mouse.click(*square(page, runs.ramps[-1]))  # marks nothing now
    assert set(page.evaluate("views.ramps.signal('marks')")) == set(guess)
    page.get_by_role("button", name="Predict again").click()
    assert page.evaluate("views.ramps.signal('marks')") == []


# ------------------------------------------------------------------------------------------------------ state and place


def everything(page):
    settled(page)
    words = [page.locator(f"#{name}").inner_text() for name in ("task", "result", "lines")]
    return words, table(page), drawn(page, "kl"), page.locator("[data-chart=ramps]").inner_text()


def test_a_link_restores_the_state(explorer, runs):
    page = explorer(OPEN)
    choose(page, runs.ramps[1])
    page.get_by_role("button", name="Pin as B").click()
    choose(page, runs.ramps[-1])
    pick(page, "dropout", f"{runs.dropouts[-1]:g}")
    pick(page, "distance", runs.distances[-1])
    page.locator("#references label").first.click()
    again = explorer("#" + page.url.split("#")[1])
    assert everything(again) == everything(page) and again.url == page.url
    fresh = explorer(OPEN)  # and it does in a page that is open already
    fresh.evaluate("address => { location.hash = address }", page.url.split("#")[1])
    fresh.wait_for_function("text => document.getElementById('result').textContent === text",
                            arg=page.locator("#result").inner_text())  # fmt: skip
    assert everything(fresh) == everything(page)


def test_a_link_to_what_is_not_stored_does_no_harm(explorer):
    page = explorer("#mode=spiral&steps=7&shape=round&distance=3&dropout=9&A=nothing-1-once-wd3&reference=99&covered=")
    assert len(table(page)) == 2 and table(page)[1][1][0] == "–"
    assert page.locator("input[name=mode]:checked").count() == 1


def test_it_can_be_embedded(explorer, file):
    course = file.with_name("course.html")
    frame = f'<iframe src="{file.name}{OPEN}" width="700" height="900" title="explorer"></iframe>'
    course.write_text(frame, encoding="utf-8")
    page = explorer(path=course)
    frame = page.frame_locator("iframe")
    frame.locator("body[data-ready]").wait_for(timeout=60_000)
    frame.locator("input[name=mode]").last.check(force=True)
    assert "onstant" in frame.locator("#result").inner_text()


WIDTHS = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.parametrize("width", [320, 420, 900, 1200, 1920])
def test_it_fits_the_screen(explorer, width):
    page = explorer(OPEN, viewport={"width": width, "height": 900})
    assert page.evaluate(WIDTHS) == 0
    page.set_viewport_size({"width": width + 100, "height": 900})  # a phone that is turned
    page.wait_for_timeout(300)
    assert page.evaluate(WIDTHS) == 0


def test_dark_light_print_and_less_motion(explorer):
    page = explorer(OPEN)
    look = """() => [getComputedStyle(document.body).backgroundColor,
        getComputedStyle(document.querySelector('svg text')).fill]"""
    light = page.evaluate(look)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(look)
    assert light[0] != dark[0] and light[1] != dark[1]
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(look) == light and page.evaluate(WIDTHS) == 0
    assert len(page.pdf()) > 20_000
    page.emulate_media(media="screen", reduced_motion="no-preference")
    moves = "() => getComputedStyle(document.querySelector('button')).transitionDuration"
    assert page.evaluate(moves) == "0.15s"
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(moves) == "0s"


FOCUS = """() => {
    const one = document.activeElement, seen = one.type === 'radio' ? one.nextSibling : one;
    const outlined = one === document.body || getComputedStyle(seen).outlineStyle !== 'none';
    return [one.id || one.name || one.tagName, outlined] }"""


def test_the_keyboard_reaches_everything(explorer):
    page = explorer(OPEN)
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        name, outlined = page.evaluate(FOCUS)
        assert outlined, name
        reached.add(name)
    radios = {"mode", "shape", "steps", "dropout", "distance"}
    assert reached >= {*radios, "map", "cover", "pin", "reference", "SUMMARY", "A"}
    page.focus("input[name=shape]:checked")
    before = page.locator("#result").inner_text()
    page.keyboard.press("ArrowRight")
    assert page.locator("#result").inner_text() != before


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [420, 1200])
def test_axe_core_finds_nothing(explorer, runs, scheme, width):
    axe = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    page = explorer(color_scheme=scheme, viewport={"width": width, "height": 900})
    page.add_script_tag(content=axe)
    for state in ("covered", "open", "full"):
        if state == "open":
            page.get_by_role("button", name="Show the map").click()
        if state == "full":
            page.get_by_role("button", name="Pin as A").click()
            choose(page, runs.schedules[-1])
            for box in page.locator("#references input").all():
                box.check()
            page.locator("summary").click()
        found = page.evaluate("() => axe.run()")
        problems = [(one["id"], one["impact"], one["nodes"][0]["html"][:200]) for one in found["violations"]]
        assert problems == [], state
        assert len(found["passes"]) > 15
