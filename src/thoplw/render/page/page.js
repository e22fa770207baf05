"use strict";
// The chart and the table of one profile. All state is in `view`; every control changes it and calls what shows it.

// `figures` are what modules have: a name in the data, a heading, and a noun for "12 K of them". The first is the one
// that operators have too.
const { figures, rows } = JSON.parse(document.getElementById("data").textContent);
const FIGURES = figures.map(({ name }) => name);
const HEADINGS = Object.fromEntries(figures.map(({ name, heading }) => [name, heading]));
const NOUNS = Object.fromEntries(figures.map(({ name, noun }) => [name, noun]));
const UNITS = ["", " K", " M", " G", " T", " P", " E", " Z", " Y", " R", " Q"];
const LEVEL_WIDTH = 160, LEAST_LEVELS = 3, SLICES_PER_LEVEL = 400n, OPENED = 4n, CLASSES = 7, OPERATORS = 6, THIN = 0.7;

const view = { figure: FIGURES[0], scope: "own", exact: false, at: 0, marked: null };
const $ = (id) => document.getElementById(id);
const system = matchMedia("(prefers-color-scheme: dark)");

for (const row of rows) {
  row.children = [];
  row.parent = rows[row.parent] ?? null; // a parent always comes before
  row.parent?.children.push(row);
  for (const scope of ["own", "all"])
    for (const figure of FIGURES) row[scope][figure] = BigInt(row[scope][figure]);
}
const total = (figure) => rows[0].all[figure];

// Words and numbers

const { format: exact } = new Intl.NumberFormat("en");

function clever(value) {
  let scaled = Number(value), power = 0;
  while (Number(scaled.toFixed(power ? 2 : 0)) >= 1000) { scaled /= 1000; power += 1; }
  return scaled.toFixed(power ? 2 : 0) + UNITS[power];
}

const part = (value, whole) => (whole ? Number((value * 1000000n) / whole) / 10000 : 0);
const percent = (value, whole) => `${part(value, whole).toFixed(2)} %`;
const written = (value) => (view.exact ? exact(value) : clever(value));

function element(tag, properties = {}, text = "") {
  const made = Object.assign(document.createElement(tag), properties);
  made.textContent = text;
  return made;
}

// A colour for each class that has most of any figure; all others share the last one.

const costs = new Map();
for (const row of rows) {
  const of = costs.get(row.class) ?? Object.fromEntries(FIGURES.map((figure) => [figure, 0n]));
  for (const figure of FIGURES) of[figure] += row.own[figure];
  costs.set(row.class, of);
}
const weight = (cls) => Math.max(...FIGURES.map((figure) => part(costs.get(cls)[figure], total(figure))));
const ranked = [...costs.keys()].filter((cls) => weight(cls) > 0).sort((a, b) => weight(b) - weight(a));
const colours = new Map(ranked.slice(0, CLASSES).map((cls, place) => [cls, `--class-${place}`]));
const colour = (cls) => colours.get(cls) ?? `--class-${CLASSES}`;

// Chart

function isInside(row, ancestor) {
  for (let each = row; each; each = each.parent) if (each === ancestor) return true;
  return false;
}

const levels = () => Math.max(LEAST_LEVELS, Math.floor($("chart").clientWidth / LEVEL_WIDTH));

// What can be seen of the tree below a module: a few levels, no slice that would be thinner than a pixel, and nothing
// below a slice that is too thin for a name. A slice is
// all of a module; or what a module costs "itself", beside its submodules; or the "rest", those too small to be seen.
// Shares of the whole are numbers, since costs beyond 2**53 would not be exact.
function slices(top) {
  const { figure } = view, whole = top.all[figure], least = whole / SLICES_PER_LEVEL, deepest = levels();
  const slice = (row, what, of, value) => ({ row, what, of, value, share: Number((value * 10n ** 12n) / whole) });
  const open = (row, level) => {
    const seen = row.children.filter((child) => child.all[figure] > least);
    const rest = row.children.filter((child) => child.all[figure] && child.all[figure] <= least);
    const small = rest.reduce((sum, child) => sum + child.all[figure], 0n), own = row.own[figure];
    const children = [];
    if (level < deepest && row.children.length && row.all[figure] > OPENED * least) {
      if (own > least) children.push(slice(row, "itself", [], own));
      children.push(...seen.map((child) => open(child, level + 1)));
      if (small > least) children.push(slice(row, "rest", rest, small));
    }
    return { ...slice(row, "all", row.children, row.all[figure]), children };
  };
  return d3.hierarchy(open(top, 1)).each((node) => { node.value = node.data.share; });
}

