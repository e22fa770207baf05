"use strict";
// The chart and the table of one profile. All state is in `view`; every control changes it and calls what shows it.

const { figures, rows } = JSON.parse(document.getElementById("data").textContent);
const FIGURES = Object.fromEntries(figures.map(({ name, heading }) => [name, heading]));
const NOUNS = Object.fromEntries(figures.map(({ name, noun }) => [name, noun]));
const COST = figures[0].name;
const UNITS = ["", " K", " M", " G", " T", " P", " E", " Z", " Y", " R", " Q"];
const LEVEL_WIDTH = 160, LEAST_LEVELS = 3, ONE_LINE = 17, TWO_LINES = 38, LETTER = 7.2, SLICES_PER_LEVEL = 400n, CLASSES = 7;

const view = { figure: COST, scope: "own", exact: false, at: 0, marked: null };
const $ = (id) => document.getElementById(id);
const system = matchMedia("(prefers-color-scheme: dark)");

for (const row of rows) {
  row.children = [];
  row.parent = rows[row.parent] ?? null; // a parent always comes before
  row.parent?.children.push(row);
  for (const scope of ["own", "all"])
    for (const figure in FIGURES) row[scope][figure] = BigInt(row[scope][figure]);
}
const total = (figure) => rows[0].all[figure];

// Words and numbers

const exact = (value) => value.toLocaleString("en");

function clever(value) {
  let scaled = Number(value), power = 0;
  while (Number(scaled.toFixed(power ? 2 : 0)) >= 1000) { scaled /= 1000; power += 1; }
  return scaled.toFixed(power ? 2 : 0) + UNITS[power];
}

const part = (value, whole) => (whole ? Number((value * 1000000n) / whole) / 10000 : 0);
const percent = (value, whole) => `${part(value, whole).toFixed(2)} %`;
const written = (value) => (view.exact ? exact(value) : clever(value));

// Plotly reads tags in a label; a name of a model is none.
const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

function element(tag, properties, text) {
  const made = Object.assign(document.createElement(tag), properties);
  made.textContent = text;
  return made;
}

// A colour for each class that has most of any figure; all others share the last one.

const costs = new Map();
for (const row of rows) {
  const of = costs.get(row.class) ?? Object.fromEntries(figures.map(({ name }) => [name, 0n]));
  for (const figure in of) of[figure] += row.own[figure];
  costs.set(row.class, of);
}
const weight = (cls) => Math.max(...Object.keys(FIGURES).map((figure) => part(costs.get(cls)[figure], total(figure))));
const ranked = [...costs.keys()].filter((cls) => weight(cls) > 0).sort((a, b) => weight(b) - weight(a));
const colours = new Map(ranked.slice(0, CLASSES).map((cls, place) => [cls, `--class-${place}`]));
const colour = (cls) => colours.get(cls) ?? `--class-${CLASSES}`;

