// One column against another. The library is unpacked when it is first asked for.
let unpacked = null;
const library = () => (unpacked ??= (async () => {
  const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
  return window.Plotly;
})());

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const COLOURS = ["#3b82c4", "#d9822b", "#3a9a5c", "#b5526b", "#8566b8", "#8a8f2e", "#2fa3a3", "#a0673d"];
const layout = (across, up) => ({
  paper_bgcolor: colour("--panel"), plot_bgcolor: colour("--panel"), font: { color: colour("--ink") },
  xaxis: { title: { text: across }, gridcolor: colour("--line"), zerolinecolor: colour("--line"), automargin: true },
  yaxis: { title: { text: up }, gridcolor: colour("--line"), zerolinecolor: colour("--line"), automargin: true },
  margin: { t: 20, r: 20, b: 50, l: 60 }, legend: { orientation: "h", y: -0.22 }, hovermode: "closest",
});

(() => {
  const form = document.getElementById("explore-form"), plot = document.getElementById("plot");
  const said = document.getElementById("plot-said");
  const heads = (table) => [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const title = (head) => head.querySelector(".sort").firstChild.textContent.trim();
  const chosen = () => document.getElementById(form.elements.table.value);
  const fill = (select, options, index) => {
    select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
    select.selectedIndex = Math.min(index, options.length - 1);
  };
  const offer = () => {
    if (!chosen()) return;
    const cells = heads(chosen());
    const numbers = cells.filter((head) => head.dataset.key).map((head) => [head.cellIndex, title(head)]);
    const names = cells.filter((head) => !head.dataset.key && !head.classList.contains("paper"));
    const costs = numbers.findIndex(([, text]) => text.startsWith("Expert evaluations"));
    fill(form.elements.across, numbers, costs < 0 ? 1 : costs);
    fill(form.elements.up, numbers, 0);
    fill(form.elements.by, [["", "nothing"], ...names.map((head) => [head.cellIndex, title(head)])], Math.min(2, names.length));
  };
  const point = (row, column) => {
    const { v, low, high } = row.cells[column].dataset;
    return { value: v === "" ? null : Number(v), half: low === "" ? 0 : (Number(high) - Number(low)) / 2 };
  };
  const traces = (table, across, up, by) => {
    const groups = new Map();
    for (const row of table.tBodies[0].rows) {
      if (row.classList.contains("made")) continue;
      const [x, y] = [point(row, across), point(row, up)];
      if (x.value === null || y.value === null) continue;
      const name = by === "" ? "rows" : row.cells[by].textContent.replace(/^▸How .* was made/, "").trim() || "—";
      const words = [...row.querySelectorAll("th")].map((th) => [...th.childNodes].filter((n) => n.nodeType === 3).map((n) => n.textContent).join("").trim());
      groups.set(name, [...(groups.get(name) ?? []), { x, y, words: words.filter(Boolean).join(", ") }]);
    }
    return [...groups].map(([name, points], i) => ({
      name, mode: "markers", type: "scatter", marker: { size: 10, color: COLOURS[i % COLOURS.length], symbol: i },
      x: points.map((p) => p.x.value), y: points.map((p) => p.y.value), text: points.map((p) => p.words),
      error_x: { array: points.map((p) => p.x.half), thickness: 1 }, error_y: { array: points.map((p) => p.y.half), thickness: 1 },
      hovertemplate: "%{text}<br>%{x:.4~g}, %{y:.4~g}<extra></extra>",
    }));
  };
  const draw = async () => {
    if (!chosen()) return;
    const { across, up, by } = form.elements, table = chosen();
    const data = traces(table, Number(across.value), Number(up.value), by.value);
    const words = [across, up].map((select) => select.selectedOptions[0].text);
    plot.hidden = false;
    plot.setAttribute("aria-label", `${words[1]} against ${words[0]} in ${table.dataset.table}`);
    const Plotly = await library();
    await Plotly.react(plot, data, layout(...words), { responsive: true, displaylogo: false });
    said.textContent = `${data.reduce((sum, each) => sum + each.x.length, 0)} rows of ${table.dataset.table} are drawn.`;
  };
  form.elements.table.addEventListener("input", offer);
  form.addEventListener("submit", (event) => { event.preventDefault(); draw(); });
  document.addEventListener("themed", () => { if (!plot.hidden) draw(); });
  // Tables that came while the page was open.
  document.addEventListener("tabled", () => {
    const kept = form.elements.table.value, tables = [...document.querySelectorAll("table.numbers")];
    form.elements.table.replaceChildren(...tables.map((table) => new Option(table.dataset.table, table.id)));
    if (tables.some((table) => table.id === kept)) form.elements.table.value = kept;
    else offer();
  });
  offer();
})();
