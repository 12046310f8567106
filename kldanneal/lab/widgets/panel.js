// A panel of native controls beside charts. The kernel holds every value: the page sends what a person does, and never
// anything else. So a value that the kernel has set stays until a person moves something.

const TWICE = 500; // ms within which a second click on a button is the same click

class Sender {
  // One message a control is under way; of the values that come meanwhile only the last is sent.
  constructor(model) {
    this.model = model, this.underWay = new Map(), this.waiting = new Map(), this.number = 0;
    this.token = Math.random().toString(36).slice(2);
    model.on("msg:custom", message => this.answered(message));
  }
  send(name, value) {
    if (this.underWay.has(name)) { this.waiting.set(name, value); return; }
    this.underWay.set(name, ++this.number);
    this.whenBusy?.(true);
    this.model.send({ name, value, token: this.token, number: this.number });
  }
  answered({ token, number }) {
    if (token !== this.token) return;
    for (const [name, sent] of this.underWay) if (sent === number) {
      this.underWay.delete(name);
      if (this.waiting.has(name)) {
        const value = this.waiting.get(name);
        this.waiting.delete(name);
        this.send(name, value);
      } else this.whenFree?.(name);
    }
    this.whenBusy?.(this.underWay.size > 0);
  }
  busy(name) { return this.underWay.has(name); }
}

const CONTROLS = {
  range(box, state, send) {
    const id = newId();
    html("label", { htmlFor: id, textContent: state.label }, box);
    const input = html("input", { id, type: "range" }, box), shown = html("output", { htmlFor: id }, box);
    const read = () => box.state.options ? box.state.options[+input.value][0] : +input.value;
    const text = () => box.state.options ? box.state.options[+input.value][1]
      : (+input.value).toLocaleString("en", { minimumFractionDigits: box.state.digits, maximumFractionDigits: box.state.digits });
    const show = () => { shown.textContent = `${text()} ${box.state.unit}`; input.setAttribute("aria-valuetext", shown.textContent); };
    input.addEventListener("input", () => { show(); send(read()); });
    return (state, free) => {
      input.disabled = state.disabled;
      [input.min, input.max, input.step] = state.options ? [0, state.options.length - 1, 1] : [state.min, state.max, state.step];
      if (free) input.value = state.options ? state.options.findIndex(([value]) => value === state.value) : state.value;
      show();
    };
  },
  choice(box, state, send) {
    const group = html("fieldset", {}, box), name = newId();
    html("legend", { textContent: state.label }, group);
    let inputs = [];
    return (state, free) => {
      const signs = JSON.stringify(state.options);
      if (group.signs !== signs) {
        group.signs = signs;
        inputs.forEach(input => input.parentNode.remove());
        inputs = state.options.map(([value, text]) => {
          const label = html("label", {}, group), input = html("input", { type: "radio", name }, label);
          label.append(` ${text}`);
          input.addEventListener("change", () => send(value));
          return input;
        });
      }
      inputs.forEach((input, i) => {
        input.disabled = state.disabled;
        if (free) input.checked = state.options[i][0] === state.value;
      });
    };
  },
  select(box, state, send) {
    const id = newId();
    html("label", { htmlFor: id, textContent: state.label }, box);
    const select = html("select", { id }, box);
    select.addEventListener("change", () => send(box.state.options[select.selectedIndex][0]));
    return (state, free) => {
      const signs = JSON.stringify(state.options);
      if (select.signs !== signs) {
        select.signs = signs;
        select.replaceChildren(...state.options.map(([, text]) => html("option", { textContent: text })));
        free = true;
      }
      select.disabled = state.disabled;
      if (free) select.selectedIndex = state.options.findIndex(([value]) => value === state.value);
    };
  },
  check(box, state, send) {
    const label = html("label", { className: "kl-check" }, box), input = html("input", { type: "checkbox" }, label);
    label.append(` ${state.label}`);
    input.addEventListener("change", () => send(input.checked));
    return (state, free) => { input.disabled = state.disabled; if (free) input.checked = state.value; };
  },
  field(box, state, send) {
    const id = newId();
    html("label", { htmlFor: id, textContent: state.label }, box);
    const input = html("input", { id, type: state.number ? "number" : "text", autocomplete: "off" }, box);
    if (state.unit) html("span", { textContent: state.unit }, box);
    input.addEventListener("change", () => send(!state.number ? input.value : input.value === "" ? null : +input.value));
    return (state, free) => {
      input.disabled = state.disabled;
      if (state.number) [input.min, input.max, input.step] = [state.min, state.max, state.step];
      if (free) input.value = state.value ?? "";
    };
  },
  button(box, state, send) {
    const button = html("button", { type: "button" }, box);
    let last = -Infinity;
    button.addEventListener("click", () => {
      if (performance.now() - last < TWICE || button.getAttribute("aria-disabled") === "true") return;
      last = performance.now();
      if (box.state.busy) button.textContent = box.state.busy; // at once: the kernel may take a second
      send(null);
    });
    return (state, free) => {
      button.className = state.primary ? "kl-primary" : "";
      button.setAttribute("aria-disabled", state.disabled); // it keeps the focus, which a disabled button loses
      if (free) button.textContent = state.label;
    };
  },
};

