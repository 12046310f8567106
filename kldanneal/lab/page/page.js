// The page's own part. The form holds the whole state, and the address after # holds the form. Each change sets the
// parameters of the charts, which draw by themselves, and writes the words and the tables.
const $ = id => document.getElementById(id), read = id => JSON.parse($(id).textContent);
const DATA = read('data'), { grid, schedules } = DATA, form = $('state'), field = form.elements;
const views = window.views = {}; // in sight of tests, and of a browser's console

// What the charts draw: the stored rows, each with all that a chart asks of it.
const keyOf = (schedule, dropout) => `${schedule}-wd${dropout}`;
DATA.measured = DATA.runs.flatMap(({ key, seed, measured }) => measured.map(row =>
  ({ key, seed, ...Object.fromEntries(DATA.columns.map((name, i) => [name, row[i]])) })));
DATA.weights = [...new Set(DATA.runs.map(run => run.key))].map(key => ({ key, ...schedules[key.split('-wd')[0]] }));
for (const one of DATA.cells) Object.assign(one, schedules[one.schedule], { key: keyOf(one.schedule, one.dropout) });

const value = name => field[name]?.value ?? '', number = name => Number(value(name));
const covered = () => value('covered') === '1', marks = () => value('marks').split(',').filter(Boolean);
const chosen = () => value('mode') === 'constant' ? `constant-${value('weight')}`
  : `${value('shape')}-${value('steps')}-${value('mode')}`;
const here = () => DATA.cells.filter(one => one.dropout === number('dropout') && one.distance === number('distance'));

function restore() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const input of form.querySelectorAll('input')) {
    if (input.type === 'checkbox') input.checked = given.getAll(input.name).includes(input.value);
    else if (input.type === 'hidden') input.value = given.get(input.name) ?? input.defaultValue;
    else if (given.has(input.name)) input.checked ||= given.get(input.name) === input.value; // else: as it was
  }
}

/** Chooses a schedule by its name; on the covered map a click marks it too, or takes the mark away. */
function choose(schedule, marking) {
  const [first, second, mode] = schedule.split('-'), now = marks();
  if (mode) [field.shape.value, field.steps.value, field.mode.value] = [first, second, mode];
  else [field.mode.value, field.weight.value] = [first, second];
  if (covered() && marking)
    field.marks.value = now.includes(schedule) ? now.filter(one => one !== schedule) : [...now, schedule];
  show();
}

/** What is drawn, the chosen schedule first. */
function shown() {
  const references = [...form.querySelectorAll('[name=reference]:checked')].map(box => [Number(box.value) + 1,
    DATA.references[box.value].key ?? keyOf(DATA.references[box.value].schedule, value('dropout'))]);
  const keys = [['chosen', keyOf(chosen(), value('dropout'))], ['A', value('A')], ['B', value('B')], ...references];
  const first = keys.filter(([, key], i) => key && keys.findIndex(other => other[1] === key) === i);
  return first.map(([role, key]) => {
    const [schedule, dropout] = key.split('-wd'), { words = schedule, low = 0, updates = 1 } = schedules[schedule] ?? {};
    const runs = DATA.measured.filter(row => row.key === key && row.distance === number('distance'));
    const name = `${upper(words)}, word dropout ${dropout}`;
    return { role: `${role}`, key, name: 'AB'.includes(role) ? `${role}: ${name}` : name, low, updates, runs };
  });
}

const parameters = series => ({
  keys: series.map(one => one.key), roles: series.map(one => one.role), schedule: chosen(), marks: marks(),
  dropout: number('dropout'), distance: number('distance'), covered: covered(),
  end: Math.max(...series.map(one => one.updates)),
});

const mean = numbers => numbers.reduce((sum, one) => sum + one, 0) / numbers.length;
const each = numbers => numbers.map(one => one.toFixed(3)).join(', ') || '–';
const upper = text => text[0].toUpperCase() + text.slice(1);
const distance = (from = 'last low weight') => number('distance')
  ? `${number('distance').toLocaleString('en')} updates after the ${from}` : `right after the ${from}`;
const element = (tag, text, more) => Object.assign(document.createElement(tag), { textContent: text, ...more });

function tableRow(head, ...cells) {
  const row = element('tr', '');
  row.append(element('th', head, { scope: 'row' }), ...cells.map(text => element('td', text)));
  return row;
}

