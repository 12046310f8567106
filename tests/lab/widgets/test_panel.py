"""The base of all widgets: controls, one lock, records, charts, jobs, and what a reader without a kernel sees."""

import io
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from conftest import our_threads, wait_for
from PIL import Image

from kldanneal.lab.widgets import charts, controls, records
from kldanneal.lab.widgets.background import Background, Pace, ask_all_to_stop
from kldanneal.lab.widgets.interrupts import _after_a_cell
from kldanneal.lab.widgets.panel import Panel, TrainingPanel


class Counter(TrainingPanel):
    """A panel that notes what it is asked for, and fails where it is told to."""

    def __init__(self):
        self.heard, self.inside, self.together = [], 0, False
        inputs = {
            "share": controls.slider("share", 0.5, 0, 1, 0.05),
            "size": controls.steps("size", [62, 500, 2000], 500, "updates"),
            "count": controls.button("Count"),
            "fail": controls.button("Fail"),
        }
        names = [f"control:{name}" for name in inputs]
        super().__init__("A counter", [[[*names, "text:result", "text:error", "chart:one"]]], inputs)
        self.refresh()

    def acted(self, name, value):
        self.inside += 1
        self.together |= self.inside > 1
        self.heard.append((name, value))
        time.sleep(0.001)
        self.inside -= 1
        if name == "fail":
            raise ValueError("a < b & c")

    def draw(self):
        self.result(f"{len(self.heard)} heard.", "Nothing else.")
        panel = charts.panel("share", (0, 1), 80, lines=[charts.line([0, self["share"]], "blue")])
        self.show("chart:one", charts.chart(f"A line up to {self['share']}.", (0, 1), "x", [panel]))


@pytest.fixture
def panel():
    made = Counter()
    yield made
    made.background.stop()
    assert our_threads() == []


def send(panel, name, value=None, number=1):
    """What the page sends."""
    panel._heard(panel, {"name": name, "value": value, "token": "t", "number": number}, [])


# ------------------------------------------------------------------------------------------------------------ controls


@pytest.mark.parametrize("sent, kept", [(0.9000000000000001, 0.9), (0.30000000000000004, 0.3), (1, 1.0), (0.52, 0.5)])
def test_what_the_page_sends_is_rounded_on_arrival(panel, sent, kept):
    send(panel, "share", sent)
    assert panel["share"] == kept and panel.controls["share"]["value"] == kept


def test_a_slider_snaps_to_its_values_and_refuses_others(panel):
    panel["size"] = 2000
    assert panel["size"] == 2000
    with pytest.raises(ValueError, match="Expected size to be one of 62, 500, 2000, but got 499"):
        panel["size"] = 499
    with pytest.raises(ValueError, match=r"Expected share to be in \[0, 1\], but got 2"):
        panel["share"] = 2
    assert (panel["size"], panel["share"]) == (2000, 0.5)


def test_the_page_never_writes_a_value_by_itself(panel):
    """All that the page can set are messages of what a person does; states travel from the kernel to the page only."""
    panel["share"] = 0.2
    panel.set_state({"controls": panel.controls})  # what a page sends that echoes
    assert panel["share"] == 0.2 and ("share", 0.2) in panel.heard


def test_a_disabled_button_does_nothing_and_every_message_is_answered(panel, monkeypatch):
    answers = []
    monkeypatch.setattr(panel, "send", answers.append)
    panel.inputs["count"].disabled = True
    send(panel, "count", number=7)
    assert panel.heard == [] and answers == [{"token": "t", "number": 7}]


def test_an_error_is_one_line_escaped_and_gone_with_the_next_action(panel):
    send(panel, "fail")
    assert "ValueError: a &lt; b &amp; c" in panel.contents["text:error"]
    send(panel, "count")
    assert panel.contents["text:error"] == ""


def test_callbacks_never_run_in_two_threads_at_once(panel):
    threads = [threading.Thread(target=lambda: [send(panel, "count") for _ in range(20)]) for _ in range(4)]
    panel.background.start(lambda stop: stop.wait(0.5))  # its ticks and its end draw as well
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    panel.background.wait()
    assert len(panel.heard) == 80 and not panel.together and panel.error == ""


def test_a_press_after_a_reload_is_not_sent_to_a_subshell_that_is_gone(panel):
    """ipykernel 7.4 keeps, in the comm, the subshell of the last message that it sent."""
    panel.comm._reply_subshell_id = "gone"
    panel.send_state("title")
    assert not hasattr(panel.comm, "_reply_subshell_id")


# ------------------------------------------------------------------------------------------------------- without kernel


def test_without_a_kernel_there_is_a_picture_with_a_caption_and_words(panel):
    data, metadata = panel._repr_mimebundle_()
    picture = Image.open(io.BytesIO(data["image/png"]))
    assert picture.size[0] <= 1600 and len(np.unique(np.asarray(picture.convert("L")))) > 5
    alt = metadata["image/png"]["alt"]
    assert alt == data["text/plain"] == "A counter. 0 heard. Nothing else. Run this cell to use it. A line up to 0.5."
    assert "children=" not in repr(panel)


def test_a_panel_without_charts_is_stored_as_text():
    class Words(Panel):
        def draw(self):
            self.result("3 < 4")

    words = Words("Words", [[["text:result"]]], {})
    words.refresh()
    data, _ = words._repr_mimebundle_()
    assert "3 &lt; 4" in data["text/html"] and "image/png" not in data


# -------------------------------------------------------------------------------------------------------------- charts


