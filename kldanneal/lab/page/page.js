// The page's own part. The form holds the whole state, and the address after # holds the form. Each change sets the
// parameters of the charts, which draw by themselves, and writes the words and the tables.
const $ = id => document.getElementById(id);
const read = id => JSON.parse($(id).textContent);
const DATA = read('data'), { grid, schedules, measures } = DATA;
const form = $('state'), field = form.elements;
const ROLES = ['chosen', 'A', 'B'];
const rows = ['once', 'cycles'].filter(mode => grid.modes.includes(mode))
  .flatMap(mode => grid.shapes.map(shape => grid.steps.map(steps => `${shape}-${steps}-${mode}`)));
if (grid.weights.length) rows.push(grid.weights.map(weight => `constant-${weight}`));
const views = {};
// What the charts draw: the same rows, each with all that a chart asks of it.
DATA.measured = DATA.runs.flatMap(({ key, seed, measured }) => measured.map(row =>
  ({ key, seed, ...Object.fromEntries(DATA.columns.map((name, i) => [name, row[i]])) })));
DATA.weights = [...new Set(DATA.runs.map(run => run.key))].map(key => ({ key, ...schedules[key.split('-wd')[0]] }));
for (const one of DATA.cells) Object.assign(one, schedules[one.schedule], { key: `${one.schedule}-wd${one.dropout}` });

// ------------------------------------------------------------------------------------------------------ the state
const value = name => field[name]?.value ?? '';
const number = name => Number(value(name));
const covered = () => value('covered') === '1';
const marks = () => value('marks').split(',').filter(Boolean);
const keyOf = (schedule, dropout) => `${schedule}-wd${dropout}`;
const chosen = () => value('mode') === 'constant' ? `constant-${value('weight')}`
  : `${value('shape')}-${value('steps')}-${value('mode')}`;

function choose(schedule) {
  const [first, second, mode] = schedule.split('-');
  if (mode) [field.shape.value, field.steps.value, field.mode.value] = [first, second, mode];
  else [field.mode.value, field.weight.value] = [first, second];
}

function mark(schedule) {
  const now = marks();
  field.marks.value = (now.includes(schedule) ? now.filter(one => one !== schedule) : [...now, schedule]).join();
}

function restore() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const input of form.querySelectorAll('input')) {
    if (!given.has(input.name)) { if (input.type === 'checkbox') input.checked = false; continue; }
    if (input.type === 'hidden') input.value = given.get(input.name);
    else input.checked = given.getAll(input.name).includes(input.value);
  }
  for (const name of ['mode', 'shape', 'steps', 'weight', 'dropout', 'distance']) // an old link may name what is not here
    if (!value(name)) form.querySelector(`[name=${name}]`).checked = true;
}

// What is drawn, the chosen schedule first: role, key, and a name in words.
function shown() {
  const series = [{ role: 'chosen', schedule: chosen(), key: keyOf(chosen(), value('dropout')) }];
  for (const role of ['A', 'B']) if (value(role)) series.push({ role, key: value(role) });
  for (const box of form.querySelectorAll('[name=reference]:checked')) {
    const one = DATA.references[box.value];
    series.push({ role: `${Number(box.value) + 1}`, key: one.key ?? keyOf(one.schedule, value('dropout')) });
  }
  for (const one of series) {
    [one.schedule, one.dropout] = one.key.split('-wd');
    one.words = schedules[one.schedule]?.words ?? one.schedule;
    one.runs = DATA.measured.filter(row => row.key === one.key && row.distance === number('distance'));
  }
  return series.filter((one, i) => series.findIndex(other => other.key === one.key) === i);
}

// ------------------------------------------------------------------------------------------- the words and the tables
const mean = numbers => numbers.reduce((sum, one) => sum + one, 0) / numbers.length;
const plural = (n, word) => `${n.toLocaleString('en')} ${word}${n === 1 ? '' : 's'}`;
const cell = (text, tag = 'td') => Object.assign(document.createElement(tag), { textContent: text });
const since = () => schedules[chosen()]?.low || number('distance')
  ? `${plural(number('distance'), 'update')} after the last low weight` : 'Before training';

function verdict({ words, dropout, runs }) {
  const name = `${words[0].toUpperCase()}${words.slice(1)}, word dropout ${dropout}.`;
  if (covered()) return `${name} Will its KL survive? Mark it on the map, then show the map.`;
  if (!runs.length) return `${name} Nothing is stored at this distance.`;
  const kl = runs.map(run => run.kl), dead = kl.filter(one => one < DATA.collapsed).length;
  const end = !dead ? 'The KL is alive in every seed.' : dead === kl.length ? 'Every seed has collapsed.'
    : `${dead} of ${kl.length} seeds have collapsed.`;
  return `${name} ${schedules[chosen()].low ? since() : `${plural(number('distance'), 'update')} after the start`}, the KL is `
    + `${mean(kl).toFixed(3)} nats (${plural(kl.length, 'seed')}: ${kl.map(one => one.toFixed(3)).join(', ')}). ${end}`;
}

