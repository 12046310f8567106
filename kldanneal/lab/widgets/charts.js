// Charts as SVG, drawn at the width that the page has, in the colours of its theme. The kernel sends numbers and words.

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 58, RIGHT = 12, GAP = 14, BELOW = 36;

function svg(name, attributes, parent, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

function html(name, properties, parent) {
  const node = Object.assign(document.createElement(name), properties);
  if (parent) parent.append(node);
  return node;
}

function ticks([low, high], log, wanted) {
  if (log) {
    const found = [];
    for (let power = Math.ceil(Math.log10(low)); power <= Math.log10(high); power++) found.push(10 ** power);
    return found;
  }
  const multiples = step => {
    const found = [];
    for (let n = Math.ceil(low / step - 1e-9); n * step <= high + 1e-9 * step; n++) found.push(n * step);
    return found;
  };
  const rough = (high - low) / wanted, unit = 10 ** Math.floor(Math.log10(rough)), factors = [0.5, 1, 2, 5, 10];
  const i = factors.findIndex(factor => factor >= 1 && factor * unit >= rough);
  const found = multiples(factors[i] * unit);
  return found.length < 3 ? multiples(factors[i - 1] * unit) : found;
}

function words(value) {
  if (Math.abs(value) < 1e-12) return "0"; // and not -0
  if (value !== 0 && Math.abs(value) < 0.001) return value.toExponential(0);
  return value.toLocaleString("en", { maximumFractionDigits: 3 });
}

function scale([low, high], from, to, log) {
  const place = log ? Math.log10 : value => value;
  const [a, b] = [place(low), place(high)];
  return value => from + (to - from) * (place(log ? Math.max(value, low) : value) - a) / (b - a);
}

function path(line, x, y) {
  let d = "", pen = "M";
  line.y.forEach((value, i) => {
    if (value === null) { pen = "M"; return; }
    d += `${pen}${x(line.x ? line.x[i] : i).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = "L";
  });
  return d;
}

function swatch(entry) {
  const icon = svg("svg", { width: 26, height: 12, "aria-hidden": "true", class: "kl-swatch" });
  if (entry.shade) svg("rect", { width: 26, height: 12, class: "kl-shade" }, icon);
  else svg("line", { x1: 1, x2: 25, y1: 6, y2: 6, class: `kl-line kl-${entry.color}`, "stroke-width": entry.width ?? 2,
                     "stroke-dasharray": entry.dash ?? "none" }, icon);
  return icon;
}

function drawPanel(root, chart, panel, top, width, id) {
  const right = width - RIGHT, bottom = top + panel.height;
  const x = scale(chart.x, LEFT, right), y = scale(panel.y, bottom, top, panel.log);
  svg("rect", { x: LEFT, y: top, width: right - LEFT, height: panel.height }, svg("clipPath", { id }, root));
  const inside = svg("g", { "clip-path": `url(#${id})` });
  if (chart.shade) svg("rect", { x: x(chart.shade[0]), y: top, width: Math.max(0, x(chart.shade[1]) - x(chart.shade[0])),
                                 height: panel.height, class: "kl-shade" }, inside);
  for (const tick of ticks(panel.y, panel.log, panel.height / 35)) {
    svg("line", { x1: LEFT, x2: right, y1: y(tick), y2: y(tick), class: "kl-grid" }, root);
    svg("text", { x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }, root, words(tick));
  }
  svg("text", { x: -(top + bottom) / 2, y: 12, transform: "rotate(-90)", "text-anchor": "middle" }, root, panel.label);
  root.append(inside);
  for (const bar of panel.bars ?? []) {
    const half = bar.width / 2 * (x(1) - x(0)), height = Math.max(0, bottom - y(bar.y));
    svg("rect", { x: x(bar.x) - half, y: bottom - height, width: 2 * half, height, class: `kl-fill kl-${bar.color}` }, inside);
  }
  for (const line of panel.lines ?? [])
    svg("path", { d: path(line, x, y), class: `kl-line kl-${line.color}`, "stroke-width": line.width ?? 2,
                  "stroke-dasharray": line.dash ?? "none", opacity: line.opacity ?? 1 }, inside);
  for (const rule of panel.rules ?? []) {
    const across = rule.y !== undefined;
    svg("line", across ? { x1: LEFT, x2: right, y1: y(rule.y), y2: y(rule.y), class: "kl-rule" }
                       : { x1: x(rule.x), x2: x(rule.x), y1: top, y2: bottom, class: "kl-rule" }, inside);
    const late = !across && x(rule.x) > (LEFT + right) / 2;
    svg("text", across ? { x: right - 4, y: y(rule.y) - 4, "text-anchor": "end" }
                       : { x: x(rule.x) + (late ? -5 : 5), y: top + 12, "text-anchor": late ? "end" : "start" },
        inside, rule.text);
  }
  for (const mark of panel.marks ?? [])
    svg("circle", { cx: x(mark.x), cy: y(mark.y), r: 6, class: `kl-fill kl-${mark.color}` }, root);
  svg("line", { x1: LEFT, x2: right, y1: bottom, y2: bottom, class: "kl-axis" }, root);
}

// Every panel of a page loads this file anew, so a count alone would give two panels the same ids.
const OWN = `kl_${Math.random().toString(36).slice(2, 10)}`;
let ids = 0;

function newId() {
  return `${OWN}_${ids++}`;
}

function drawChart(place, chart) {
  const width = Math.floor(place.clientWidth), id = newId();
  if (!width) return;
  const height = chart.panels.reduce((sum, panel) => sum + panel.height + GAP, 0) + BELOW;
  const legend = html("div", { className: "kl-legend" });
  for (const entry of chart.legend ?? []) html("span", {}, legend).append(swatch(entry), ` ${entry.text}`);
  const root = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": chart.alt });
  let top = 6;
  chart.panels.forEach((panel, i) => {
    drawPanel(root, chart, panel, top, width, `${id}_${i}`);
    top += panel.height + GAP;
  });
  top -= GAP;
  const x = scale(chart.x, LEFT, width - RIGHT);
  const counted = chart.panels.some(panel => panel.bars); // bars stand at whole numbers
  for (const tick of ticks(chart.x, false, width / (counted ? 40 : 90))) {
    if (counted && tick % 1) continue;
    const atEnd = x(tick) > width - RIGHT - 12;
    svg("text", { x: atEnd ? width - 2 : x(tick), y: top + 16, "text-anchor": atEnd ? "end" : "middle" }, root, words(tick));
  }
  svg("text", { x: (LEFT + width - RIGHT) / 2, y: top + 32, "text-anchor": "middle" }, root, chart.label);
  place.replaceChildren(legend, root);
}