const key = ({ data: { row, what } }) => `${row.id}-${what}`;

// The class whose modules cost most in a slice.
function kind({ row, what, of }) {
  const sums = new Map(what === "rest" ? [] : [[row.class, row.own[view.figure]]]);
  const walk = (each) => {
    sums.set(each.class, (sums.get(each.class) ?? 0n) + each.own[view.figure]);
    each.children.forEach(walk);
  };
  of.forEach(walk);
  return [...sums.keys()].reduce((most, cls) => (sums.get(cls) > sums.get(most) ? cls : most));
}

const smaller = (of) => `${exact(of.length)} smaller`;

function title({ row, what, of }) {
  const last = row.name.split(".").pop();
  const name = /^\d+$/.test(last) ? `${last} ${row.class}` : last;
  return { all: name, itself: "itself", rest: smaller(of) }[what];
}

// What is said of a slice when one points at it, and to who cannot see it.
function facts({ row, what, of, value }) {
  const cost = `${exact(value)} ${NOUNS[view.figure]} (${percent(value, total(view.figure))})`;
  if (what === "rest") return [`${smaller(of)} in ${row.name}`, cost];
  const top = Object.entries(row.operators).slice(0, OPERATORS);
  const operators = (what === "itself" || !row.children.length) && view.figure === FIGURES[0] ? top : [];
  return [
    `${row.name}${what === "itself" ? ", without its submodules" : ""}`,
    row.class,
    cost,
    `${row.inputs} → ${row.outputs}`,
    ...(row.calls === 1 ? [] : [`${exact(row.calls)} calls`]),
    ...operators.map(([name, each]) => `${name}: ${exact(BigInt(each))}`),
  ];
}

function drawChart() {
  const top = rows[view.at], whole = top.all[view.figure], chart = d3.select("#chart");
  drawTrail(top);
  drawLegend();
  hideTip();
  $("none").textContent = whole ? "" : `No ${NOUNS[view.figure]} here.`;
  $("chart").hidden = !whole;
  const nodes = [];
  if (whole) d3.partition().size([100, 100])(slices(top)).eachBefore((node) => nodes.push(node));
  drawnLevels = levels();
  const focused = chart.node().contains(document.activeElement);
  const siblings = (node) => node.parent?.children ?? [node], place = (node) => siblings(node).indexOf(node) + 1;
  const drawn = chart.selectAll(".slice").data(nodes, key).join((enter) => {
    const made = enter.append("div").attr("class", "slice").attr("role", "treeitem");
    const label = made.append("div").attr("class", "label");
    for (const [tag, name] of [["b", "title"], ["span", "figure"], ["span", "part"]]) label.append(tag).attr("class", name);
    return made;
  });
  drawn
    .style("left", ({ y0 }) => `${y0}%`).style("width", ({ y0, y1 }) => `${y1 - y0}%`)
    .style("top", ({ x0 }) => `${x0}%`).style("height", ({ x0, x1 }) => `${x1 - x0}%`)
    .style("--fill", (node) => (node.children ? "var(--container)" : `var(${colour(kind(node.data))})`))
    .classed("partial", ({ data }) => data.what !== "all")
    .classed("thin", ({ x0, x1 }) => x1 - x0 < THIN)
    .classed("even", (node) => place(node) % 2 === 0)
    .attr("aria-posinset", place)
    .attr("aria-setsize", (node) => siblings(node).length)
    .attr("aria-selected", ({ data: { row, what } }) => row === view.marked && what === "all" && row !== top)
    .attr("aria-level", ({ depth }) => depth + 1)
    .attr("aria-expanded", (node) => (node.children ? "true" : null))
    .attr("aria-label", ({ data }) => facts(data).join("; "));
  drawn.select(".title").text(({ data }) => title(data));
  drawn.select(".figure").text(({ data }) => clever(data.value));
  drawn.select(".part").text(({ data }) => `${part(data.value, whole).toFixed(1)} %`);
  const kept = drawn.filter((node) => key(node) === view.reached);
  reach((kept.empty() ? drawn : kept).node(), focused);
}