function drawControl(box, name, state, sender) {
  box.state = state;
  if (!box.update) {
    box.className = `kl-control kl-is-${state.kind}`;
    box.dataset.name = name;
    box.update = CONTROLS[state.kind](box, state, value => sender.send(name, value));
  }
  box.hidden = state.hidden;
  box.title = state.tip;
  box.update(state, !sender.busy(name));
}

function drawGrid(place, name, grid, sender) {
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset.at : null;
  const table = html("table", { className: "kl-map" });
  html("caption", { textContent: grid.caption }, table);
  const head = html("tr", {}, html("thead", {}, table)), body = html("tbody", {}, table);
  ["", ...grid.columns].forEach(text => html("th", { scope: "col", textContent: text }, head));
  grid.cells.forEach((row, r) => {
    const tr = html("tr", {}, body);
    html("th", { scope: "row", textContent: grid.rows[r] }, tr);
    row.forEach((cell, c) => {
      const td = html("td", {}, tr);
      if (!cell) return;
      const button = html("button", { type: "button", textContent: cell.text, className: cell.look }, td);
      button.setAttribute("aria-label", cell.name);
      if (cell.pressed !== undefined) button.setAttribute("aria-pressed", cell.pressed);
      button.dataset.at = `${r},${c}`;
      button.addEventListener("click", () => sender.send(name, [r, c]));
      if (focused === button.dataset.at) requestAnimationFrame(() => button.focus());
    });
  });
  place.replaceChildren(table);
}

function drawTable(place, name, table, sender) {
  if (!table.rows.length) { place.replaceChildren(); return; }
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset.at : null;
  const caption = html("div", { className: "kl-caption", id: newId(), textContent: table.caption });
  const scrolled = html("div", { className: "kl-scrolled", tabIndex: 0, role: "group" });
  const node = html("table", { className: "kl-table" }, scrolled);
  for (const named of [scrolled, node]) named.setAttribute("aria-labelledby", caption.id);
  const head = html("tr", {}, html("thead", {}, node)), body = html("tbody", {}, node);
  table.head.forEach(text => html("th", { scope: "col", textContent: text }, head));
  for (const row of table.rows) {
    const tr = html("tr", { className: row.chosen ? "kl-chosen" : "" }, body);
    row.cells.forEach((text, i) => {
      const cell = html(i ? "td" : "th", {}, tr);
      if (i || row.id === undefined) { cell.textContent = text; return; }
      const button = html("button", { type: "button", textContent: text }, cell);
      button.setAttribute("aria-pressed", row.chosen);
      button.dataset.at = row.id;
      button.addEventListener("click", () => sender.send(name, row.id));
      if (focused === String(row.id)) requestAnimationFrame(() => button.focus());
    });
  }
  place.replaceChildren(caption, scrolled);
}

const DRAW = {
  chart: (place, name, content) => drawChart(place, content),
  map: drawGrid,
  table: drawTable,
  text: (place, name, content) => { if (place.innerHTML !== content) place.innerHTML = content; },
};

function render({ model, el }) {
  const sender = new Sender(model), places = {}, drawn = {};
  el.classList.add("kl-panel");
  el.dataset.lmSuppressShortcuts = "true"; // else JupyterLab takes arrow keys and letters
  el.addEventListener("keydown", event => event.stopPropagation());
  html("div", { className: "kl-title", textContent: model.get("title") }, el);
  const place = (parent, name) => {
    if (name.startsWith("group|")) {
      const [, title, ...names] = name.split("|");
      const details = html("details", { className: "kl-group" }, parent);
      html("summary", { textContent: title }, details);
      names.forEach(inner => place(details, inner));
      return;
    }
    places[name] = html("div", { className: `kl-${name.split(":")[0]}` }, parent);
    if (name === "text:result") { places[name].setAttribute("role", "status"); }
  };
  for (const row of model.get("rows")) {
    const line = html("div", { className: "kl-row" }, el);
    for (const column of row) {
      const box = html("div", { className: "kl-column" }, line);
      column.forEach(name => place(box, name));
    }
  }
  const showControls = () => {
    for (const [name, state] of Object.entries(model.get("controls")))
      if (places[`control:${name}`]) drawControl(places[`control:${name}`], name, state, sender);
  };
  const show = (resized = false) => {
    for (const [name, content] of Object.entries(model.get("contents"))) {
      const signs = JSON.stringify(content);
      if (!places[name] || (drawn[name] === signs && !(resized && name.startsWith("chart")))) continue;
      drawn[name] = signs;
      const [kind, id] = name.split(":");
      DRAW[kind](places[name], id, content, sender);
    }
  };
  const theme = () => {
    const color = getComputedStyle(el).color.match(/[\d.]+/g);
    if (!color) return; // not in the page yet; the observer of its size calls again
    const [r, g, b] = color.map(Number);
    el.classList.toggle("kl-dark", r + g + b > 384);
  };
  sender.whenFree = showControls;
  sender.whenBusy = busy => el.setAttribute("aria-busy", busy);
  model.on("change:controls", showControls);
  model.on("change:contents", () => show());
  const resizes = new ResizeObserver(() => { theme(); show(true); });
  resizes.observe(el);
  const themes = new MutationObserver(theme);
  for (const node of [document.body, document.documentElement]) themes.observe(node, { attributes: true });
  theme();
  showControls();
  show();
  return () => { resizes.disconnect(); themes.disconnect(); };
}

export default { render };