function verdict({ name, low, runs }) {
  if (covered()) return `${name}. ${marks().includes(chosen()) ? 'Marked: you expect the KL to survive' : 'Not marked: you expect collapse'}.`;
  const when = distance(low ? 'last low weight' : 'start');
  if (!runs.length) return `${name}. Nothing is stored ${when}.`;
  const kl = runs.map(run => run.kl), dead = kl.filter(one => one < DATA.collapsed).length;
  return `${name}. ${upper(when)}, the KL is ${mean(kl).toFixed(3)} nats (seeds: ${each(kl)}). `
    + (dead ? `${dead} of ${kl.length} seeds have collapsed.` : 'No seed has collapsed.');
}

function task() {
  const known = here().filter(one => one.kl !== null), alive = one => one.kl >= DATA.collapsed, guess = marks();
  if (covered()) return `Predict first. Where is the KL still above ${DATA.collapsed} nats, ${distance()}? `
    + `Mark the squares, then show the map. You have marked ${guess.length}.`;
  const right = known.filter(one => guess.includes(one.schedule) === alive(one)).length, all = known.length;
  return `${upper(distance())}, the mean KL is above ${DATA.collapsed} nats in ${known.filter(alive).length} of ${all} `
    + `squares.${guess.length ? ` Your prediction is right in ${right} of ${all}.` : ''}`;
}

function write(series) {
  const said = verdict(series[0]);
  if ($('result').textContent !== said) $('result').textContent = said; // or it would be announced again
  for (const [name, words] of [['weight', 'KL weight'], ['kl', 'KL'], ['reconstruction', 'Reconstruction']])
    $(`${name}-picture`).ariaLabel = `${words} over the updates: ${series.map(one => one.name).join('; ')}. ${said}`;
  $('task').textContent = task();
  $('cover').textContent = covered() ? 'Show the map' : 'Predict again';
  for (const pin of field.pin) pin.textContent = value(pin.value) ? `Remove ${pin.value}` : `Pin as ${pin.value}`;
  for (const name of ['shape', 'steps', 'weight']) $(name).hidden = (value('mode') === 'constant') !== (name === 'weight');
  document.body.classList.toggle('covered', covered());
  $('lines').replaceChildren(...series.map(({ role, name }) => element('li', name, { className: `line role-${role}` })));
  $('table').tBodies[0].replaceChildren(...series.map(({ name, runs }) => tableRow(name,
    [...new Set(runs.map(run => run.update.toLocaleString('en')))].join(', ') || '–', each(runs.map(run => run.kl)),
    ...Object.entries(DATA.measures).map(([measure, { digits }]) =>
      runs.length ? mean(runs.map(run => run[measure])).toFixed(digits) : '–'))));
  $('whole').tBodies[0].replaceChildren(...here().map(one => tableRow(one.words, one.kl?.toFixed(3) ?? '–', one.seeds)));
}

async function show() {
  const series = shown();
  write(series);
  history.replaceState(null, '', `#${new URLSearchParams(new FormData(form))}`);
  for (const [name, to] of Object.entries(parameters(series)))
    for (const view of Object.values(views)) view.signal(name, to);
  await Promise.all(Object.values(views).map(view => view.runAsync()));
}

const onMap = grid.modes.filter(mode => mode !== 'constant') // the rows of the map, as the arrow keys go through them
  .flatMap(mode => grid.shapes.map(shape => grid.steps.map(steps => `${shape}-${steps}-${mode}`)));
if (grid.weights.length) onMap.push(grid.weights.map(weight => `constant-${weight}`));

$('map').addEventListener('keydown', event => {
  const keys = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Enter: [0, 0], ' ': [0, 0] };
  if (!(event.key in keys)) return;
  event.preventDefault();
  const [down, right] = keys[event.key], row = onMap.findIndex(one => one.includes(chosen()));
  const next = onMap[Math.min(Math.max(row + down, 0), onMap.length - 1)];
  choose(next[Math.min(Math.max(onMap[row].indexOf(chosen()) + right, 0), next.length - 1)], !down && !right);
});
form.addEventListener('change', show);
form.addEventListener('click', ({ target }) => {
  if (target.name === 'pin') field[target.value].value = value(target.value) ? '' : keyOf(chosen(), value('dropout'));
  else if (target.id === 'cover') [field.covered.value, field.marks.value] = covered() ? ['', value('marks')] : ['1', ''];
  else return;
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
  view.addEventListener('click', (event, item) => item?.datum?.place && choose(item.datum.schedule, true));
  views[name] = view;
}));
await show();
document.body.dataset.ready = performance.now();