// The Tab key leads to one slice, and arrow keys from there: right and left through the levels, up and down in one.
function reach(slice, focus = true) {
  d3.selectAll(".slice").attr("tabindex", function () { return this === slice ? 0 : -1; });
  if (focus) slice?.focus({ preventScroll: true });
}

const onLevel = (node, step) => {
  const level = node.ancestors().at(-1).descendants().filter(({ depth }) => depth === node.depth);
  return level[level.indexOf(node) + step];
};
const MOVES = {
  ArrowRight: (node) => node.children?.[0],
  ArrowLeft: (node) => node.parent,
  ArrowDown: (node) => onLevel(node, 1),
  ArrowUp: (node) => onLevel(node, -1),
  Home: (node) => node.ancestors().at(-1),
};

// The module at the left leads up.
function press(slice) {
  const { row, what } = d3.select(slice).datum().data;
  zoom(row === rows[view.at] && what === "all" && row.parent ? row.parent : row);
}

function showTip(slice, x, y) {
  const tip = $("tip"), gap = 14;
  tip.replaceChildren(...facts(d3.select(slice).datum().data).map((line) => element("div", {}, line)));
  tip.hidden = false;
  const { offsetWidth: width, offsetHeight: height } = tip;
  tip.style.left = `${Math.max(gap, Math.min(x + gap, innerWidth - width - gap))}px`;
  tip.style.top = `${y + height + 2 * gap > innerHeight ? Math.max(gap, y - height - gap) : y + gap}px`;
}
const hideTip = () => { $("tip").hidden = true; };

d3.select("#chart")
  .on("click", ({ target }) => target.closest(".slice") && press(target.closest(".slice")))
  .on("pointermove", ({ target, clientX, clientY }) =>
    target.closest(".slice") ? showTip(target.closest(".slice"), clientX, clientY) : hideTip())
  .on("pointerleave focusout", hideTip)
  .on("focusin", ({ target }) => {
    view.reached = key(d3.select(target).datum());
    reach(target, false);
    const { left, top } = target.getBoundingClientRect();
    if (target.matches(":focus-visible")) showTip(target, left, top + 16);
  })
  .on("keydown", (event) => {
    const to = MOVES[event.key]?.(d3.select(event.target).datum());
    if (event.key === "Escape") hideTip();
    else if (event.key === "Enter" || event.key === " ") press(event.target);
    else if (to) reach(d3.selectAll(".slice").filter((node) => node === to).node());
    else if (!MOVES[event.key]) return;
    event.preventDefault();
  });

let drawnLevels = 0;
new ResizeObserver(() => {
  if (levels() !== drawnLevels) drawChart();
}).observe($("chart"));

function drawTrail(top) {
  const path = [], focused = $("trail").contains(document.activeElement);
  for (let row = top; row; row = row.parent) path.unshift(row);
  $("trail").replaceChildren(...path.map((row) => {
    const text = row.parent ? row.name.slice(row.parent.parent ? row.parent.name.length + 1 : 0) : row.class;
    return element("button", { type: "button", onclick: () => zoom(row) }, text);
  }));
  $("trail").lastChild.setAttribute("aria-current", "location");
  if (focused) $("trail").lastChild.focus();
}