function score() {
  const cells = DATA.cells.filter(one => one.dropout === number('dropout') && one.distance === number('distance'));
  const known = cells.filter(one => one.kl !== null), alive = known.filter(one => one.kl >= DATA.collapsed);
  const right = known.filter(one => marks().includes(one.schedule) === one.kl >= DATA.collapsed);
  const truth = `The mean KL is above ${DATA.collapsed} in ${alive.length} of ${known.length} squares.`;
  return marks().length ? `${truth} Your prediction is right in ${right.length} of ${known.length}.` : truth;
}

function writeTables(series) {
  $('table').tBodies[0].replaceChildren(...series.map(one => {
    const row = document.createElement('tr'), updates = [...new Set(one.runs.map(run => run.update))];
    const means = Object.entries(measures).map(([name, { digits }]) =>
      one.runs.length ? mean(one.runs.map(run => run[name])).toFixed(digits) : '–');
    row.append(cell(one.words, 'th'), ...[one.dropout, updates.map(at => at.toLocaleString('en')).join(', ') || '–',
      one.runs.map(run => run.kl.toFixed(3)).join(', ') || '–', ...means].map(text => cell(text)));
    return row;
  }));
  const here = DATA.cells.filter(one => one.dropout === number('dropout') && one.distance === number('distance'));
  const head = document.createElement('tr');
  head.append(...['schedule', 'mean KL (nats)', 'seeds'].map(text => cell(text, 'th')));
  $('whole').replaceChildren(head, ...here.map(one => {
    const row = document.createElement('tr');
    row.append(cell(one.words, 'th'), cell(one.kl?.toFixed(3) ?? '–'), cell(one.seeds));
    return row;
  }));
}

// ------------------------------------------------------------------------------------------------------- all of it
const parameters = series => ({
  keys: series.map(one => one.key), roles: series.map(one => one.role), schedule: chosen(), marks: marks(),
  dropout: number('dropout'), distance: number('distance'), covered: covered(),
  end: Math.max(...series.map(one => schedules[one.schedule]?.updates ?? 1)),
});

async function show() {
  const series = shown(), constant = value('mode') === 'constant';
  for (const name of ['shape', 'steps']) $(name).hidden = constant;
  $('weight').hidden = !constant;
  document.body.classList.toggle('covered', covered());
  $('task').textContent = covered() ? `Predict first. Where is the KL still above ${DATA.collapsed} nats, `
    + `${since().toLowerCase()}? Mark the squares, then show the map. (${marks().length} marked)` : score();
  $('cover').textContent = covered() ? 'Show the map' : 'Predict again';
  for (const button of field.pin) button.textContent = value(button.value) ? `Remove ${button.value}` : `Pin as ${button.value}`;
  $('lines').replaceChildren(...series.map(({ role, words, dropout }) => {
    const item = cell(`${ROLES.includes(role) && role !== 'chosen' ? `${role}: ` : ''}${words}, word dropout ${dropout}`, 'li');
    item.prepend(Object.assign(document.createElement('i'), { className: `line role-${role}` }));
    return item;
  }));
  writeTables(series);
  if ($('result').textContent !== verdict(series[0])) $('result').textContent = verdict(series[0]);
  history.replaceState(null, '', `#${new URLSearchParams(new FormData(form))}`);
  for (const [name, value] of Object.entries(parameters(series)))
    for (const view of Object.values(views)) view.signal(name, value);
  await Promise.all(Object.values(views).map(view => view.runAsync()));
}

function onMap(schedule, marking) {
  choose(schedule);
  if (covered() && marking) mark(schedule);
  show();
}

$('map').addEventListener('keydown', event => {
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (!step && !['Enter', ' '].includes(event.key)) return;
  event.preventDefault();
  let row = rows.findIndex(one => one.includes(chosen())), column = rows[row]?.indexOf(chosen()) ?? 0;
  row = Math.min(Math.max(row + (step?.[0] ?? 0), 0), rows.length - 1);
  column = Math.min(Math.max(column + (step?.[1] ?? 0), 0), rows[row].length - 1);
  onMap(rows[row][column], !step);
});
form.addEventListener('change', show);
form.addEventListener('submit', event => event.preventDefault());
for (const button of field.pin) button.addEventListener('click', () => {
  field[button.value].value = value(button.value) ? '' : keyOf(chosen(), value('dropout'));
  show();
});
$('cover').addEventListener('click', () => {
  field.covered.value = covered() ? '' : '1';
  if (covered()) field.marks.value = '';
  show();
});
addEventListener('hashchange', () => { restore(); show(); });


restore();
const start = parameters(shown());
await Promise.all(Object.entries(read('specifications')).map(async ([name, chart]) => {
  for (const set of chart.data) set.values ??= DATA[set.name];
  for (const signal of chart.signals) if (signal.name in start) signal.value = start[signal.name];
  const options = { mode: 'vega', renderer: 'svg', actions: false };
  const { view } = await vegaEmbed(document.querySelector(`[data-chart=${name}]`), chart, options);
  view.addEventListener('click', (event, item) => item?.datum?.place && onMap(item.datum.schedule, true));
  views[name] = view;
}));
await show();
document.body.dataset.ready = performance.now();