// Plotly cannot read light-dark(): let the browser say what a variable is just now.
function resolved(variable) {
  const probe = document.body.appendChild(element("i"));
  probe.style.color = `var(${variable})`;
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

// Chart

function isInside(row, ancestor) {
  for (let each = row; each; each = each.parent) if (each === ancestor) return true;
  return false;
}

// What can be seen of the tree below a module: a few levels, and no slice that would be thinner than a pixel. What a
// module costs besides its submodules is a slice beside them.
function slices(top, levels) {
  const { figure } = view, seen = [], whole = top.all[figure], least = whole / SLICES_PER_LEVEL;
  const walk = (row, parent, level) => {
    const below = level < levels ? row.children.filter((child) => child.all[figure] > least) : [];
    const id = String(row.id), open = below.length > 0, own = row.own[figure];
    seen.push({ row, id, parent, level, open, own: false, value: row.all[figure] });
    if (open && own > least) seen.push({ row, id: `${id}-own`, parent: id, level: level + 1, own: true, value: own });
    for (const child of below) walk(child, id, level + 1);
  };
  walk(top, "", 1);
  return seen;
}

// The class whose modules cost most at and below a module, itself alone if its submodules are drawn beside.
function kind({ row, own }) {
  if (own || !row.children.length) return row.class;
  const sums = new Map();
  const walk = (each) => {
    sums.set(each.class, (sums.get(each.class) ?? 0n) + each.own[view.figure]);
    each.children.forEach(walk);
  };
  walk(row);
  return [...sums.keys()].reduce((most, cls) => (sums.get(cls) > sums.get(most) ? cls : most));
}

// As much as fits: Plotly would shrink a longer text until nobody can read it.
function label({ row, own, value }, whole, height, width) {
  const share = `${part(value, whole).toFixed(1)} %`, room = Math.floor(width / LETTER);
  const tall = (part(value, whole) / 100) * height;
  if (tall < ONE_LINE) return "";
  const last = row.name.split(".").pop();
  const full = own ? "itself" : /^\d+$/.test(last) ? `${last} ${row.class}` : last;
  const name = plain(full.length > room ? `${full.slice(0, room - 1)}…` : full);
  const title = own ? `<i>${name}</i>` : `<b>${name}</b>`;
  if (tall < TWO_LINES) return full.length + share.length + 2 > room ? title : `${title}  ${share}`;
  return `${title}<br>${clever(value)} · ${share}`;
}

function hover({ row, value, own }) {
  const top = Object.entries(row.operators).slice(0, 6);
  const operators = (!row.children.length || own) && view.figure === COST ? top : [];
  return [
    `<b>${plain(row.name)}</b>${own ? ", without its submodules" : ""}`,
    plain(row.class),
    `${exact(value)} ${NOUNS[view.figure]} (${percent(value, total(view.figure))})`,
    `${plain(row.inputs)} → ${plain(row.outputs)}`,
    ...(row.calls === 1 ? [] : [`${exact(row.calls)} calls`]),
    ...operators.map(([name, each]) => `${plain(name)}: ${exact(BigInt(each))}`),
  ].join("<br>");
}

function drawChart() {
  const top = rows[view.at], whole = top.all[view.figure], chart = $("chart");
  drawTrail(top);
  drawLegend();
  chart.classList.toggle("empty", !whole);
  if (!whole) {
    Plotly.purge(chart);
    chart.textContent = `No ${NOUNS[view.figure]} here.`;
    return;
  }
  if (!chart._fullLayout) chart.textContent = "";
  const seen = slices(top, Math.max(LEAST_LEVELS, Math.floor(chart.clientWidth / LEVEL_WIDTH)));
  const [ink, paper, accent, container] = ["--ink", "--paper", "--accent", "--container"].map(resolved);
  const fill = new Map([...colours.values(), `--class-${CLASSES}`].map((name) => [name, resolved(name)]));
  const width = chart.clientWidth / Math.max(...seen.map(({ level }) => level));
  const marked = ({ row, own }) => row === view.marked && !own && row !== top;
  Plotly.react(
    chart,
    [{
      type: "icicle",
      ids: seen.map(({ id }) => id),
      parents: seen.map(({ parent }) => parent),
      labels: seen.map(({ row }) => plain(row.name)),
      // Rounded down, parts never exceed their whole, which Plotly checks; beyond 2**53 they would.
      values: seen.map(({ value }) => Number((value * 10n ** 12n) / whole)),
      text: seen.map((slice) => label(slice, whole, chart.clientHeight, width)),
      hovertext: seen.map(hover),
      customdata: seen.map(({ row }) => row.id),
      branchvalues: "total",
      sort: false,
      tiling: { orientation: "h", pad: 1 },
      pathbar: { visible: false },
      textinfo: "text",
      hovertemplate: "%{hovertext}<extra></extra>",
      textfont: { color: ink, size: 12 },
      leaf: { opacity: 1 },
      marker: {
        colors: seen.map((slice) => (slice.open ? container : fill.get(colour(kind(slice))))),
        line: {
          color: seen.map((slice) => (marked(slice) ? accent : paper)),
          width: seen.map((slice) => (marked(slice) ? 3 : 0.5)),
        },
      },
    }],
    {
      margin: { t: 0, r: 0, b: 0, l: 0 },
      paper_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: ink },
      hoverlabel: { bgcolor: paper, bordercolor: ink, font: { color: ink }, align: "left" },
    },
    { displayModeBar: false, responsive: true },
  );
  if (!chart.listening) {
    chart.listening = true;
    // Plotly's own zoom is refused: it knows only the slices that were drawn.
    chart.on("plotly_icicleclick", ({ points: [point] }) => {
      const row = rows[point.customdata];
      zoom(row === rows[view.at] && row.parent ? row.parent : row);
      return false;
    });
  }
}

function drawTrail(top) {
  const path = [];
  for (let row = top; row; row = row.parent) path.unshift(row);
  $("trail").replaceChildren(...path.map((row) => {
    const text = row.parent ? row.name.slice(row.parent.parent ? row.parent.name.length + 1 : 0) : row.class;
    return element("button", { type: "button", onclick: () => zoom(row) }, text);
  }));
  $("trail").lastChild.setAttribute("aria-current", "location");
}

function drawLegend() {
  const share = (cls) => costs.get(cls)[view.figure];
  const shown = [...colours.keys()].filter((cls) => share(cls) > 0n);
  $("legend").replaceChildren(...shown.map((cls) => {
    const chip = element("button", { type: "button" }, `${cls} ${percent(share(cls), total(view.figure))}`);
    chip.style.setProperty("--swatch", `var(${colour(cls)})`);
    chip.onclick = () => { $("search").value = cls; search(); };
    return chip;
  }));
}

// To a module; one without submodules shows within the module that holds it.
function zoom(row, { scroll = true } = {}) {
  let top = row;
  while (top.parent && (!top.children.length || !top.all[view.figure])) top = top.parent;
  view.at = top.id;
  mark(row, scroll);
  drawChart();
}