function drawLegend() {
  const share = (cls) => costs.get(cls)[view.figure];
  const shown = [...colours.keys()].filter((cls) => share(cls) > 0n).sort((a, b) => ascending(share(b), share(a)));
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

// A column has room for its longest text, so that nothing is cut, up to a limit that only odd models pass. Where all
// columns need more than there is, names are written in several lines.
const pen = document.createElement("canvas").getContext("2d");
const family = getComputedStyle(document.body).fontFamily;
const { fontFamily: mono } = getComputedStyle(document.querySelector("#trail"));
const WIDEST = 440, NARROWEST_NAME = 140, CELL = 20, ARROW = 32, SCROLLBAR = 18;

function measured(text, font) {
  pen.font = font;
  return pen.measureText(text).width;
}
function widthOf(heading, texts, font = `13.5px ${family}`) {
  const widest = [...new Set(texts)].reduce((most, text) => Math.max(most, measured(text, font)), 0);
  return Math.ceil(Math.min(WIDEST, Math.max(widest, measured(heading, `500 13.5px ${family}`) + ARROW) + CELL));
}

const figureColumn = (figure) => ({
  title: HEADINGS[figure],
  field: figure,
  hozAlign: "right",
  headerHozAlign: "right",
  minWidth: widthOf(HEADINGS[figure], [exact(total(figure))]),
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
  minWidth: widthOf("Share", ["100.00 %"]) + 8,
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

const words = (title, field) => ({
  title, field, minWidth: widthOf(title, rows.map((row) => row[field])), formatter: "plaintext", tooltip: true,
});

// Shapes are written in several lines where that makes the table fit, as names are.
const shapes = (title, field) => ({
  ...words(title, field),
  variableHeight: true,
  formatter: (cell) => element("span", { className: "lines" }, cell.getValue()),
});
const [given, returned] = [shapes("Input", "inputs"), shapes("Output", "outputs")];

const columns = [
  {
    title: "Name",
    field: "name",
    minWidth: widthOf("Name", rows.map(({ name }) => name), `13px ${mono}`),
    variableHeight: true,
    widthGrow: 3,
    sorter: "alphanum",
    formatter: (cell) => {
      const button = element("button", { type: "button", className: "name" });
      button.append(...cell.getValue().split(/(?<=\.)/).flatMap((piece) => [piece, element("wbr")]));
      return button;
    },
  },
  ...FIGURES.map(figureColumn),
  share,
  words("Class", "class"),
  given,
  returned,
  { ...words("Calls", "calls"), hozAlign: "right", headerHozAlign: "right", sorter: "number" },
];
const needed = columns.reduce((sum, { minWidth }) => sum + minWidth, SCROLLBAR);
let lacking = Math.max(0, needed - $("modules").parentElement.clientWidth);
for (const [column, narrowest] of [[columns[0], NARROWEST_NAME], [given, widthOf("Input", [])], [returned, widthOf("Output", [])]]) {
  const saved = Math.max(0, Math.min(lacking, column.minWidth - narrowest));
  column.minWidth -= saved;
  lacking -= saved;
}
$("modules").style.setProperty("--columns", `${needed}px`); // beside the chart where there is room, else under it

const table = new Tabulator("#table", {
  // Without the links between modules: Tabulator copies the data of a row, and would copy the tree each time.
  data: rows.map(({ id, name, class: cls, inputs, outputs, calls }) => ({ id, name, class: cls, inputs, outputs, calls })),
  index: "id",
  layout: "fitColumns",
  selectableRows: 1,
  placeholder: "No module has this in its name or class.",
  columnDefaults: { resizable: "header" },
  columns,
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
  const sums = FIGURES.map((figure) =>
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
table.on("rowClick", (_, row) => {
  zoom(rows[row.getIndex()], { scroll: false });
  $("chart").scrollIntoView({ block: "nearest", behavior: "smooth" });
});
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
drawChart();