def test_a_long_line_keeps_its_ends_and_every_jump():
    values = [(i % 500) / 500 for i in range(4000)]
    drawn = charts.line(values, "blue")
    assert len(drawn["x"]) < 400 and (drawn["x"][0], drawn["x"][-1]) == (0, 3999)
    jumps = [i for i in range(3999) if values[i + 1] < values[i]]
    assert len(jumps) == 7 and set(jumps) | {i + 1 for i in jumps} <= set(drawn["x"])
    np.testing.assert_allclose(drawn["y"], np.array(values)[drawn["x"]], atol=1e-3)


def test_the_stored_picture_has_every_part_of_a_chart():
    parts = {
        "lines": [charts.line([1, 10], "orange", dash=charts.DASHED)],
        "bars": charts.bars([2, 3], ["blue", "grey"]),
        "rules": [{"y": 5, "text": "here"}, {"x": 1, "text": "there"}],
        "marks": [{"x": 1, "y": 2, "color": "ink"}],
    }
    full = charts.chart("all", (0, 3), "x", [charts.panel("y", (1, 20), 80, log=True, **parts)],
                        [{"text": "a line", "color": "orange"}], (0, 1))  # fmt: skip
    pictures = [charts.picture([full], "caption")]
    for part in parts:
        less = charts.panel("y", (1, 20), 80, log=True, **{name: parts[name] for name in parts if name != part})
        pictures.append(charts.picture([{**full, "panels": [less]}], "caption"))
    pictures.append(charts.picture([{**full, "shade": None}], "caption"))
    assert len(set(pictures)) == len(pictures)


def test_the_stored_picture_has_no_empty_panel():
    """As of a training that has not begun: its weights are known, its KL is not."""
    weight, empty = charts.weight_panel([charts.line([0, 1], "blue")]), charts.kl_panel([charts.line([], "blue")])
    flat = charts.panel("variance", (1e-5, 10), 80, log=True, bars=charts.bars([0, 0], ["blue", "blue"]))
    both, one = (charts.chart("all", (0, 3), "update", panels) for panels in ([weight, empty, flat], [weight]))
    assert charts.picture([both], "caption") == charts.picture([one], "caption")
    assert charts.picture([both, {**both, "panels": [empty]}], "caption") == charts.picture([one], "caption")


# ------------------------------------------------------------------------------------------------------------- records


def test_a_second_measurement_at_one_update_replaces_the_first():
    class Stub:
        step = 10

    record = records.Shelf().add("one", {}, {"run": Stub()})
    record.measured("run", "first")
    record.measured("run", "again")
    Stub.step = 20
    record.measured("run", "later")
    assert record.moments["run"] == [(10, "again"), (20, "later")]
    assert record.at("run", 10).metrics == "again" and record.at("run", 15) is None
    assert record.last("run") == (20, "later") and record.last("other") is None


def test_no_measure_is_shown_as_minus_nought_and_units_are_whole():
    values = {"mutual_information": -0.0001, "kl": -0.5, "active_units": 3.0}
    assert [records.shown(values, name) for name in values] == ["0.000", "-0.500", "3"]
    assert records.shown({"active_units": 2.5}, "active_units") == "2.5"


def test_a_shelf_outlives_its_widget_and_names_a_run_that_it_has_not():
    records.forget()
    shelf = records.shelf("kind", 1)
    shelf.add("a run", {"x": 1}, {})
    assert records.shelf("kind", 1).get(1).name == "a run" and records.shelf("kind", 2).records == []
    with pytest.raises(ValueError, match="between 1 and 1, but got 5"):
        shelf.get(5)
    records.forget()
    assert records.shelf("kind", 1).records == []


# ---------------------------------------------------------------------------------------------------------------- jobs


def until_stopped(stop):
    stop.wait(60)


def test_a_job_ticks_while_it_runs_and_ends():
    calls = []
    background = Background(lambda: calls.append("tick"), lambda error: calls.append(error))
    assert background.start(until_stopped) and background.running and not background.stopping
    wait_for(lambda: calls.count("tick") >= 2)
    background.stop()
    assert calls[-1] is None and calls.count(None) == 1
    assert not background.running and our_threads() == []


def test_one_job_at_a_time_and_its_error_is_told():
    told = []
    background = Background(lambda: None, told.append)
    background.start(until_stopped)
    assert not background.start(lambda stop: 1 / 0)
    background.stop()
    background.start(lambda stop: 1 / 0)
    background.wait()
    assert told[0] is None and isinstance(told[1], ZeroDivisionError)


def test_a_new_panel_of_the_same_kind_stops_the_job_of_the_old_one(panel):
    panel.background.start(until_stopped)
    other = Counter()
    assert not panel.background.running and our_threads() == []
    other.close()


def test_there_is_no_time_left_before_there_is_an_estimate(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pace = Pace()
    assert [pace.left(0, 2000), pace.left(10, 2000)] == ["", ""]  # the first look after an update starts the clock
    now[0] += 1
    assert pace.left(60, 2000) == ""  # too early
    now[0] += 9
    assert pace.left(510, 2000) == ", about 30 s left"
    assert pace.left(10, 10_000) == ""  # nothing has happened since
    assert pace.left(510, 10_510) == ", about 3 min left"


def test_an_interrupt_stops_every_job(panel):
    class Interrupted:
        error_in_exec = KeyboardInterrupt()

    panel.background.start(until_stopped)
    _after_a_cell(Interrupted())
    panel.background.wait()
    panel.background.start(until_stopped)
    ask_all_to_stop()
    panel.background.wait()
    assert not panel.background.running


def test_a_kernel_that_closes_does_not_wait_for_a_job():
    code = (
        "from kldanneal.lab.widgets.background import Background\n"
        "Background(lambda: None, lambda error: print('ended')).start(lambda stop: stop.wait(600))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "ended\n", "")