function mark(row, scroll) {
  view.marked = row;
  table.deselectRow();
  if (!table.getRow(row.id) || !table.getRows("active").some((each) => each.getIndex() === row.id)) return;
  table.selectRow(row.id);
  if (scroll) table.scrollToRow(row.id, "center", false);
}

// Table

const ascending = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
const moduleOf = (component) => rows[component.getData().id]; // the module of a row or cell of the table
const figureOf = (component, figure) => moduleOf(component)[view.scope][figure];

const figureColumn = (figure) => ({
  title: FIGURES[figure],
  field: figure,
  hozAlign: "right",
  headerHozAlign: "right",
  minWidth: 122,
  headerSortStartingDir: "desc",
  sorter: (a, b, first, second) => ascending(figureOf(first, figure), figureOf(second, figure)),
  formatter: (cell) => {
    const value = figureOf(cell, figure);
    return element("span", { className: value ? "" : "zero", title: exact(value) }, written(value));
  },
});

const share = {
  title: "Share",
  field: "share",
  minWidth: 92,
  hozAlign: "right",
  headerHozAlign: "right",
  headerSortStartingDir: "desc",
  sorter: (a, b, first, second) =>
    ascending(figureOf(first, view.figure), figureOf(second, view.figure)),
  formatter: (cell) => {
    const value = figureOf(cell, view.figure);
    const bar = element("span", { className: "share" }, percent(value, total(view.figure)));
    bar.style.setProperty("--part", `${part(value, total(view.figure))}% 100%`);
    return bar;
  },
};

const words = (title, field, minWidth) => ({ title, field, minWidth, formatter: "plaintext", tooltip: true });

const table = new Tabulator("#table", {
  // Without the links between modules: Tabulator copies the data of a row, and would copy the tree each time.
  data: rows.map(({ id, name, class: cls, inputs, outputs, calls }) => ({ id, name, class: cls, inputs, outputs, calls })),
  index: "id",
  layout: "fitColumns",
  selectableRows: 1,
  placeholder: "No module has this in its name or class.",
  columnDefaults: { resizable: "header" },
  columns: [
    {
      title: "Name",
      field: "name",
      minWidth: innerWidth < 600 ? 170 : 250,
      widthGrow: 3,
      sorter: "alphanum",
      formatter: (cell) => element("button", { type: "button", className: "name", title: cell.getValue() }, cell.getValue()),
    },
    ...figures.map(({ name }) => figureColumn(name)),
    share,
    words("Class", "class", 130),
    words("Input", "inputs", 150),
    words("Output", "outputs", 150),
    { title: "Calls", field: "calls", minWidth: 70, hozAlign: "right", headerHozAlign: "right", sorter: "number" },
  ],
});

// Own figures are those of layers: a module that only holds others has none.
const isLayer = (row) => !row.children.length || Object.values(row.own).some((value) => value > 0n);

function search() {
  const wanted = $("search").value.trim().toLowerCase();
  table.setFilter((row) =>
    (view.scope === "all" || isLayer(rows[row.id])) &&
    (row.name.toLowerCase().includes(wanted) || row.class.toLowerCase().includes(wanted)));
}

// The figures of the rows shown; with submodules they would count the same thing twice.
function countShown(_, shown) {
  const add = (figure) => shown.reduce((sum, row) => sum + moduleOf(row).own[figure], 0n);
  const sums = Object.keys(FIGURES).map((figure) =>
    `${written(add(figure))} ${NOUNS[figure]} (${percent(add(figure), total(figure))})`);
  $("shown").textContent =
    `${exact(shown.length)} of ${exact(rows.length)} modules` + (view.scope === "own" ? `: ${sums.join(", ")}` : "");
}

function redrawTable() {
  const [sorted] = table.getSorters();
  search();
  if (sorted) table.setSort(sorted.field, sorted.dir);
  table.getRows("visible").forEach((row) => row.reformat());
  table.redraw(true);
}

table.on("dataFiltered", countShown);
table.on("rowClick", (_, row) => zoom(rows[row.getIndex()], { scroll: false }));
table.on("tableBuilt", () => {
  for (const header of document.querySelectorAll(".tabulator-col.tabulator-sortable")) {
    header.tabIndex = 0;
    header.addEventListener("keydown", (event) => { if (event.key === "Enter") header.click(); });
  }
  search();
});

// Controls

function paint() {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : system.matches;
  $("theme").setAttribute("aria-checked", dark);
  drawChart();
}

$("theme").onclick = () => {
  document.documentElement.dataset.theme = $("theme").getAttribute("aria-checked") === "true" ? "light" : "dark";
  paint();
};
$("figure").onchange = ({ target }) => { view.figure = target.value; drawChart(); redrawTable(); };
$("scope").onchange = ({ target }) => { view.scope = target.value; redrawTable(); };
$("exact").onchange = ({ target }) => { view.exact = target.checked; redrawTable(); };
$("search").oninput = search;
system.addEventListener("change", paint);
paint();
